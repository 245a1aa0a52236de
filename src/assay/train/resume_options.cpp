#include "assay/train/resume_options.h"

#include <map>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/log.h"

namespace assay::train {
namespace {

bool is_limit(std::string_view option) {
  return option == "train.steps" || option == "train.tokens" || option == "train.seconds" || option == "train.checkpoint_every" ||
         option == "train.keep_checkpoints";
}

// The published trainer's habits at a resumption, as switches; what they change is written down as a row of metrics.jsonl.
constexpr std::string_view kFirstBatch = "loader.reset_on_resume", kOldRate = "lr.base_from_checkpoint";

bool read_switch(const std::string& name, const std::string& value) {
  if (value != "true" && value != "false") throw core::ConfigError("train", name + " is true or false, not '" + value + "'");
  return value == "true";
}

}  // namespace

bool is_resume_switch(std::string_view option) { return option == kFirstBatch || option == kOldRate; }

Continuation read_overrides(RunConfig& config, const std::vector<std::string>& overrides) {
  Continuation how;
  bool old_rate = false;
  std::map<std::string, std::string> given;
  for (const std::string& o : overrides) {
    if (const auto [before, first] = given.emplace(o.substr(0, o.find('=')), o); !first)
      throw core::ConfigError("train",
                              before->first + " is given twice, as " + before->second + " and as " + o + "; which of them is meant?");
    const std::string name = o.substr(0, o.find('=')), value = name.size() < o.size() ? o.substr(name.size() + 1) : "";
    if (name == kFirstBatch) how.from_first_batch = read_switch(name, value);
    else if (name == kOldRate) old_rate = read_switch(name, value);
    else if (is_limit(name)) config.settings.set_assignment(o, core::Source::command_line);
    else if (name == "optim.lr") {
      const double recorded = config.optim.lr;
      config.settings.set_assignment(o, core::Source::command_line);
      how.base_rate = std::exchange(config.optim.lr, recorded);
    } else {
      throw core::ConfigError("train", "'" + o +
                                           "' cannot change in a resumed run; only train.steps, train.tokens, train.seconds, "
                                           "train.checkpoint_every, train.keep_checkpoints and optim.lr can, and " +
                                           std::string(kFirstBatch) + " and " + std::string(kOldRate) + " say how it goes on");
    }
  }
  if (old_rate && how.base_rate) {
    core::warn("optim.lr is ignored: with " + std::string(kOldRate) + "=true the rate that the run had before goes on");
    how.base_rate.reset();
  }
  return how;
}

}  // namespace assay::train
