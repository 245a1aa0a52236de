#include "assay/lab/comparison.h"

#include <cmath>
#include <map>
#include <optional>

#include "assay/core/error.h"
#include "assay/stats/paired.h"

namespace assay::lab {
namespace {

using core::Value;

struct Row {
  const Member* member;
  Standing standing;
  std::optional<double> value;  // the metric of a member that is done
};

Value number_or_null(double v) { return std::isfinite(v) ? Value(v) : Value(); }
Value number_or_null(const std::optional<double>& v) { return v ? number_or_null(*v) : Value(); }

std::optional<double> metric_of(const results::Summary& s, const std::string& metric) {
  if (metric == "val_bits_per_byte") return s.val_bits_per_byte;
  return metric == "train_loss" ? s.train_loss : s.val_loss;
}

Row row_of(const Member& m, const std::string& metric) {
  Row row{&m, standing_of(m), std::nullopt};
  if (row.standing.state != State::done) return row;
  row.value = metric_of(*row.standing.summary, metric);
  if (row.value) return row;
  row.standing.state = State::failed;  // it ended well but says nothing that the campaign asks for
  row.standing.summary->error = "the run measured no " + metric;
  return row;
}

int64_t tokens_of(const Row& row) {
  if (row.standing.state == State::waiting) return 0;
  if (row.standing.summary) return row.standing.summary->tokens;
  return tokens_so_far(*row.member);
}

Value member_document(const Row& row) {
  const auto& summary = row.standing.summary;
  Value v = Value::object();
  v["arm"] = row.member->arm->name;
  v["seed"] = row.member->seed;
  v["status"] = name_of(row.standing.state);
  v["val_loss"] = summary ? number_or_null(summary->val_loss) : Value();
  v["value"] = number_or_null(row.value);
  v["tokens"] = tokens_of(row);
  v["seconds"] = summary ? number_or_null(summary->seconds) : Value();
  v["exit_code"] = summary ? Value(summary->exit_code) : Value();
  v["error"] = summary ? core::printable(summary->error) : "";
  v["directory"] = row.member->directory;
  return v;
}

using BySeed = std::map<int64_t, double>;

BySeed values_of(const std::vector<Row>& rows, const std::string& arm) {
  BySeed out;
  for (const Row& r : rows)
    if (r.member->arm->name == arm && r.value) out[r.member->seed] = *r.value;
  return out;
}

void add_differences(Value& v, const Recipe& recipe, const BySeed& control, const BySeed& arm) {
  Value list = Value::array();
  std::vector<double> differences;
  for (int64_t seed : recipe.seeds) {
    if (!control.count(seed) || !arm.count(seed)) continue;
    differences.push_back(control.at(seed) - arm.at(seed));
    Value one = Value::object();
    one["seed"] = seed;
    one["difference"] = differences.back();
    list.push_back(std::move(one));
  }
  const stats::PairedSummary s = stats::paired_t(differences, recipe.confidence);
  v["differences"] = std::move(list);
  v["mean_difference"] = number_or_null(s.mean);
  v["interval"] = s.n < 2 ? Value() : Value(Value::Array{s.lower, s.upper});
  v["p_value"] = s.n < 2 ? Value() : Value(s.p_two_sided);
}

Value arm_document(const Recipe& recipe, const std::vector<Row>& rows, const Arm& arm) {
  const BySeed own = values_of(rows, arm.name);
  std::vector<double> values;
  for (const auto& [seed, value] : own) values.push_back(value);
  const stats::MeanSd m = stats::mean_sd(values);
  Value v = Value::object();
  v["name"] = arm.name;
  v["arch"] = arm.arch;
  v["n"] = m.n;
  v["mean"] = number_or_null(m.mean);
  v["sd"] = number_or_null(m.sd);
  if (arm.name != recipe.control) {
    add_differences(v, recipe, values_of(rows, recipe.control), own);
    return v;
  }
  v["differences"] = Value::array();
  for (const char* key : {"mean_difference", "interval", "p_value"}) v[key] = Value();
  return v;
}

int64_t count(const std::vector<Row>& rows, State state) {
  int64_t n = 0;
  for (const Row& r : rows) n += r.standing.state == state;
  return n;
}

}  // namespace

Value compare(const Recipe& recipe, const std::vector<Member>& members, const Pinned& pinned) {
  std::vector<Row> rows;
  for (const Member& m : members) rows.push_back(row_of(m, recipe.metric));
  Value v = Value::object();
  v["name"] = recipe.name;
  v["question"] = recipe.question;
  v["control"] = recipe.control;
  v["metric"] = recipe.metric;
  v["confidence"] = recipe.confidence;
  v["tokens"] = recipe.tokens;
  v["threads"] = pinned.threads;
  v["product_backend"] = pinned.product;
  v["seeds"] = recipe.document().at("seeds");
  v["members"] = Value::array();
  for (const Row& r : rows) v["members"].push_back(member_document(r));
  v["arms"] = Value::array();
  for (const Arm& a : recipe.arms) v["arms"].push_back(arm_document(recipe, rows, a));
  const int64_t done = count(rows, State::done), failed = count(rows, State::failed);
  v["done"] = done;
  v["failed"] = failed;
  v["unfinished"] = static_cast<int64_t>(rows.size()) - done - failed;
  return v;
}

}  // namespace assay::lab
