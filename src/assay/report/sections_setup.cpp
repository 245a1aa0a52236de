#include <algorithm>
#include <map>

#include "assay/report/escape.h"
#include "assay/report/format.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

using core::Value;
using Row = std::vector<std::string>;
using Texts = std::vector<std::pair<std::string, std::string>>;  // in order

// {"a": {"b": 1}} as a.b = 1.
void flatten(const Value& v, const std::string& prefix, Texts& out) {
  if (!v.is_object()) {
    out.emplace_back(prefix, value_text(v));
    return;
  }
  for (const auto& [key, value] : v.as_object()) flatten(value, prefix.empty() ? key : prefix + "." + key, out);
}

Texts flattened(const Value& v) {
  Texts out;
  if (v.is_object()) flatten(v, "", out);
  return out;
}

void add_unless_empty(Section& s, Table t) {
  if (!t.rows.empty()) s.blocks.emplace_back(std::move(t));
}

// Options in the order in which they come up, with what each arm has for them.
class ByOption {
 public:
  explicit ByOption(size_t arms) : arms_(arms) {}
  Row& row(const std::string& option) {
    const auto [at, is_new] = index_.emplace(option, rows_.size());
    if (is_new) {
      rows_.emplace_back(arms_ + 1, "absent");
      rows_.back().front() = option;
    }
    return rows_[at->second];
  }
  std::vector<Row> rows() && { return std::move(rows_); }

 private:
  size_t arms_;
  std::map<std::string, size_t> index_;
  std::vector<Row> rows_;
};

std::vector<Column> option_columns(const Campaign& c) {
  std::vector<Column> columns = {{"option"}};
  for (const Arm& a : c.arms) columns.push_back({a.name});
  return columns;
}

const Value* config_of(const Campaign& c, const Arm& a) {
  for (const Member& m : c.members)
    if (m.arm == a.name && m.config.is_object()) return &m.config;
  return nullptr;
}

// What the campaign sets itself for each member.
bool is_of_the_member(const std::string& option) {
  return option == "train.seed" || option == "name" || option == "run.name" || option == "seed";
}

std::string counted(const std::map<std::string, int64_t>& values) {
  if (values.size() == 1) return values.begin()->first;
  std::string out;
  for (const auto& [value, n] : values) out += (out.empty() ? "" : "; ") + value + " (" + std::to_string(n) + (n == 1 ? " run)" : " runs)");
  return out;
}

Table hypothesis_table(const Campaign& c) {
  Table t{"hypotheses",
          "The hypotheses, all of them frozen",
          {{"arm"}, {"control"}, {"metric"}, {"margin", true}, {"escape threshold", true}, {"cap of a diverged run", true}},
          {}};
  for (const Hypothesis& h : c.hypotheses)
    t.rows.push_back({h.arm, h.control, h.metric, loss_text(h.margin), loss_text(h.escape_threshold), loss_text(h.cap)});
  return t;
}

std::string member_csv(const Campaign& c) {
  const auto number = [](const Number& v) { return v ? core::to_json(Value(*v)) : std::string(); };
  std::string out = "arm,seed,status,value,val_loss,tokens,seconds,exit_code,error\n";
  for (const Member& m : c.members)
    out += csv_text(m.arm) + "," + std::to_string(m.seed) + "," + csv_text(m.status) + "," + number(m.value) + "," + number(m.val_loss) +
           "," + number(m.tokens) + "," + number(m.seconds) + "," + (m.exit_code ? std::to_string(*m.exit_code) : "") + "," +
           csv_text(m.error) + "\n";
  return out;
}

}  // namespace

