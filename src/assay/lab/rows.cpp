#include "assay/lab/rows.h"

#include <cmath>
#include <limits>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/stats/metric.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr int64_t kFailuresOfAnArm = 2;
constexpr uint64_t kAuditLimit = uint64_t{4} << 20;

std::optional<double> metric_of(const results::Summary& s, const std::string& metric) {
  if (metric == "val_bits_per_byte") return s.val_bits_per_byte;
  if (metric == "accuracy") return s.accuracy;
  return metric == "train_loss" ? s.train_loss : s.val_loss;
}

bool diverged(const Row& r) {
  return r.standing.state == State::failed && r.standing.summary && r.standing.summary->exit_code == static_cast<int>(core::Exit::diverged);
}

std::string beats_entropy(const Row& r) {
  if (!r.standing.summary || !r.standing.summary->entropy || !r.standing.summary->entropy->refuted()) return "";
  const stats::EntropyRule& e = *r.standing.summary->entropy;
  char text[200];
  std::snprintf(text, sizeof text,
                "its loss, %.4f nats a token with seed %lld, lies below the entropy of the text, %.4f: it sees what it predicts",
                e.model_loss(), static_cast<long long>(r.member->seed), e.entropy());
  return text;
}

size_t index_of_arm(const Recipe& recipe, const Row& r) { return static_cast<size_t>(r.member->arm - recipe.arms.data()); }

}  // namespace

Score score_of(const Row& r, const std::string& metric) {
  if (r.value) return {Score::Kind::scored, stats::metric_named(metric).score(*r.value)};
  if (diverged(r)) return {Score::Kind::scored, std::numeric_limits<double>::quiet_NaN()};
  return {r.standing.state == State::failed ? Score::Kind::missing : Score::Kind::waiting, 0};
}

std::optional<double> cap_of(const Recipe& recipe, const Pinned& pinned) {
  if (stats::metric_named(recipe.metric).higher_is_better) return 0;  // of an accuracy
  if (pinned.vocab_size <= 1 || recipe.metric == "val_bits_per_byte") return std::nullopt;
  return std::log(static_cast<double>(pinned.vocab_size));
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

Value read_audit(const std::string& directory, const Arm& arm) {
  const std::string path = directory + "/audits/" + arm.name + ".json";
  if (!core::file_exists(path)) return {};
  return core::parse_json(core::read_file(path, kAuditLimit), path);
}

std::string refusal_by_audit(const Value& audit) {
  if (audit.is_null() || audit.at("pass").as_bool()) return "";
  for (const Value& check : audit.at("checks").as_array())
    for (const Value& f : check.at("findings").as_array()) {
      const std::string where = f.at("where").as_string();
      return "audit failed: " + check.at("check").as_string() + (where.empty() ? "" : " at " + where) + ": " + f.at("message").as_string();
    }
  return "audit failed";
}

Standings standings_of(const Recipe& recipe, const std::vector<Row>& rows, const std::vector<Value>& audits,
                       const std::vector<Tuned>& tuned, const Pinned& pinned) {
  Standings s{std::vector(recipe.arms.size(), std::vector<Score>(recipe.seeds.size())), std::vector<std::string>(recipe.arms.size()), {}};
  s.cap = cap_of(recipe, pinned);
  std::vector<int64_t> failures(recipe.arms.size());
  std::vector<size_t> next(recipe.arms.size());
  for (size_t a = 0; a < audits.size(); ++a) s.refused[a] = refusal_by_audit(audits[a]);
  for (size_t a = 0; a < tuned.size(); ++a)
    if (s.refused[a].empty()) s.refused[a] = tuned[a].refusal;
  for (const Row& r : rows) {  // seed by seed, so that the first reason in the order of seeds is the one that is given
    const size_t a = index_of_arm(recipe, r);
    const Score score = score_of(r, recipe.metric);
    s.scores[a][next[a]++] = score;
    if (!s.refused[a].empty()) continue;
    s.refused[a] = beats_entropy(r);
    if (score.kind == Score::Kind::missing && ++failures[a] == kFailuresOfAnArm)
      s.refused[a] = std::to_string(kFailuresOfAnArm) + " of its members failed; the last: " + core::printable(r.standing.summary->error);
  }
  return s;
}

}  // namespace assay::lab
