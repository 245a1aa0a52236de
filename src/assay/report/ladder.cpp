#include "assay/report/ladder.h"

#include <algorithm>

#include "assay/report/assets.h"
#include "assay/report/charts.h"
#include "assay/report/format.h"

namespace assay::report {
namespace {

// The arm's name without its rung.
std::string base_of(const Arm& a) {
  const std::string end = "-" + a.rung;
  return a.name.ends_with(end) ? a.name.substr(0, a.name.size() - end.size()) : a.name;
}

// Every form refers to tables and charts by their ids, which may come up once.
struct Renamer {
  std::string suffix;
  void operator()(Table& t) const { t.id += suffix; }
  void operator()(Folded& f) const { f.table.id += suffix; }
  void operator()(Figure& f) const {
    for (Panel& p : f.panels) p.id += suffix;
    for (Table& t : f.numbers) t.id += suffix;
  }
  template <class Other>
  void operator()(Other&) const {}
};

}  // namespace

std::vector<std::string> rungs_of(const Campaign& c) {
  std::vector<std::string> out;
  for (const Arm& a : c.arms)
    if (!a.rung.empty() && std::find(out.begin(), out.end(), a.rung) == out.end()) out.push_back(a.rung);
  return out;
}

Campaign on_rung(const Campaign& c, const std::string& rung) {
  Campaign out = c;
  std::erase_if(out.arms, [&](const Arm& a) { return a.rung != rung; });
  std::erase_if(out.members, [&](const Member& m) { return out.find(m.arm) == nullptr; });
  std::erase_if(out.hypotheses, [&](const Hypothesis& h) { return out.find(h.arm) == nullptr; });
  for (const Arm& a : out.arms)
    if (c.is_control(a)) out.control = a.name;
  return out;
}

Section on_rung(Section section, const std::string& rung) {
  section.id += "-" + rung;
  section.title += ": " + rung;
  for (Block& b : section.blocks) std::visit(Renamer{"-" + rung}, b);
  return section;
}

Section ladder_section(const Campaign& c) {
  Section s{"ladder", "Effect against size", {}};
  Table t{"ladder-effects",
          "Effect of each arm against the control of its size, " + c.unit(),
          {{"arm"}, {"size"}, {"parameters", true}, {"effect", true}, {"interval", true}, {"verdict"}, {"seeds", true}},
          {}};
  t.words = 5;
  for (const Arm& a : c.arms)
    if (!c.is_control(a))
      t.rows.push_back({base_of(a), a.rung, count_text(a.parameters), difference_text(a.effect), interval_text(a.interval),
                        shown_verdict(a), a.seeds ? std::to_string(*a.seeds) : "-"});
  s.blocks.emplace_back(
      Figure{"Above zero the arm is better than the control of its size; bars are the intervals, where they are bounded.",
             {{"chart-ladder", "", "Effect against the number of parameters; the table has the numbers.", ladder_chart(c)}},
             {std::move(t)}});
  return s;
}

core::Value ladder_chart(const Campaign& c) {
  core::Value spec = core::parse_json(assets::ladder_chart(), "ladder chart");
  core::Value rows = core::Value::array(), names = core::Value::array();
  for (const Arm& a : c.arms) {
    if (c.is_control(a)) continue;
    const core::Value name = base_of(a);
    if (const auto& known = names.as_array(); std::find(known.begin(), known.end(), name) == known.end()) names.push_back(name);
    if (!a.effect || !a.parameters || !(*a.parameters > 0)) continue;
    core::Value row = core::Value::object();
    row["arm"] = name;
    row["size"] = *a.parameters;
    row["effect"] = *a.effect;
    if (a.interval && a.interval->lower && a.interval->upper) {
      row["low"] = *a.interval->lower;
      row["high"] = *a.interval->upper;
    }
    rows.push_back(row);
  }
  spec["data"]["values"] = rows;
  spec["encoding"]["x"]["axis"]["title"] = "parameters of the arm";
  spec["encoding"]["color"]["scale"]["domain"] = names;
  auto& layers = spec["layer"].as_array();
  layers.at(1)["encoding"]["y"]["axis"]["title"] = (c.higher_is_better() ? "arm - control, " : "control - arm, ") + c.unit();
  layers.at(2)["encoding"]["strokeDash"]["scale"]["domain"] = names;
  return spec;
}

}  // namespace assay::report
