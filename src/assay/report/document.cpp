#include "assay/report/document.h"

#include <algorithm>

#include "assay/core/hash.h"
#include "assay/report/charts.h"
#include "assay/report/format.h"
#include "assay/report/ladder.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

constexpr const char* kWords[] = {"better", "worse", "equivalent", "undecided", "refused", "no verdict yet"};

void add_fact(Document& d, const char* name, const std::string& text) {
  if (!text.empty() && text != "-") d.facts.emplace_back(name, text);
}

void add_facts(Document& d, const Campaign& c) {
  add_fact(d, "campaign", c.name);
  add_fact(d, "control", c.control);
  add_fact(d, c.higher_is_better() ? "metric, higher is better" : "metric, lower is better", c.metric);
  add_fact(d, "tokens a run", c.tokens ? count_text(c.tokens) : "");
  add_fact(d, "runs done", c.members.empty() ? "" : std::to_string(c.count("done")) + " of " + std::to_string(c.members.size()));
  add_fact(d, "saved by stopping early", c.not_needed.value_or(0) > 0 ? std::to_string(*c.not_needed) + " runs" : "");
  add_fact(d, "seeds allowed", c.seeds.empty() ? "" : std::to_string(c.seeds.size()));
  add_fact(d, "begun", c.created);
}

}  // namespace

Document document_of(const Campaign& c) {
  Document d;
  d.name = c.name.empty() ? "campaign" : c.name;
  d.title = c.question.empty() ? d.name : c.question;
  d.identity = core::hash128_hex(c.results + c.recipe + c.recipe_hash);
  add_facts(d, c);
  for (const char* word : kWords) {
    const auto n = std::count_if(c.arms.begin(), c.arms.end(), [&](const Arm& a) { return !c.is_control(a) && shown_verdict(a) == word; });
    if (n > 0) d.tally.emplace_back(word, n);
  }
  const auto add = [&](Section s) {
    if (!s.blocks.empty()) d.sections.push_back(std::move(s));
  };
  const auto measured = {effect_section, pair_section, mode_section, curve_section, agreement_section};
  add(verdict_section(c));
  if (const std::vector<std::string> rungs = rungs_of(c); rungs.empty()) {
    for (const auto make : measured) add(make(c));
  } else {
    add(ladder_section(c));
    for (const std::string& rung : rungs) {
      const Campaign one = on_rung(c, rung);
      for (const auto make : measured) add(on_rung(make(one), rung));
    }
  }
  for (const auto make : {audit_section, cost_section, fairness_section, pairing_section, member_section, design_section,
                          difference_section, setting_section, environment_section, repeat_section, data_section, register_section})
    add(make(c));
  return d;
}

std::vector<const Table*> tables_of(const Document& document) {
  std::vector<const Table*> out;
  for (const Section& s : document.sections)
    for (const Block& b : s.blocks) {
      if (const auto* table = std::get_if<Table>(&b)) out.push_back(table);
      if (const auto* folded = std::get_if<Folded>(&b)) out.push_back(&folded->table);
      if (const auto* figure = std::get_if<Figure>(&b))
        for (const Table& t : figure->numbers) out.push_back(&t);
    }
  return out;
}

std::vector<const Panel*> panels_of(const Document& document) {
  std::vector<const Panel*> out;
  for (const Section& s : document.sections)
    for (const Block& b : s.blocks)
      if (const auto* figure = std::get_if<Figure>(&b))
        for (const Panel& p : figure->panels) out.push_back(&p);
  return out;
}

}  // namespace assay::report
