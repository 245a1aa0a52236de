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

// An option that is tuned, with the values that are tried, in ascending order.
struct Grid {
  std::string option;
  std::vector<double> values;
};

// One architecture with its settings inside a comparison.
struct Arm {
  std::string name, arch;
  core::Value options;  // {"optim.lr": 0.003, ...}: those of [common], then the arm's own; a later one replaces an earlier one
  std::optional<std::vector<std::string>> change;  // what is to differ from the control: options, sections, "arch"
  std::string solve;                               // the integer option that is solved for where parameters are matched
  int64_t solve_multiple = 1;                      // of which its value must be
  std::vector<Grid> grids;                         // of [tune], replaced by the arm's own
  // On a ladder of sizes every [[arm]] is one arm a rung, "gpt2-small", compared with the control of its rung; else base is the name.
  std::string base, rung;
  size_t place = 0, rung_place = 0;  // among the [[arm]] and [[rung]] of the file
};

// What is trained to choose the values of the tuned options, before the comparison and on other seeds.
struct Tuning {
  std::vector<int64_t> seeds;  // none: nothing is tuned
  int64_t tokens = 0;          // of a trial; 0: as in the comparison
};

// A campaign as people write it (docs/campaign.md): arms x seeds under one token budget, each arm compared with the control by seed.
struct Recipe {
  std::string name, question, control;
  std::string metric = "val_loss";  // one of stats::metrics()
  std::vector<int64_t> seeds;
  std::vector<Arm> arms;           // on a ladder rung by rung
  std::vector<std::string> rungs;  // names; none: no ladder
  int64_t tokens = 0;              // training tokens of a member; 0: limited by seconds
  double seconds = 0;              // training seconds of a member; 0: limited by tokens
  std::string match = "tokens";    // what all arms have in common beside: "flops" of the training, "parameters"
  Tuning tune;
  int64_t threads = 0;  // of a member; 0: chosen from the number of cores
  // How the comparison ends (lab/rule.h), frozen with the rest.
  std::string rule = "sequential";                              // or "fixed": all seeds, then fixed-n tests
  double error_rate = 0.05;                                     // of false better/worse verdicts
  std::optional<double> smallest_effect;                        // of interest, in units of the metric: smaller differences are equivalent
  std::optional<double> escape_threshold;                       // a run that is better escaped from the plateau
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
