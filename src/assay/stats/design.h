#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/stats/sign_process.h"

namespace assay::stats {

// One question that may get a verdict: is this arm's score lower than the control's? Two metrics of one arm are two hypotheses, and so are
// two sizes of one comparison. Scores are "lower is better"; negate a metric for which higher is better.
struct Hypothesis {
  std::string arm, control;
  std::string metric = "val_loss", unit = "nats";
  std::optional<double> margin;            // D > 0 in units of the score: differences below it are equivalent
  std::optional<double> escape_threshold;  // a run beyond it escaped from the plateau; then the verdict is about both mean and rate
  bool escape_below = true;                // beyond: below the threshold (of a loss), or above it
  std::optional<double> cap;               // what a diverged run scores, and the most that any run does: ln V of a loss
};

// Everything that is fixed before the first round and that the rule depends on.
struct Design {
  std::vector<Hypothesis> hypotheses;  // all of them, also those that will be refused: their number m never changes
  double alpha = 0.05;                 // false-discovery rate of better/worse; of equivalence claims, the same again
  int64_t max_seeds = 20;
  int64_t first_look = 2;
  std::vector<double> kappa = {kDefaultKappa.begin(), kDefaultKappa.end()};
  double g = 1;                    // of the Gaussian companion
  bool futility = false;           // stop where an advantage of the margin or more is excluded
  std::optional<int64_t> fixed_n;  // where that many seeds are run, the fixed-n tests are computed beside the verdict

  int64_t m() const { return static_cast<int64_t>(hypotheses.size()); }
  double log_threshold() const;  // log(m / alpha): what one hypothesis needs when no other is rejected
};

// The fewest rounds after which the hypothesis can have an e-value of m / alpha at all.
int64_t fewest_seeds(const Design& design, const Hypothesis& hypothesis);

// ConfigError with the option and the wanted value: no hypotheses, a number out of range, futility without a margin, or max_seeds below the
// fewest seeds that can give a verdict.
void check(const Design& design);

// All of it as one document, for a recipe's hash and for reports.
core::Value document_of(const Design& design);

}  // namespace assay::stats
