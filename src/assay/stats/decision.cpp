#include "assay/stats/decision.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "assay/core/error.h"
#include "assay/stats/multiplicity.h"
#include "assay/stats/sign_interval.h"
#include "assay/stats/slack.h"

namespace assay::stats {
namespace {

std::string reason_if_identical(const Record& r) {
  return r.d().front() == 0 ? "the arms are the same: every difference is zero" : "the seed has no effect: every difference is the same";
}

const char* const kContradiction = "differences contradict symmetry about any value";

}  // namespace

Decision::Decision(Design design) : design_(std::move(design)), document_sd_(design_.hypotheses.size(), 0.0) {
  check(design_);
  records_.reserve(design_.hypotheses.size());
  for (const Hypothesis& h : design_.hypotheses) records_.emplace_back(h, design_);
}

const Record& Decision::at(int64_t hypothesis) const {
  if (hypothesis < 0 || hypothesis >= design_.m())
    throw core::ConfigError("decision", "hypothesis " + std::to_string(hypothesis) + " of " + std::to_string(design_.m()));
  return records_[static_cast<size_t>(hypothesis)];
}

Record& Decision::at(int64_t hypothesis) { return const_cast<Record&>(std::as_const(*this).at(hypothesis)); }

bool Decision::running() const {
  return std::any_of(records_.begin(), records_.end(), [](const Record& r) { return r.running; });
}

// A refused hypothesis counts as 1, and so does one whose differences are all one value: those say nothing about a seed.
double Decision::log_e(int64_t hypothesis) const {
  const Record& r = at(hypothesis);
  return r.word == Word::refused || r.identical() ? 0 : r.log_e().two_sided;
}

std::vector<double> Decision::values() const {
  std::vector<double> out;
  for (int64_t h = 0; h < design_.m(); ++h) out.push_back(log_e(h));
  return out;
}

std::vector<double> Decision::equivalence_values() const {
  std::vector<double> out;
  for (const Record& r : records_) out.push_back(r.word == Word::refused || r.identical() ? 0 : r.log_e_equivalent());
  return out;
}

int64_t Decision::found() const {
  return std::count_if(records_.begin(), records_.end(), [](const Record& r) { return r.word == Word::better || r.word == Word::worse; });
}

// e-BY: with k verdicts the intervals of the arms that have one miss with expected share at most alpha.
double Decision::interval_alpha() const {
  return design_.alpha * static_cast<double>(std::max<int64_t>(1, found())) / static_cast<double>(design_.m());
}

bool Decision::contradicts(const Record& record, double alpha) const {
  return !symmetric_about_some_value(record.d(), alpha, design_.kappa);
}

void Decision::stop(Record& record, Word word, const std::string& reason, bool by_rule) {
  record.running = false;
  record.word = word;
  record.reason = reason;
  record.by_rule = by_rule;
}

// True where nothing was refused on the way; otherwise the e-values have changed and the look is to be repeated.
bool Decision::look_for_success() {
  const std::vector<size_t> rejected = e_bh(values(), design_.alpha, design_.m());
  const double alpha = design_.alpha * static_cast<double>(std::max<size_t>(1, rejected.size())) / static_cast<double>(design_.m());
  const auto has_word = [](const Record& r) { return r.word == Word::better || r.word == Word::worse; };
  for (size_t h : rejected) {
    Record& r = records_[h];
    if (has_word(r) || !contradicts(r, alpha)) continue;
    stop(r, Word::refused, kContradiction, true);
    return false;
  }
  for (size_t h : rejected) {
    Record& r = records_[h];
    if (has_word(r)) continue;
    const bool late = !r.running;
    stop(r, r.log_e().plus >= r.log_e().minus ? Word::better : Word::worse,
         late ? "after it had stopped, its threshold fell as others were found" : "its e-value reached the threshold", !late);
  }
  return true;
}

bool Decision::look_for_equivalence() {
  for (size_t h : e_bh(equivalence_values(), design_.alpha, design_.m())) {
    Record& r = records_[h];
    if (r.within_margin) continue;
    if (r.word == Word::undecided && contradicts(r, interval_alpha())) {
      stop(r, Word::refused, kContradiction, true);
      return false;
    }
    r.within_margin = true;
    if (r.word == Word::undecided) stop(r, Word::equivalent, "both e-values against the margin reached the threshold", false);
  }
  return true;
}

void Decision::look_for_futility() {
  for (Record& r : records_) {
    if (!r.running || !r.hypothesis().margin) continue;
    const double margin = *r.hypothesis().margin;
    const auto interval = sign_interval(r.d(), interval_alpha(), design_.kappa);
    if (!interval) stop(r, Word::refused, kContradiction, true);
    else if (interval->upper < margin && interval->lower <= -margin)
      stop(r, Word::undecided, "an advantage of " + core::to_json(core::Value(margin)) + " or more is excluded", false);
  }
}

// Differences that are all one value would have had a verdict by now: no seed will change them.
void Decision::stop_identical() {
  for (Record& r : records_)
    if (r.running && r.identical() && std::max(r.log_e().two_sided, r.log_e_equivalent()) >= design_.log_threshold() - kSlack)
      stop(r, Word::refused, reason_if_identical(r), true);
}

void Decision::look() {
  stop_identical();
  while (!look_for_success()) {}
  while (!look_for_equivalence()) {}
  if (design_.futility) look_for_futility();
}

void Decision::end_at_max_seeds() {
  for (Record& r : records_) {
    if (!r.running || r.seeds() < design_.max_seeds) continue;
    if (r.identical()) stop(r, Word::refused, reason_if_identical(r), true);
    else if (contradicts(r, interval_alpha())) stop(r, Word::refused, kContradiction, true);
    else stop(r, Word::undecided, "max_seeds reached", true);
  }
}

std::vector<Change> Decision::feed(std::span<const Scores> round) {
  if (static_cast<int64_t>(round.size()) != design_.m())
    throw core::ConfigError(
        "decision", std::to_string(round.size()) + " scores; wanted one for each of " + std::to_string(design_.m()) + " hypotheses");
  if (!running()) throw core::ConfigError("decision", "a round came after every arm had stopped");
  std::vector<std::pair<Word, bool>> before;
  for (const Record& r : records_) before.emplace_back(r.word, r.running);
  for (size_t h = 0; h < records_.size(); ++h) {
    if (!records_[h].running) continue;
    const std::string refusal = records_[h].add(round[h]);
    if (!refusal.empty()) stop(records_[h], Word::refused, refusal, true);
  }
  ++rounds_;
  if (rounds_ >= design_.first_look) look();
  history_.push_back(values());
  end_at_max_seeds();
  std::vector<Change> changes;
  for (size_t h = 0; h < records_.size(); ++h)
    if (std::pair(records_[h].word, records_[h].running) != before[h]) changes.push_back({static_cast<int64_t>(h), records_[h].word});
  return changes;
}

void Decision::stop_by_hand(int64_t hypothesis) {
  Record& r = at(hypothesis);
  if (r.running) stop(r, Word::undecided, "stopped by hand", false);
}

void Decision::refuse(int64_t hypothesis, const std::string& reason) { stop(at(hypothesis), Word::refused, reason, false); }

void Decision::set_document_sd(int64_t hypothesis, double sd) {
  (void)at(hypothesis);
  document_sd_[static_cast<size_t>(hypothesis)] = sd;
}

// x_n = the smallest log e with which the hypothesis would have been rejected at round n, the others as they were.
std::vector<double> Decision::boundary(int64_t hypothesis) const {
  const int64_t own_seeds = at(hypothesis).seeds();
  std::vector<double> out;
  for (int64_t n = 1; n <= own_seeds; ++n) {
    if (n < design_.first_look) {
      out.push_back(std::numeric_limits<double>::infinity());
      continue;
    }
    std::vector<double> others = history_[static_cast<size_t>(n - 1)];
    others.erase(others.begin() + hypothesis);
    out.push_back(e_bh_boundary(others, design_.alpha, design_.m()));
  }
  return out;
}

Judged Decision::judged(int64_t hypothesis) const {
  const Record& r = at(hypothesis);
  return {&r, &design_, log_e(hypothesis), interval_alpha(), boundary(hypothesis), 1, document_sd_[static_cast<size_t>(hypothesis)]};
}

std::vector<Verdict> Decision::verdicts() const {
  std::vector<double> p;
  for (const Record& r : records_) p.push_back(r.word == Word::refused || r.identical() ? 1 : r.p_value());
  const std::vector<double> holm = holm_adjusted(p);
  std::vector<Verdict> out;
  for (int64_t h = 0; h < design_.m(); ++h) {
    Judged j = judged(h);
    j.p_holm = holm[static_cast<size_t>(h)];
    out.push_back(verdict_of(j));
  }
  return out;
}

core::Value Decision::document() const {
  core::Value v = core::Value::object();
  v["rounds"] = rounds_;
  v["running"] = running();
  v["design"] = document_of(design_);
  v["stated_rate"] = design_.alpha;
  v["equivalence_rate"] = design_.alpha;
  v["arms"] = core::Value::array();
  std::vector<std::string> controls;
  for (const Hypothesis& h : design_.hypotheses) {
    if (std::find(controls.begin(), controls.end(), h.control) != controls.end()) continue;
    controls.push_back(h.control);
    core::Value control = core::Value::object();
    control["name"] = h.control;
    control["verdict"] = "control";
    control["seeds"] = rounds_;
    v["arms"].push_back(std::move(control));
  }
  for (const Verdict& verdict : verdicts()) v["arms"].push_back(document_of(verdict));
  return v;
}

}  // namespace assay::stats
