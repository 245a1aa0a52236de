#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "assay/stats/design.h"
#include "assay/stats/record.h"
#include "assay/stats/verdict.h"

namespace assay::stats {

// A hypothesis that got another standing in a round.
struct Change {
  int64_t hypothesis = 0;
  Word word = Word::undecided;
};

// The rule by which a comparison ends (docs/statistics.md). One round is one seed for the control and every running arm; after each, from
// the first look on, every hypothesis meets the first of these that applies:
//
//   better / worse   e-BH at alpha over the m e-values as they stand (running: now; stopped: frozen; refused: 1) rejects
//   equivalent       e-BH at alpha over the m e-values against "|effect| >= margin" rejects
//   undecided        futility, if the design asks for it; max_seeds
//
// Guarantee: among the better/worse verdicts that stand at any time the expected share of false ones is at most alpha, under any dependence
// between arms, if rounds are independent and an arm that does not differ is exchangeable with the control. better and worse never go back; an
// undecided or equivalent arm that has stopped can still be found better or worse when others lower its threshold.
class Decision {
 public:
  explicit Decision(Design design);  // ConfigError: check(design)
  Decision(const Decision&) = delete;
  Decision& operator=(const Decision&) = delete;

  // One round: scores of hypothesis h at [h]; those of hypotheses that do not run are not read. A round in which a score is missing is not
  // a round: do not feed it. ConfigError: not m entries, or nothing runs any more.
  std::vector<Change> feed(std::span<const Scores> round);

  void stop_by_hand(int64_t hypothesis);                       // undecided as it stands; no guarantee is lost
  void refuse(int64_t hypothesis, const std::string& reason);  // "audit failed", ...: no verdict, e = 1, keeps its place in m

  const Design& design() const { return design_; }
  int64_t rounds() const { return rounds_; }
  bool running() const;  // the control runs while any arm runs
  bool running(int64_t hypothesis) const { return at(hypothesis).running; }
  Word word(int64_t hypothesis) const { return at(hypothesis).word; }
  int64_t seeds(int64_t hypothesis) const { return at(hypothesis).seeds(); }
  double log_e(int64_t hypothesis) const;  // as e-BH sees it
  const Record& record(int64_t hypothesis) const { return at(hypothesis); }

  // Everything that is said about each hypothesis now. Costs about a second an undecided one: estimates and power are simulated.
  std::vector<Verdict> verdicts() const;

  // The same as one document: `arms` (controls and hypotheses), design, rounds, rates. Keys: docs/statistics.md.
  core::Value document() const;

  // By hypothesis: sqrt of the variance of its mean that comes from the validation set alone (VarianceComponents::document_variance). Where
  // it exceeds a third of the effect, the sentence says "on this validation set".
  void set_document_sd(int64_t hypothesis, double sd);

 private:
  const Record& at(int64_t hypothesis) const;
  Record& at(int64_t hypothesis);
  std::vector<double> values() const;
  std::vector<double> equivalence_values() const;
  bool look_for_success();
  bool look_for_equivalence();
  void look_for_futility();
  void stop_identical();
  void look();
  void end_at_max_seeds();
  void stop(Record& record, Word word, const std::string& reason, bool by_rule);
  bool contradicts(const Record& record, double alpha) const;
  double interval_alpha() const;
  int64_t found() const;
  std::vector<double> boundary(int64_t hypothesis) const;
  Judged judged(int64_t hypothesis) const;

  Design design_;
  std::vector<Record> records_;
  std::vector<std::vector<double>> history_;  // what e-BH saw, by round
  std::vector<double> document_sd_;
  int64_t rounds_ = 0;
};

}  // namespace assay::stats
