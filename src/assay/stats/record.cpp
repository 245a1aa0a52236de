#include "assay/stats/record.h"

#include <algorithm>
#include <cmath>

namespace assay::stats {

const char* name_of(Word word) {
  switch (word) {
    case Word::better: return "better";
    case Word::worse: return "worse";
    case Word::equivalent: return "equivalent";
    case Word::refused: return "refused";
    default: return "undecided";
  }
}

Record::Record(const Hypothesis& hypothesis, const Design& design) : hypothesis_(&hypothesis), mean_(design.kappa) {
  // Equivalence of two rates and of two means are different claims: with a threshold neither is made.
  if (hypothesis.margin && !hypothesis.escape_threshold) equivalence_.emplace(*hypothesis.margin, design.kappa);
}

bool Record::escaped(const Score& s) const {
  if (s.diverged) return false;
  return hypothesis_->escape_below ? s.value < *hypothesis_->escape_threshold : s.value > *hypothesis_->escape_threshold;
}

void Record::add_escapes(const Score& control, const Score& arm) {
  const bool by_control = escaped(control), by_arm = escaped(arm);
  control_escaped_ += by_control;
  arm_escaped_ += by_arm;
  control_only_ += by_control && !by_arm;
  arm_only_ += by_arm && !by_control;
  escapes_.push_back(static_cast<int>(by_arm) - static_cast<int>(by_control));
}

std::string Record::add(const Scores& scores) {
  const Score control = score(scores.control, hypothesis_->cap), arm = score(scores.arm, hypothesis_->cap);
  if (!std::isfinite(control.value) || !std::isfinite(arm.value)) return "a score is not finite and the recipe names no cap";
  const double d = control.value - arm.value;
  if (!in_range(d)) return "a difference is neither 0 nor within 1e-150..1e150";
  mean_.add(d);
  if (equivalence_) equivalence_->add(d);
  if (hypothesis_->escape_threshold) add_escapes(control, arm);
  diverged_ += control.diverged + arm.diverged;
  identical_ = identical_ && (d_.empty() || d == d_.front());
  d_.push_back(d);
  control_.push_back(control.value);
  arm_.push_back(arm.value);
  log_e_ = hypothesis_->escape_threshold ? averaged(mean_.log_e(), escape_log_e(arm_only_, control_only_)) : mean_.log_e();
  largest_ = std::max(largest_, log_e_.two_sided);
  return "";
}

double Record::p_value() const { return std::exp(-largest_); }

}  // namespace assay::stats
