#include "assay/lab/real_calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/campaign.h"
#include "assay/stats/decision.h"
#include "assay/stats/describe.h"
#include "assay/stats/planning.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr int64_t kSeeds = 20;  // of a campaign
constexpr double kRate = 0.05, kLevel = 0.99;

// Scores of control and arm, by seed.
using Pairs = std::vector<stats::Scores>;

const Value& arm_named(const Value& results, const char* name) {
  const auto& arms = results.at("arms").as_array();
  return *std::find_if(arms.begin(), arms.end(), [&](const Value& a) { return a.at("name") == Value(name); });
}

Pairs pairs_of(const Value& results, const std::string& campaign) {
  Pairs out;
  const auto& a = arm_named(results, "a").at("values").as_array();
  const auto& b = arm_named(results, "b").at("values").as_array();
  for (const Value& x : a)
    for (const Value& y : b)
      if (x.at("seed") == y.at("seed")) out.push_back({x.at("value").as_double(), y.at("value").as_double()});
  for (const stats::Scores& s : out)
    if (s.control == s.arm)
      throw core::ConfigError("calibrate", campaign + ": both arms lost " + std::to_string(s.arm) + "; their initial values are the same");
  return out;
}

// Whether and when the rule finds the arm with its score lowered by a share of the control's mean.
struct Found {
  stats::Word word = stats::Word::undecided;
  double seeds = 0;
};
Found find_planted(const Pairs& pairs, double share) {
  stats::Design design;
  design.hypotheses.push_back({"b", "a"});
  design.alpha = kRate;
  design.max_seeds = kSeeds;
  stats::Decision decision(design);
  double mean = 0;
  for (const stats::Scores& s : pairs) mean += s.control / static_cast<double>(pairs.size());
  for (const stats::Scores& s : pairs)
    if (decision.running()) decision.feed(std::array{stats::Scores{s.control, s.arm - share * mean}});
  return {decision.word(0), static_cast<double>(decision.seeds(0))};
}

Value planted_document(const std::vector<Pairs>& all, double share) {
  std::vector<double> seeds;
  int64_t wrong = 0;
  for (const Pairs& pairs : all) {
    const Found f = find_planted(pairs, share);
    if (f.word == stats::Word::better) seeds.push_back(f.seeds);
    wrong += f.word == stats::Word::worse ? 1 : 0;
  }
  Value v = Value::object();
  v["share"] = share;
  v["found"] = static_cast<int64_t>(seeds.size());
  v["wrong"] = wrong;
  v["median_seeds"] = seeds.empty() ? Value() : Value(stats::quantile(seeds, 0.5));
  v["high_seeds"] = seeds.empty() ? Value() : Value(stats::quantile(seeds, 0.9));
  return v;
}

// Of all pairs of all campaigns together: exchangeable arms have as many positive differences as negative ones, and no skewness.
void add_pooled(Value& v, const std::vector<Pairs>& all) {
  std::vector<double> control, arm, d;
  for (const Pairs& pairs : all)
    for (const stats::Scores& s : pairs) {
      control.push_back(s.control);
      arm.push_back(s.arm);
      d.push_back(s.control - s.arm);
    }
  const auto positive = std::count_if(d.begin(), d.end(), [](double x) { return x > 0; });
  const auto or_null = [](double x) { return std::isfinite(x) ? Value(x) : Value(); };
  v["pairs"] = static_cast<int64_t>(d.size());
  v["share_positive"] = d.empty() ? Value() : Value(static_cast<double>(positive) / static_cast<double>(d.size()));
  v["skewness"] = or_null(stats::skewness(d));
  const bool enough = d.size() >= 2;
  const stats::Pairing p = enough ? stats::pairing(control, arm) : stats::Pairing{};
  v["sd_difference"] = enough ? or_null(p.sd_difference) : Value();
  v["rho"] = enough ? or_null(p.rho) : Value();
}

Value run_one(const RealRequest& request, int64_t campaign) {
  const std::string name = "identical-" + std::to_string(campaign), recipe = request.directory + "/" + name + ".toml";
  core::write_file(core::real_files(), recipe, identical_arms_recipe(campaign));
  Request one;
  one.recipe = recipe;
  one.directory = request.directory + "/" + name;
  one.program = request.program;
  one.jobs = request.jobs;
  one.look_inside = false;
  Value results = run_campaign(one).results;
  for (const Value& m : results.at("members").as_array())  // weights are the bulk of what a campaign keeps
    core::real_files().remove_all(m.at("directory").as_string() + "/checkpoints");
  return results;
}

}  // namespace

std::string identical_arms_recipe(int64_t campaign) {
  std::string seeds;
  for (int64_t i = 0; i < kSeeds; ++i) seeds += (i > 0 ? ", " : "") + std::to_string(1000 + kSeeds * (campaign - 1) + i);
  return fmt::format(R"(name = "identical-{}"
question = "Does the rule find a difference between an architecture and itself?"
control = "a"
seeds = [{}]
tokens = 60000
error_rate = {}
audit = "none"
baselines = []
threads = 1

[common]
data.path = "grammar"
data.tokenizer = "words"
data.corpus_val_tokens = 20000
train.seq_len = 64
train.batch = 4
train.keep_checkpoints = 1
model.n_layer = 1
model.n_embd = 128
model.n_head = 4
optim.lr = 0.003

[[arm]]
name = "a"
arch = "gpt2"
train.init_salt = "a"

[[arm]]
name = "b"
arch = "gpt2"
train.init_salt = "b"
change = ["train.init_salt"]
)",
                     campaign, seeds, kRate);
}

int64_t binomial_limit(int64_t n, double p, double level) {
  double probability = std::exp(static_cast<double>(n) * std::log1p(-p)), sum = probability;
  int64_t k = 0;
  for (; sum < level && k < n; ++k) {
    probability *= static_cast<double>(n - k) / static_cast<double>(k + 1) * p / (1 - p);
    sum += probability;
  }
  return k;
}

Value calibrate_real(const RealRequest& request) {
  core::make_directories(core::real_files(), request.directory);
  Value v = Value::object();
  Value rows = Value::array();
  std::vector<Pairs> all;
  int64_t wrong = 0, refused = 0;
  for (int64_t c = 1; c <= request.campaigns; ++c) {
    const Value results = run_one(request, c);
    const Value& b = arm_named(results, "b");
    const std::string word = b.at("verdict").as_string();
    wrong += word == "better" || word == "worse" ? 1 : 0;
    refused += word == "refused" ? 1 : 0;
    all.push_back(pairs_of(results, results.at("name").as_string()));
    Value row = Value::object();
    row["name"] = results.at("name");
    for (const char* key : {"verdict", "seeds", "e_value", "reason"}) row[key] = b.at(key);
    rows.push_back(row);
    core::info("[calibrate] " + std::to_string(c) + " of " + std::to_string(request.campaigns) + " campaigns: " + word + "; " +
               std::to_string(wrong) + " false so far");
  }
  v["campaigns"] = request.campaigns;
  v["seeds"] = kSeeds;
  v["stated_rate"] = kRate;
  v["false_verdicts"] = wrong;
  v["limit"] = binomial_limit(request.campaigns, kRate, kLevel);
  v["refused"] = refused;
  v["pass"] = wrong <= v.at("limit").as_int() && refused == 0;
  add_pooled(v, all);
  v["planted"] = planted_document(all, request.planted);
  v["rows"] = rows;
  v["recipe"] = identical_arms_recipe(1);
  core::write_file(core::real_files(), request.directory + "/calibration.json", core::to_json(v, 2) + "\n");
  return v;
}

}  // namespace assay::lab
