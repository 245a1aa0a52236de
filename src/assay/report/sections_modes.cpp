#include <algorithm>

#include "assay/report/format.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

// Where the training loss first lies below the threshold.
Number escape_of(const Member& m, double threshold) {
  for (const Point& p : m.train)
    if (p.loss < threshold) return p.tokens;
  return {};
}

// The middle of the tokens at which an arm's runs that ended below the threshold crossed it in training.
Number median_escape(const Campaign& c, const Arm& arm) {
  std::vector<double> tokens;
  for (const Member& m : c.members)
    if (m.arm == arm.name && m.status == "done" && m.value && *m.value < arm.modes->threshold)
      if (const Number at = escape_of(m, arm.modes->threshold)) tokens.push_back(*at);
  if (tokens.empty()) return {};
  std::sort(tokens.begin(), tokens.end());
  return (tokens[(tokens.size() - 1) / 2] + tokens[tokens.size() / 2]) / 2;
}

}  // namespace

Section mode_section(const Campaign& c) {
  Section s{"modes", "Two modes", {}};
  Table t{"mode-numbers",
          "Runs that left the plateau, and where both kinds end",
          {{"arm"},
           {"escaped", true},
           {"of runs", true},
           {"median, escaped", true},
           {"median, the rest", true},
           {"median tokens until the training loss escapes", true}},
          {}};
  Number threshold;
  for (const Arm& a : c.arms) {
    if (!a.modes || a.modes->runs == 0) continue;
    threshold = a.modes->threshold;
    t.rows.push_back({a.name, std::to_string(a.modes->escaped), std::to_string(a.modes->runs), loss_text(a.modes->median_escaped),
                      loss_text(a.modes->median_rest), count_text(median_escape(c, a))});
  }
  if (t.rows.empty()) return s;
  s.blocks.emplace_back(Paragraph{"Outcomes of this comparison have two modes: a run that ends below " + loss_text(threshold) +
                                  " escaped from a plateau. A mean over both kinds says mostly how many of them escaped."});
  s.blocks.emplace_back(std::move(t));
  return s;
}

}  // namespace assay::report