Section design_section(const Campaign& c) {
  Section s{"design", "Frozen design", {}};
  Table t{"design-values", "What was fixed before the first run", {{"option"}, {"value"}}, {}};
  const auto add = [&](const char* name, const std::string& text) {
    if (!text.empty() && text != "-") t.rows.push_back({name, text});
  };
  add("rule", c.rule);
  for (const auto& [name, text] : flattened(c.design)) add(name.c_str(), text == "null" ? "none" : text);
  add("seeds", [&] {
    std::string all;
    for (const int64_t seed : c.seeds) all += (all.empty() ? "" : ", ") + std::to_string(seed);
    return all;
  }());
  add("threads", c.threads ? std::to_string(*c.threads) : "");
  add("product backend", c.product_backend);
  add("recipe hash", c.recipe_hash);
  add_unless_empty(s, std::move(t));
  add_unless_empty(s, hypothesis_table(c));
  if (c.rounds)
    s.blocks.emplace_back(Paragraph{"Rounds run: " + std::to_string(*c.rounds) + "." +
                                    (c.not_needed ? " Stopping early saved " + std::to_string(*c.not_needed) + " trainings." : "")});
  if (c.deviations.empty()) {
    if (!s.blocks.empty()) s.blocks.emplace_back(Paragraph{"No deviation from the frozen design is recorded."});
    return s;
  }
  Table d{"deviations",
          "Deviations: what later edits of the recipe asked for. Only an early stop is followed; all else ran as it was frozen",
          {{"option"}, {"frozen"}, {"asked for"}, {"followed"}, {"when"}, {"runs done then", true}},
          {}};
  for (const Deviation& v : c.deviations)
    d.rows.push_back({v.edit.option, or_absent(v.edit.control), or_absent(v.edit.arm), v.followed ? "yes" : "no", v.at.empty() ? "-" : v.at,
                      v.done ? std::to_string(*v.done) : "-"});
  s.blocks.emplace_back(std::move(d));
  return s;
}

Section setting_section(const Campaign& c) {
  Section s{"settings", "Settings", {}};
  ByOption by_option(c.arms.size());
  for (size_t i = 0; i < c.arms.size(); ++i)
    if (const Value* config = config_of(c, c.arms[i]))
      for (const auto& [option, text] : flattened(*config))
        if (!is_of_the_member(option)) by_option.row(option)[i + 1] = text;
  Table t{"options", "Every option of every arm, as its first run recorded it", option_columns(c), std::move(by_option).rows()};
  t.for_papers = false;
  if (!t.rows.empty()) s.blocks.emplace_back(Folded{"All options of all arms", std::move(t)});
  return s;
}

Section environment_section(const Campaign& c) {
  Section s{"environment", "Environment", {}};
  std::vector<std::string> order;
  std::map<std::string, std::map<std::string, int64_t>> values;
  for (const Member& m : c.members)
    for (const auto& [key, text] : flattened(m.environment)) {
      if (key == "started") continue;
      if (values[key].empty()) order.push_back(key);
      ++values[key][key == "processor.memory_bytes" ? bytes_text(std::strtod(text.c_str(), nullptr)) : text];
    }
  Table t{"machines", "Where the runs were computed", {{"what"}, {"value"}}, {}};
  t.for_papers = false;
  for (const std::string& key : order) t.rows.push_back({key == "processor.memory_bytes" ? "processor.memory" : key, counted(values[key])});
  add_unless_empty(s, std::move(t));
  return s;
}

Section repeat_section(const Campaign& c) {
  Section s{"repeat", "How to repeat it", {}};
  if (c.recipe.empty()) return s;
  const std::string name = c.name.empty() ? "campaign" : c.name;
  s.blocks.emplace_back(Paragraph{"Save the recipe as recipe.toml (it is among the data below) and run:"});
  s.blocks.emplace_back(Code{"assay campaign recipe.toml --out " + shell_word("runs/" + name + "-again"), "command", false});
  s.blocks.emplace_back(Code{c.recipe, "recipe.toml", true});
  return s;
}

Section data_section(const Campaign& c) {
  Section s{"data", "Data", {}};
  Downloads all;
  if (!c.results.empty()) all.all.push_back({"results.json", "all results", "application/json", c.results});
  if (!c.members.empty()) all.all.push_back({"members.csv", "one row a run", "text/csv", member_csv(c)});
  if (!c.recipe.empty()) all.all.push_back({"recipe.toml", "what was asked", "text/plain", c.recipe});
  if (!all.all.empty()) s.blocks.emplace_back(std::move(all));
  return s;
}

Section register_section(const Campaign& c) {
  Section s{"register", "Register lens", {}};
  for (const Fragment& f : c.fragments) s.blocks.emplace_back(f);
  return s;
}

}  // namespace assay::report
