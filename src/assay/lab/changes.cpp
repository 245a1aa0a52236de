#include "assay/lab/changes.h"

#include <algorithm>
#include <set>

#include "assay/core/options.h"
#include "assay/lab/dry_run.h"

namespace assay::lab {
namespace {

using core::Value;

// What the campaign sets itself: the same for all arms, or part of a budget, which is told elsewhere.
const std::set<std::string> kOfTheCampaign = {"train.seed",    "train.tokens",  "train.steps",       "train.seconds",
                                              "train.threads", "train.product", "data.corpus_tokens"};
constexpr const char* kDerived[] = {
    "parameters", "training_flops_per_token", "tokens_per_step", "total_steps", "vocab_size", "data", "data_hash", "device", "precision"};

// Switches back to a published quirk are options of the model.
std::string normal(const std::string& option) {
  return option.starts_with("compat.") ? "model." + option.substr(std::string("compat.").size()) : option;
}

// Every option with its value, as the dry run resolved it, or as the recipe has it where the dry run does not say.
Value configuration(const Arm& arm, const Pinned& pinned) {
  Value out = Value::object();
  out["arch"] = arm.arch;
  for (const auto& [option, value] : arm.options.as_object()) out[normal(option)] = value;
  const Value config = said(said(pinned.arms, arm.name), "config");
  if (!config.is_object()) return out;
  for (const auto& [section, values] : config.as_object())
    if (values.is_object() && section != "sources")
      for (const auto& [key, value] : values.as_object()) out[section + "." + key] = value;
  return out;
}

bool covers(const std::string& name, const std::string& option) {
  const std::string wanted = normal(name);
  return option == wanted || option.starts_with(wanted + ".") || (name == "compat" && option.starts_with("model."));
}

bool is_tuned(const Arm& arm, const std::string& option) {
  return option == normal(arm.solve) ||
         std::any_of(arm.grids.begin(), arm.grids.end(), [&](const Grid& g) { return normal(g.option) == option; });
}

// Whether the recipe itself gives the option another value in the arm than in the control.
bool is_written(const Arm& control, const Arm& arm, const std::string& option) {
  const auto value = [&](const Arm& a) {
    for (const auto& [name, v] : a.options.as_object())
      if (normal(name) == option) return v;
    return Value();
  };
  return option == "arch" || !(value(control) == value(arm));
}

bool is_declared(const Arm& control, const Arm& arm, const std::string& option) {
  if (is_tuned(arm, option) || is_tuned(control, option)) return true;
  if (!arm.change) return is_written(control, arm, option);
  return std::any_of(arm.change->begin(), arm.change->end(), [&](const std::string& name) { return covers(name, option); });
}

Value side_by_side(const std::string& option, const Value& a, const Value& b) {
  Value row = Value::object();
  row["option"] = option;
  row["a"] = a;
  row["b"] = b;
  return row;
}

}  // namespace

Changes changes_of(const Arm& control, const Arm& arm, const Pinned& pinned) {
  Changes out{Value::array(), Value::array(), Value::array()};
  const Value rows = core::difference(configuration(control, pinned), configuration(arm, pinned));
  for (const Value& row : rows.as_array()) {
    const std::string option = row.at("option").as_string();
    const bool other_model = control.arch != arm.arch && option.starts_with("model.");
    if (kOfTheCampaign.count(option) != 0 || (other_model && !is_written(control, arm, option))) continue;
    (other_model || is_declared(control, arm, option) ? out.declared : out.undeclared).push_back(row);
  }
  const Value a = said(pinned.arms, control.name), b = said(pinned.arms, arm.name);
  for (const char* key : kDerived)
    if (!(said(a, key) == said(b, key))) out.derived.push_back(side_by_side(key, said(a, key), said(b, key)));
  return out;
}

std::string undeclared_text(const Changes& changes) {
  std::string out;
  const auto text = [](const Value& v) { return v.is_null() ? std::string("none") : core::to_json(v); };
  for (const Value& row : changes.undeclared.as_array())
    out += (out.empty() ? "beyond the declared change it differs in " : ", ") + row.at("option").as_string() + " (" + text(row.at("b")) +
           ", the control " + text(row.at("a")) + ")";
  return out;
}

}  // namespace assay::lab
