#pragma once
#include <optional>
#include <string>
#include <vector>

#include "assay/stats/design.h"
#include "assay/stats/equivalence.h"
#include "assay/stats/escape.h"
#include "assay/stats/sign_process.h"

namespace assay::stats {

enum class Word { undecided, better, worse, equivalent, refused };
const char* name_of(Word word);

// What one hypothesis got in one round. A loss that is not finite is a run that diverged.
struct Scores {
  double control = 0, arm = 0;
};

// What the rounds of one hypothesis add up to: its scores, its e-values, its word.
class Record {
 public:
  Record(const Hypothesis& hypothesis, const Design& design);

  // Adds a round. Gives the reason where the hypothesis cannot be judged any more (a score that is not finite and has no cap, a difference
  // out of range); the round then does not count.
  std::string add(const Scores& scores);

  const Hypothesis& hypothesis() const { return *hypothesis_; }
  int64_t seeds() const { return static_cast<int64_t>(d_.size()); }
  const std::vector<double>& d() const { return d_; }              // control - arm
  const std::vector<double>& control() const { return control_; }  // scores
  const std::vector<double>& arm() const { return arm_; }
  const std::vector<int>& escapes() const { return escapes_; }  // 1 only the arm, -1 only the control; empty without a threshold
  int64_t arm_escaped() const { return arm_escaped_; }
  int64_t control_escaped() const { return control_escaped_; }
  int64_t diverged() const { return diverged_; }                 // runs of both
  bool identical() const { return identical_ && seeds() >= 2; }  // all differences are one value
  const LogE& log_e() const { return log_e_; }                   // of the verdict: with a threshold the average of mean and escape
  double p_value() const;                                        // 1 / sup E
  bool has_equivalence() const { return equivalence_.has_value(); }
  double log_e_equivalent() const { return equivalence_ ? equivalence_->log_e() : 0; }

  // The standing, set by Decision.
  bool running = true;
  Word word = Word::undecided;
  bool within_margin = false;  // the equivalence family rejected it
  bool by_rule = false;        // stopped by success or max_seeds, as the estimate's ordering assumes
  std::string reason;

 private:
  bool escaped(const Score& s) const;
  void add_escapes(const Score& control, const Score& arm);
  const Hypothesis* hypothesis_;
  SignProcess mean_;
  std::optional<EquivalenceProcess> equivalence_;
  std::vector<double> d_, control_, arm_;
  std::vector<int> escapes_;
  int64_t arm_only_ = 0, control_only_ = 0, arm_escaped_ = 0, control_escaped_ = 0, diverged_ = 0;
  bool identical_ = true;
  LogE log_e_;
  double largest_ = 0;
};

}  // namespace assay::stats
