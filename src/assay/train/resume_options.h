#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "assay/train/run_config.h"

namespace assay::train {

// How a resumed run goes on where not as it would have without the stop.
struct Continuation {
  bool from_first_batch = false;    // data and clock begin anew, as the published trainer's did
  std::optional<double> base_rate;  // from here on, in place of the one before
  bool changes_results() const { return from_first_batch || base_rate; }
};

// Whether an option says how a run goes on, and so belongs beside --resume: loader.reset_on_resume, lr.base_from_checkpoint.
bool is_resume_switch(std::string_view option);

// Of the words OPTION=VALUE that came with a resumption, sets the limits in `config` and returns the rest. ConfigError for an option that may not
// change.
Continuation read_overrides(RunConfig& config, const std::vector<std::string>& overrides);

}  // namespace assay::train
