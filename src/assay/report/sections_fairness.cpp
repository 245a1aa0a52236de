#include <algorithm>

#include "assay/report/charts.h"
#include "assay/report/format.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

std::string all_of(const std::vector<std::pair<std::string, std::string>>& values) {
  std::string out;
  for (const auto& [option, value] : values) out += (out.empty() ? "" : ", ") + option + " = " + value;
  return out.empty() ? "-" : out;
}

std::string share_text(const Number& v) { return v ? difference_text(*v * 100) + " %" : "-"; }

Table budget_table(const Campaign& c) {
  Table t{"budgets",
          "The budget of a run, and how far it is from the control's in what is matched" + (c.match.empty() ? "" : ": " + c.match),
          {{"arm"},
           {"tokens", true},
           {"time limit", true},
           {"training FLOPs", true},
           {"parameters", true},
           {"mismatch", true},
           {"solved for it"}},
          {}};
  for (const Arm& a : c.arms)
    if (a.budget)
      t.rows.push_back({a.name, count_text(a.budget->tokens), seconds_text(a.budget->seconds), scaled_text(a.budget->training_flops),
                        count_text(a.parameters), share_text(a.budget->mismatch), all_of(a.budget->solved)});
  return t;
}

// The options that some arm tuned, in the order in which they come up.
std::vector<std::string> tuned_options(const Campaign& c) {
  std::vector<std::string> out;
  for (const Arm& a : c.arms)
    if (a.tuning)
      for (const Trial& t : a.tuning->trials)
        for (const auto& [option, value] : t.values)
          if (std::find(out.begin(), out.end(), option) == out.end()) out.push_back(option);
  return out;
}

std::vector<std::pair<std::string, std::string>> texts(const std::vector<std::pair<std::string, double>>& values) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [option, value] : values) out.emplace_back(option, core::to_json(core::Value(value)));
  return out;
}

Table trial_table(const Campaign& c) {
  Table t{"trials", "Every trial", {{"arm"}, {"values"}, {"mean loss", true}, {"runs", true}, {"chosen"}}, {}};
  t.for_papers = false;
  for (const Arm& a : c.arms)
    if (a.tuning)
      for (const Trial& trial : a.tuning->trials)
        t.rows.push_back({a.name, all_of(texts(trial.values)), loss_text(trial.mean), std::to_string(trial.scores.size()),
                          trial.values == a.tuning->chosen ? (a.tuning->edge.empty() ? "yes" : "at the edge") : "-"});
  return t;
}

void add_tuning(Section& s, const Campaign& c) {
  const std::vector<std::string> options = tuned_options(c);
  if (options.empty()) return;
  Figure f{
      "What each value of a tuned option led to: the mean over the tuning's own seeds, the best over the values of other options. Circles: "
      "chosen. An arm whose best value lies at the edge of its grid gets no verdict.",
      {},
      {trial_table(c)}};
  for (size_t i = 0; i < options.size(); ++i)
    f.panels.push_back({"chart-tuning-" + std::to_string(i), options[i], "Loss against " + options[i] + "; the table has every trial.",
                        tuning_chart(c, options[i])});
  s.blocks.emplace_back(std::move(f));
}

}  // namespace

Section fairness_section(const Campaign& c) {
  Section s{"fairness", "Equal budgets and equal tuning", {}};
  if (Table t = budget_table(c); !t.rows.empty()) s.blocks.emplace_back(std::move(t));
  add_tuning(s, c);
  return s;
}

Section difference_section(const Campaign& c) {
  Section s{"differences", "How the arms differ", {}};
  Table declared{"changes", "Options in which an arm differs from the control", {{"arm"}, {"option"}, {c.control}, {"arm's"}}, {}};
  Table undeclared = declared, derived = declared;
  undeclared.id = "undeclared";
  undeclared.caption = "Differences that the recipe does not declare";
  derived.id = "derived";
  derived.caption = "What follows from the differences";
  for (const Arm& a : c.arms) {
    const auto add = [&](Table& t, const std::vector<Change>& changes) {
      for (const Change& x : changes) t.rows.push_back({a.name, x.option, or_absent(x.control), or_absent(x.arm)});
    };
    add(declared, a.change);
    add(undeclared, a.undeclared);
    add(derived, a.derived);
  }
  if (!undeclared.rows.empty())
    s.blocks.emplace_back(Notice{"Some arms differ from the control beyond the declared change, so that an effect need not be due to it."});
  for (Table* t : {&undeclared, &declared, &derived})
    if (!t->rows.empty()) s.blocks.emplace_back(std::move(*t));
  return s;
}

}  // namespace assay::report
