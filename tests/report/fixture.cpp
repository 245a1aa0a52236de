#include "report/fixture.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

namespace assay::test {
namespace {

using core::Value;

constexpr double kEntropy = 1.2143, kTokens = 3'000'000;

Value object(std::initializer_list<std::pair<const char*, Value>> members) {
  Value v = Value::object();
  for (const auto& [key, value] : members) v[key] = value;
  return v;
}

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// What is made up about an arm.
struct Sketch {
  std::string name, arch, verdict;
  double gain;    // by how much its loss is lower than the control's
  double noise;   // of the difference
  double escape;  // how much lower a run is that escapes from the plateau; every other one does
  double parameters, speed;
  std::string option, value;
};

const std::vector<Sketch>& sketches() {
  static const std::vector<Sketch> all = {
      {"gpt2", "gpt2", "control", 0, 0, 0, 214'272, 21'400, "", ""},
      {"gated_residual", "gpt2_gated", "better", 0.02, 0.006, 0.09, 230'912, 19'870, "model.gate", "true"},
      {"lowrank_vv", "v8_lowrank_vv", "better", 0.061, 0.009, 0, 198'656, 26'310, "model.interaction_rank", "16"},
      {"rms_qk", "gpt2", "equivalent", 0.001, 0.0025, 0, 214'400, 21'050, "model.qk_norm", "true"},
      {"sort_layer", "sort", "undecided", 0.008, 0.022, 0, 241'664, 9'120, "model.sort", "8"},
      {"linear_attention", "linear", "worse", -0.043, 0.008, 0, 214'272, 33'940, "model.attention", "linear"},
      {"future_rank64", "rank64", "refused", 0.31, 0.01, 0, 205'824, 24'600, "model.rank", "64"},
      {"wide_mlp", "gpt2", "undecided", 0.012, 0.004, 0, 345'344, 15'730, "model.mlp_ratio", "8"},
  };
  return all;
}

class Maker {
 public:
  Maker(std::string directory, const FixtureRequest& request)
      : directory_(std::move(directory)),
        request_(request),
        random_(20260131) {}  // NOLINT(bugprone-random-generator-seed): the same bytes each time

  Value run() {
    std::filesystem::create_directories(directory_ + "/members");
    for (int64_t seed = 1; seed <= request_.seeds; ++seed) luck_.push_back(normal(0.03));
    for (int64_t copy = 0; copy < request_.copies; ++copy)
      for (const Sketch& s : sketches())
        if (copy == 0 || s.verdict != "control") add_arm(named(s, copy));
    write_head();
    return results_;
  }

 private:
  double normal(double sd) { return std::normal_distribution<double>(0, sd)(random_); }

  Sketch named(Sketch s, int64_t copy) const {
    if (s.name == "gated_residual" && !request_.arm_name.empty()) s.name = request_.arm_name;
    if (copy > 0) s.name += "_" + std::to_string(copy + 1);
    return s;
  }

  bool waits(const Sketch& s) const { return !request_.finished && s.name == "wide_mlp"; }

  int64_t seeds_of(const Sketch& s) const { return s.name == "wide_mlp" ? std::min<int64_t>(3, request_.seeds) : request_.seeds; }

  std::string status_of(const Sketch& s, int64_t seed) const {
    if (waits(s)) return seed == 1 ? "unfinished" : "waiting";
    if (s.verdict == "refused") return "refused";
    if (s.name == "sort_layer" && seed == 3) return "failed";
    return seed > seeds_of(s) ? "not_needed" : "done";
  }

  double final_loss(const Sketch& s, int64_t seed) {
    const double base = kEntropy + 0.262 + luck_[static_cast<size_t>(seed - 1)] - s.gain + (s.verdict == "control" ? 0 : normal(s.noise));
    return seed % 2 == 1 ? base - s.escape : base;
  }

  void add_arm(const Sketch& s) {
    std::vector<std::pair<int64_t, double>> values;
    for (int64_t seed = 1; seed <= request_.seeds; ++seed) {
      const std::string status = status_of(s, seed);
      const double loss = final_loss(s, seed);
      if (status == "done") values.emplace_back(seed, loss);
      members_.push_back(member(s, seed, status, loss));
      if (status == "done" || status == "failed" || status == "unfinished") write_run(s, seed, status, loss);
    }
    if (s.verdict == "control") control_ = values;
    arms_.push_back(arm(s, values));
  }

