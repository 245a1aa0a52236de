#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "assay/stats/metric.h"
#include "assay/stats/verdict.h"

namespace assay::stats {
namespace {

std::string text(double v, int digits = 4) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, v == 0 ? 0 : v);
  return buffer;
}

std::string e_text(double log_e) { return log_e < 700 ? text(std::exp(log_e), 3) : "exp(" + text(log_e) + ")"; }

std::string seeds_text(int64_t n) { return std::to_string(n) + " paired seed" + (n == 1 ? "" : "s"); }

bool is_bounded(const Verdict& v) { return v.interval && v.interval->bounded(); }

// EFFECT [L, U] UNIT; sign -1 turns all of it round.
std::string effect_text(const Verdict& v, double sign) {
  std::string interval = "not yet";
  if (is_bounded(v)) {
    const double one = sign * v.interval->lower, other = sign * v.interval->upper;
    interval = text(std::min(one, other)) + ", " + text(std::max(one, other));
  }
  return text(sign * v.effect.value_or(0)) + " [" + interval + "] " + v.unit;
}

std::string found(const Verdict& v) {
  const bool better = v.word == Word::better;
  return v.name + (better ? " beats " : " loses to ") + v.control + " by " + effect_text(v, better ? 1 : -1) + " after " +
         seeds_text(v.seeds) + " (e = " + e_text(v.log_e) + "; false-discovery rate at most " + text(v.alpha) + " over " +
         std::to_string(v.m) + (v.m == 1 ? " hypothesis" : " hypotheses") + ", if the arms are exchangeable when they do not differ)";
}

std::string equivalent(const Verdict& v) {
  return v.name + " and " + v.control + " differ by less than " + text(v.margin.value_or(0)) + " " + v.unit +
         " (e = " + e_text(v.log_e_equivalent.value_or(0)) + ", " + seeds_text(v.seeds) + "; such claims are false with rate at most " +
         text(v.alpha) + ")";
}

std::string undecided(const Verdict& v) {
  const std::string could = v.detectable_effect
                                ? "A difference of " + text(*v.detectable_effect, 3) + " " + v.unit +
                                      " would have been found with probability " + text(v.detectable_power)
                                : "No difference would have been found by so few seeds with probability " + text(v.detectable_power);
  return "Not decided after " + seeds_text(v.seeds) + ": " + effect_text(v, 1) + ", e = " + e_text(v.log_e) + ". " + could +
         ". Reason: " + v.reason;
}

// One arm always, or never, escapes and the other does both: or the mean and the median of the differences point in two directions.
bool differ_in_shape(const Verdict& v) {
  const auto extreme = [](const EscapeRate& r) { return r.escaped == 0 || r.escaped == r.runs; };
  return v.mean * v.median < 0 || (v.escape_threshold && extreme(v.arm_escapes) != extreme(v.control_escapes));
}

std::vector<std::string> additions(const Verdict& v) {
  std::vector<std::string> out;
  const auto add_if = [&](bool applies, const std::string& words) {
    if (applies) out.push_back(words);
  };
  const bool has_direction = v.word == Word::better || v.word == Word::worse;
  add_if(has_direction && v.within_margin, "by less than the margin");
  const auto of = [](const EscapeRate& r) { return std::to_string(r.escaped) + " of " + std::to_string(r.runs); };
  add_if(v.escape_threshold.has_value(), "two modes: escape " + of(v.arm_escapes) + " against " + of(v.control_escapes));
  add_if(v.diverged > 0, std::to_string(v.diverged) + (v.diverged == 1 ? " run diverged and scores " : " runs diverged and score ") +
                             std::string(metric_named(v.metric).capped));
  add_if(differ_in_shape(v), "the arms' outcomes differ in shape; this is a statement about paired seeds, not about the average");
  add_if(v.on_this_validation_set, "on this validation set");
  add_if(!is_bounded(v), "interval not yet bounded");
  return out;
}

std::string statement(const Verdict& v) {
  if (v.word == Word::undecided) return undecided(v);
  return v.word == Word::equivalent ? equivalent(v) : found(v);
}

}  // namespace

std::string sentence_of(const Verdict& v) {
  if (v.word == Word::refused) return "No verdict: " + v.reason + ".";
  std::string sentence = statement(v);
  for (const std::string& words : additions(v)) sentence += "; " + words;
  return sentence + ".";
}

}  // namespace assay::stats
