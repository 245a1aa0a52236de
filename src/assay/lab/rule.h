#pragma once
#include <memory>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// What is known of one member: nothing yet, a score, or that it ended without one. A run that diverged has a score: NaN.
struct Score {
  enum class Kind { waiting, scored, missing };
  Kind kind = Kind::waiting;
  double value = 0;
};

// Everything that a rule may look at. Its answers are functions of this alone, so that neither the order in which members ran nor an
// interruption can change them.
struct Standings {
  std::vector<std::vector<Score>> scores;  // [arm][seed], as in the recipe
  std::vector<std::string> refused;        // [arm]: the reason, or ""
  std::optional<double> cap;               // what a diverged run scores: ln V of a loss
};

// The rule by which a comparison ends.
class Rule {
 public:
  virtual ~Rule() = default;
  // Whether the member is to be started, as far as is known now.
  virtual bool wanted(size_t arm, size_t seed) const = 0;
  virtual bool counts(size_t arm, size_t seed) const = 0;  // the member's score is part of the arm's figures
  virtual core::Value verdict(size_t arm) const = 0;       // keys: docs/campaign.md; slow for the sequential rule
  virtual const char* word(size_t arm) const = 0;          // of the verdict
  virtual int64_t rounds() const = 0;                      // seeds of which everything that was needed is there
  virtual core::Value design() const = 0;                  // what was frozen
  virtual void set_text_sd(size_t, double) {}              // of the arm's mean difference, from the validation text alone
};

// The rule of the recipe, applied. ConfigError where the recipe's seeds cannot lead to any verdict.
std::unique_ptr<Rule> apply_rule(const Recipe& recipe, const Standings& standings);

// Indices of the arms that are compared with a control, in the recipe's order; the control of an arm, which is itself for a control.
std::vector<size_t> compared_arms(const Recipe& recipe);
size_t control_of(const Recipe& recipe, size_t arm);
bool is_control(const Recipe& recipe, size_t arm);

std::unique_ptr<Rule> fixed_rule(const Recipe& recipe, const Standings& standings);       // fixed_rule.cpp
std::unique_ptr<Rule> sequential_rule(const Recipe& recipe, const Standings& standings);  // sequential_rule.cpp

}  // namespace assay::lab