  Value member(const Sketch& s, int64_t seed, const std::string& status, double loss) {
    const bool done = status == "done", begun = done || status == "failed" || status == "unfinished";
    Value m = object({{"arm", s.name}, {"seed", seed}, {"status", status}});
    m["val_loss"] = done ? Value(loss) : Value();
    const Value measured = m.at("val_loss");  // a copy: a new member moves the others
    m["value"] = measured;
    m["tokens"] = static_cast<int64_t>(done ? kTokens : begun ? kTokens * 0.4 : 0);
    m["seconds"] = begun ? Value(kTokens / s.speed * (done ? 1 : 0.4)) : Value();
    m["exit_code"] = done ? Value(0) : status == "failed" ? Value(3) : Value();
    m["error"] = status == "failed" ? "[train] step 1172: the loss is not finite" : "";
    m["directory"] = directory_ + "/members/" + s.name + "-s" + std::to_string(seed);
    return m;
  }

  void write_run(const Sketch& s, int64_t seed, const std::string& status, double loss) {
    const std::string run = directory_ + "/members/" + s.name + "-s" + std::to_string(seed);
    if (s.name.find('/') != std::string::npos) return;
    std::filesystem::create_directories(run);
    write(run + "/metrics.jsonl", metrics(s, seed, status, loss));
    write(run + "/config.toml", config(s, seed));
    write(run + "/env.json", core::to_json(environment()));
    if (status != "done") return;
    write(run + "/validation.json", core::to_json(validation(loss, seed)));
    const Value entropy = object({{"symbols", 50000},
                                  {"model_nats", loss * 50000},
                                  {"generator_nats", kEntropy * 50000},
                                  {"threshold", 13.8},
                                  {"entropy", kEntropy},
                                  {"refuted", false}});
    write(run + "/summary.json", core::to_json(object({{"status", "done"}, {"entropy", entropy}})));
  }

  // A power law towards the final loss; a run that escapes falls off a plateau in the middle.
  std::string metrics(const Sketch& s, int64_t seed, const std::string& status, double loss) {
    std::string out;
    const double end = status == "done" ? 1 : 0.4;
    const bool escapes = s.escape > 0 && seed % 2 == 1;
    for (int64_t i = 0; i <= request_.rows; ++i) {
      const double share = end * static_cast<double>(i) / static_cast<double>(request_.rows), tokens = std::round(share * kTokens);
      double level = loss + 4.2 * (std::pow(1 + 320 * share, -0.85) - std::pow(321.0, -0.85));
      if (escapes) level += s.escape / (1 + std::exp((share - 0.55) * 40));
      if (status == "failed" && i + 4 > request_.rows) level += std::exp2(static_cast<double>(i + 4 - request_.rows));
      const bool validated = i % std::max<int64_t>(1, request_.rows / 24) == 0 || i == request_.rows;
      if (i > 0) out += core::to_json(train_row(i, tokens, level + normal(0.03))) + "\n";
      if (validated) out += core::to_json(val_row(i, tokens, i == request_.rows && status == "done" ? loss : level)) + "\n";
    }
    return out;
  }

  static Value train_row(int64_t step, double tokens, double loss) {
    Value row = object({{"step", step * 10},
                        {"kind", "train"},
                        {"tokens", static_cast<int64_t>(tokens)},
                        {"loss", loss},
                        {"lr", 0.003},
                        {"grad_norm", 0.71}});
    row["update_ratio"] = 0.0021;
    row["activation_rms"] = object({{"embedding", 0.91},
                                    {"block.0.attention", 1.02},
                                    {"block.0.mlp", 1.31},
                                    {"block.1.attention", 1.44},
                                    {"block.1.mlp", 1.78},
                                    {"logits", 3.12}});
    row["time"] = object({{"seconds", tokens / 20000}, {"tokens_per_s", 20000.0}});
    return row;
  }

  static Value val_row(int64_t step, double tokens, double loss) {
    Value row = object(
        {{"step", step * 10}, {"kind", "val"}, {"tokens", static_cast<int64_t>(tokens)}, {"loss", loss}, {"bits_per_byte", loss / 0.6931}});
    row["val_tokens"] = 50000;
    row["time"] = object({{"seconds", tokens / 20000}});
    return row;
  }

