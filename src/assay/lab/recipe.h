#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "assay/core/toml_places.h"
#include "assay/core/value.h"

namespace assay::lab {

// One architecture with its settings inside a comparison.
struct Arm {
  std::string name, arch;
  core::Value options;  // {"optim.lr": 0.003, ...}: those of [common], then the arm's own; a later one replaces an earlier one
};

// A campaign as people write it (docs/campaign.md): arms x seeds under one token budget, each arm compared with the control by seed.
struct Recipe {
  std::string name, question, control;
  std::string metric = "val_loss";  // lower is better
  std::vector<int64_t> seeds;
  std::vector<Arm> arms;
  int64_t tokens = 0;   // training tokens of a member
  int64_t threads = 0;  // of a member; 0: chosen from the number of cores
  // How the comparison ends (lab/rule.h), frozen with the rest.
  std::string rule = "sequential";                              // or "fixed": all seeds, then fixed-n tests
  double error_rate = 0.05;                                     // of false better/worse verdicts
  std::optional<double> smallest_effect;                        // of interest, in units of the metric: smaller differences are equivalent
  std::optional<double> escape_threshold;                       // a run below it escaped from the plateau
  bool futility = false;                                        // stop where an advantage of smallest_effect is excluded
  std::string audit = "quick";                                  // level of the audit that an arm must pass first; "none"
  std::vector<std::string> baselines = {"ngram:2", "ngram:5"};  // reference lines, trained once on the first seed's windows
  std::string text;                                             // of the file
  std::string where;                                            // the file, for messages
  core::TomlPlaces places;                                      // of what it says
  size_t stop_after = SIZE_MAX;                                 // seeds after which it stops by hand, decided later (lab/deviations.h)
  std::string product = "auto";  // train.product of all members; auto: what the program chooses when the campaign begins

  // Everything that can change a result, with [common] folded into the arms: layout and comments of the file do not count.
  core::Value document() const;

  // "r.toml at line 3, column 1": where the file says this, for a message about it.
  std::string at(const core::TomlPlaces::Path& path) const { return where + " at " + places.of(path); }
  std::string at_option(const std::string& option) const;  // as `document` names it: "seeds", "arm.v8.optim.lr"
};

// ConfigError or DataError (both exit 2) naming `where`, line and column, and the key. Architectures and their options are checked by `assay train` itself.
Recipe parse_recipe(std::string_view text, const std::string& where);
Recipe read_recipe(const std::string& path);

// The value as a word of SECTION.KEY=VALUE: text as it is, lists as 1,2,3.
std::string option_text(const core::Value& v);

}  // namespace assay::lab
