#include "assay/cli/verdict_text.h"

#include <cstdio>

#include "assay/cli/text_table.h"
#include "assay/core/error.h"
#include "assay/stats/metric.h"

namespace assay::cli {
namespace {

using core::Value;
using Side = TextTable::Side;

const Value& member(const Value& object, const char* key) {
  static const Value none;
  const Value* v = object.find(key);
  return v != nullptr ? *v : none;
}

std::string text(const Value& object, const char* key) {
  const Value& v = member(object, key);
  return v.is_string() ? core::printable(v.as_string(), 2000) : "";
}

const Value::Array& arms_of(const Value& results) {
  if (!results.is_object()) throw core::DataError("verdict", std::string("wanted the results of a campaign, found ") + results.kind());
  const Value& arms = member(results, "arms");
  if (!arms.is_array()) throw core::DataError("verdict", std::string("results: field 'arms': wanted an array, found ") + arms.kind());
  for (const Value& arm : arms.as_array())
    if (!arm.is_object() || text(arm, "name").empty()) throw core::DataError("verdict", "results: an arm is no object with a name");
  return arms.as_array();
}

bool is_control(const Value& results, const Value& arm) {
  return text(arm, "verdict") == "control" || (!text(results, "control").empty() && text(arm, "name") == text(results, "control"));
}

std::string sentence_of(const Value& arm) {
  if (const std::string sentence = text(arm, "sentence"); !sentence.empty()) return sentence;
  const std::string word = text(arm, "verdict"), reason = text(arm, "reason");
  return text(arm, "name") + ": " + (word.empty() ? "no verdict" : word) + (reason.empty() ? "" : ", " + reason) + ".";
}

std::string head(const Value& results) {
  const std::string name = text(results, "name"), question = text(results, "question");
  return name.empty() ? "" : name + (question.empty() ? "" : ": " + question) + "\n\n";
}

std::string state(const Value& results) {
  const Value& unfinished = member(results, "unfinished");
  if (!unfinished.is_int() || unfinished.as_int() == 0) return "";
  return "\nThe campaign has not ended: " + cell(member(results, "done")) + " members are done, " + cell(unfinished) + " are not.\n";
}

// What later edits of the recipe asked for.
std::string edits(const Value& results) {
  const Value& rows = member(results, "deviations");
  std::string out;
  for (const Value& row : rows.is_array() ? rows.as_array() : Value::Array())
    out += "Edited after " + cell(member(row, "done")) + " runs: " + text(row, "option") + " from " + core::to_json(member(row, "a")) +
           " to " + core::to_json(member(row, "b")) + (member(row, "followed") == Value(true) ? ", followed\n" : ", not followed\n");
  return out;
}

std::string calibration(const Value& results) {
  const Value& k = member(results, "calibration");
  if (!k.is_object()) return "";
  char line[300];
  std::snprintf(line, sizeof line, "measured: %.3g %% false verdicts at a stated %.3g %% (%s noise, %lld simulated campaigns; %s)\n",
                100 * k.at("false_rate").as_double(), 100 * k.at("stated_rate").as_double(), text(k, "noise").c_str(),
                static_cast<long long>(k.at("campaigns").as_int()), text(k, "command").c_str());
  return line;
}

std::string control_fault(const Value& results) {
  for (const Value& arm : arms_of(results))
    if (is_control(results, arm) && !text(arm, "reason").empty()) return "The control counts for nothing: " + text(arm, "reason") + "\n";
  return "";
}

std::string table_of(const Value& results) {
  TextTable table({"arm", "verdict", "effect", "interval", "e-value", "seeds"},
                  {Side::left, Side::left, Side::right, Side::right, Side::right, Side::right});
  for (const Value& arm : arms_of(results)) {
    const std::string word = is_control(results, arm) ? "control" : text(arm, "verdict");
    table.add({text(arm, "name"), word.empty() ? "-" : word, signed_cell(member(arm, "effect")), interval_cell(member(arm, "interval")),
               cell(member(arm, "e_value")), cell(member(arm, "seeds"))});
  }
  const std::string metric = text(results, "metric");
  const std::string sides = stats::metric_named(metric).higher_is_better ? "arm - control" : "control - arm";
  return table.text() + "effect and interval: " + sides + (metric.empty() ? "" : " in " + metric) + ", positive where the arm is better\n";
}

}  // namespace

Value verdict_document(const Value& results) {
  Value out = Value::object();
  for (const auto& [key, value] : results.is_object() ? results.as_object() : Value::Object())
    if (key != "arms" && key != "members") out[key] = value;
  out["arms"] = Value::array();
  for (const Value& arm : arms_of(results)) {
    Value row = Value::object();
    for (const char* key : {"name", "verdict", "effect", "interval", "e_value", "p_value", "seeds", "reason"}) row[key] = member(arm, key);
    if (row["verdict"].is_null() && is_control(results, arm)) row["verdict"] = "control";
    for (const auto& [key, value] : arm.as_object()) row[key] = row.find(key) != nullptr && value.is_null() ? row.at(key) : value;
    out["arms"].push_back(row);
  }
  return out;
}

std::string render_verdict(const Value& results) {
  std::string out = head(results) + control_fault(results);
  for (const Value& arm : arms_of(results))
    if (!is_control(results, arm)) out += sentence_of(arm) + "\n";
  return out + edits(results) + "\n" + table_of(results) + calibration(results) + state(results);
}

}  // namespace assay::cli