  static std::string config(const Sketch& s, int64_t seed) {
    const bool quoted = s.value.empty() || !(s.value == "true" || (s.value.front() >= '0' && s.value.front() <= '9'));
    const std::string own =
        s.option.empty() ? "" : s.option.substr(s.option.find('.') + 1) + " = " + (quoted ? "\"" + s.value + "\"" : s.value) + "\n";
    return "arch = \"" + s.arch + "\"\n[data]\npath = \"grammar\"\ntokenizer = \"bytes\"\n[train]\nseed = " + std::to_string(seed) +
           "\nseq_len = 128\nbatch = 8\nthreads = 1\n[optim]\nlr = 0.003\nclip = 1.0\n[model]\nn_layer = 2\nn_embd = 64\n" + own;
  }

  static Value environment() {
    Value v = object({{"version", "0.1.0"}, {"torch", "2.11.0"}, {"started", "2026-01-31T12:00:00Z"}});
    v["build"] = object({{"compiler", "gcc 12.2.0"}, {"assertions", false}});
    v["processor"] = object({{"model", "AMD EPYC 7763"}, {"cores", 16}, {"memory_bytes", int64_t{67'438'952'448}}});
    v["system"] = object({{"system", "Linux"}, {"release", "6.1.0"}, {"machine", "x86_64"}, {"host", "lab-3"}});
    return v;
  }

  Value validation(double loss, int64_t seed) {
    Value v = object({{"loss", loss}, {"tokens", 50000}, {"agreement", Value::array()}});
    for (int64_t distance = 1; distance <= 8; ++distance)
      v["agreement"].push_back(
          object({{"distance", distance},
                  {"words", 400},
                  {"nats_per_word", (loss - 1.1) * (0.9 + 0.35 * static_cast<double>(distance)) + 0.004 * static_cast<double>(seed)}}));
    return v;
  }

  Value arm(const Sketch& s, const std::vector<std::pair<int64_t, double>>& values) {
    Value a =
        object({{"name", s.name}, {"arch", s.arch}, {"verdict", waits(s) ? Value() : Value(s.verdict)}, {"options", Value::object()}});
    double sum = 0, squares = 0;
    a["values"] = Value::array();
    a["differences"] = Value::array();
    std::vector<double> differences;
    for (const auto& [seed, value] : values) {
      a["values"].push_back(object({{"seed", seed}, {"value", value}}));
      sum += value;
      for (const auto& [other, base] : control_)
        if (other == seed && s.verdict != "control") {
          differences.push_back(base - value);
          a["differences"].push_back(object({{"seed", seed}, {"difference", base - value}}));
        }
    }
    const auto n = static_cast<double>(values.size());
    for (const auto& [seed, value] : values) squares += (value - sum / n) * (value - sum / n);
    a["n"] = static_cast<int64_t>(values.size());
    a["mean"] = values.empty() ? Value() : Value(sum / n);
    a["sd"] = values.size() < 2 ? Value() : Value(std::sqrt(squares / (n - 1)));
    add_evidence(a, s, differences);
    add_costs(a, s);
    return a;
  }

  void add_evidence(Value& a, const Sketch& s, std::vector<double> d) const {
    for (const char* key : {"effect", "interval", "level", "interval_alone", "e_value", "log_e", "p_value", "p_holm", "mean_difference",
                            "hodges_lehmann", "gaussian", "seeds", "stated_rate"})
      a[key] = Value();
    if (s.verdict == "refused") a["reason"] = "the audit found that it sees the tokens that it predicts";
    if (s.verdict == "refused") a["sentence"] = "No verdict: " + a.at("reason").as_string() + ".";
    if (d.empty() || s.verdict == "refused" || s.verdict == "control") return;
    std::sort(d.begin(), d.end());
    double mean = 0, squares = 0;
    for (const double x : d) mean += x / static_cast<double>(d.size());
    for (const double x : d) squares += (x - mean) * (x - mean);
    const double sd = std::sqrt(squares / std::max(1.0, static_cast<double>(d.size()) - 1)),
                 half = 3.4 * sd / std::sqrt(static_cast<double>(d.size()));
    const double log_e = std::min(9.0, 0.6 * static_cast<double>(d.size()) * std::fabs(mean) / (sd + 0.02));
    const bool bounded = d.size() > 3;
    a["effect"] = d[d.size() / 2];
    a["effect_method"] = "median-unbiased by sign flips";
    a["interval"] = Value::Array{bounded ? Value(mean - half) : Value(), mean + half};
    a["interval_alone"] = Value::Array{mean - 0.7 * half, mean + 0.7 * half};
    a["level"] = 0.99286;
    a["log_e"] = log_e;
    a["e_value"] = std::exp(log_e);
    a["p_value"] = std::exp(-log_e);
    a["p_holm"] = std::min(1.0, 7 * std::exp(-log_e));
    a["mean_difference"] = mean;
    a["hodges_lehmann"] = mean * 0.99;
    a["gaussian"] = object({{"e_value", std::exp(1.2 * log_e)}, {"interval", Value::Array{mean - 0.8 * half, mean + 0.8 * half}}});
    a["seeds"] = static_cast<int64_t>(d.size());
    a["stated_rate"] = 0.05;
    a["pairing"] = object({{"rho", 0.93 - 4 * s.noise}, {"sd_difference", sd}, {"seeds_ratio", 0.08 + 4 * s.noise}});
    a["validation_noise"] = object(
        {{"seeds", static_cast<int64_t>(d.size())}, {"blocks", 64}, {"seed_sd", 0.8 * sd}, {"text_sd", 0.1 * sd}, {"residual_sd", sd}});
    a["reason"] = s.verdict == "undecided" ? "the seeds that the recipe allows are used up" : "";
    a["sentence"] = sentence(a, s, static_cast<int64_t>(d.size()), std::exp(log_e));
  }

  static std::string sentence(const Value& a, const Sketch& s, int64_t n, double e) {
    char effect[64], evidence[32];
    std::snprintf(effect, sizeof effect, "%.4g", std::fabs(a.at("effect").as_double()));
    std::snprintf(evidence, sizeof evidence, "%.3g", e);
    const std::string seeds = std::to_string(n) + " paired seeds";
    const std::string rate = "false-discovery rate at most 0.05 over 7 hypotheses, if the arms are exchangeable when they do not differ";
    if (s.verdict == "equivalent")
      return s.name + " and gpt2 differ by less than 0.015 nats (e = " + evidence + ", " + seeds +
             "; such claims are false with rate at most 0.05).";
    if (s.verdict == "undecided")
      return "Not decided after " + seeds + ": " + effect + " nats, e = " + evidence +
             ". A difference of 0.03 nats would have been found with probability 0.8. Reason: " + a.at("reason").as_string() + ".";
    return s.name + (s.verdict == "better" ? " beats" : " loses to") + " gpt2 by " + effect + " nats after " + seeds + " (e = " + evidence +
           "; " + rate + ")" +
           (s.escape > 0
                ? "; two modes: escape " + std::to_string((n + 1) / 2) + " of " + std::to_string(n) + " against 0 of " + std::to_string(n)
                : "") +
           ".";
  }

  void add_costs(Value& a, const Sketch& s) const {
    a["audit"] = object({{"pass", s.verdict != "refused"},
                         {"level", "quick"},
                         {"fingerprint", "9f2c" + std::to_string(100000 + static_cast<int64_t>(s.speed))},
                         {"findings", Value::array()}});
    if (s.verdict == "refused") {
      a["audit"]["findings"].push_back(
          object({{"check", "causality"}, {"where", "block.0.rank"}, {"message", "position 17 changes when token 18 changes, by 0.42"}}));
      a["audit"]["findings"].push_back(object(
          {{"check", "entropy"}, {"where", ""}, {"message", "the loss, 0.8912, lies below the entropy of the text, 1.2143 nats a token"}}));
    }
    a["parameters"] = s.parameters;
    a["training_flops_per_token"] = 6.3 * s.parameters;
    a["tokens_per_s"] = s.speed;
    a["peak_bytes"] = 180e6 + 40 * s.parameters;
    a["seconds"] = kTokens / s.speed;
    a["change"] = Value::array();
    a["undeclared"] = Value::array();
    a["derived"] = Value::array();
    a["budget"] = object({{"match", "tokens"},
                          {"tokens", static_cast<int64_t>(kTokens)},
                          {"training_flops", 6.3 * s.parameters * kTokens},
                          {"mismatch", 0.0},
                          {"solved", Value::object()}});
    a["tuning"] = tuning(s);
    if (s.option.empty()) return;
    if (s.arch != "gpt2") a["change"].push_back(object({{"option", "arch"}, {"a", "gpt2"}, {"b", s.arch}}));
    a["change"].push_back(object({{"option", s.option}, {"a", Value()}, {"b", s.value}}));
  }

  // Three learning rates, the middle one the best.
  static Value tuning(const Sketch& s) {
    Value v = object({{"trials", Value::array()}, {"chosen", object({{"optim.lr", 0.003}})}, {"edge", ""}});
    for (const double lr : {0.001, 0.003, 0.01}) {
      const double off = std::log(lr / 0.003), mean = 1.9 + 0.05 * off * off + 1e-8 * s.parameters;
      v["trials"].push_back(
          object({{"values", object({{"optim.lr", lr}})}, {"scores", Value::Array{mean - 0.01, mean + 0.01}}, {"mean", mean}}));
    }
    return v;
  }

  static Value hypothesis(const Value& arm) {
    Value h = object({{"arm", arm}, {"control", "gpt2"}, {"metric", "val_loss"}, {"unit", "nats"}, {"margin", 0.015}});
    h["escape_threshold"] = arm.as_string() == "gated_residual" ? Value(1.42) : Value();
    h["cap"] = 5.545;
    return h;
  }

  void write_head() {
    Value seeds = Value::array();
    for (int64_t seed = 1; seed <= request_.seeds; ++seed) seeds.push_back(seed);
    Value r = object({{"name", "small-changes"}, {"question", request_.question}, {"control", "gpt2"}, {"metric", "val_loss"}});
    r["tokens"] = static_cast<int64_t>(kTokens);
    r["match"] = "tokens";
    r["seeds"] = seeds;
    r["threads"] = 1;
    r["product_backend"] = "aten";
    r["recipe_hash"] = "3b1f6f0e55d2c8a94d07c1e2a9b4f610";
    r["created"] = "2026-01-31T11:58:12Z";
    r["deviations"] = Value::array();
    r["calibration"] = object({{"stated_rate", 0.05},
                               {"false_rate", 0.0387},
                               {"noise", "two-mode +-1"},
                               {"campaigns", 10000},
                               {"command", "assay calibrate --seed 1"}});
    r["rule"] = "sequential";
    r["rounds"] = request_.seeds;
    r["design"] =
        object({{"alpha", 0.05}, {"m", 7 * request_.copies}, {"max_seeds", request_.seeds}, {"first_look", 2}, {"fixed_n", Value()}});
    r["design"]["hypotheses"] = Value::array();
    for (const Value& a : arms_.as_array())
      if (a.at("name").as_string() != "gpt2") r["design"]["hypotheses"].push_back(hypothesis(a.at("name")));
    r["not_needed"] = std::max<int64_t>(0, request_.seeds - 3) * request_.copies;
    r["references"] = Value::array();
    r["references"].push_back(object({{"name", "entropy"}, {"kind", "entropy"}, {"value", kEntropy}}));
    r["references"].push_back(object({{"name", "ngram:2"}, {"kind", "ngram"}, {"value", 2.0311}}));
    r["references"].push_back(object({{"name", "ngram:5"}, {"kind", "ngram"}, {"value", 1.6127}}));
    r["arms"] = arms_;
    r["members"] = members_;
    results_ = r;
    write(directory_ + "/results.json", core::to_json(r, 2) + "\n");
    write(directory_ + "/campaign.json", core::to_json(object({{"name", "small-changes"},
                                                               {"recipe_hash", r.at("recipe_hash")},
                                                               {"created", r.at("created")},
                                                               {"threads", 1},
                                                               {"product_backend", "aten"},
                                                               {"recipe", recipe(seeds)}})));
    write(directory_ + "/recipe.toml", recipe_text());
  }

  Value recipe(const Value& seeds) const {
    Value r = object({{"name", "small-changes"},
                      {"question", request_.question},
                      {"seeds", seeds},
                      {"control", "gpt2"},
                      {"metric", "val_loss"},
                      {"tokens", static_cast<int64_t>(kTokens)},
                      {"threads", 0}});
    r["arm"] = Value::object();
    for (const Value& a : arms_.as_array()) r["arm"][a.at("name").as_string()] = object({{"arch", a.at("arch")}});
    return r;
  }

  std::string recipe_text() const {
    std::string out = "name = \"small-changes\"\nseeds = " + std::to_string(request_.seeds) +
                      "\ncontrol = \"gpt2\"\ntokens = 3000000\n\n[common]\ndata.path = \"grammar\"\n";
    for (const Sketch& s : sketches()) {
      out += "\n[[arm]]\nname = \"" + s.name + "\"\narch = \"" + s.arch + "\"\n";
      if (!s.option.empty()) out += s.option + " = \"" + s.value + "\"\n";
    }
    return out;
  }

  std::string directory_;
  FixtureRequest request_;
  std::mt19937_64 random_;
  std::vector<double> luck_;
  std::vector<std::pair<int64_t, double>> control_;
  Value arms_ = Value::array(), members_ = Value::array(), results_;
};

}  // namespace

Value make_fixture(const std::string& directory, const FixtureRequest& request) { return Maker(directory, request).run(); }

}  // namespace assay::test
