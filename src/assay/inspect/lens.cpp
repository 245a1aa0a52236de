#include "assay/inspect/lens.h"

#include <ATen/ops/log_softmax.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "assay/core/error.h"

namespace assay::inspect {
namespace {

using core::Value;

Reading reading_of(const double* log_p, int64_t V, int64_t truth, int64_t top) {
  Reading r;
  std::vector<int64_t> order(static_cast<size_t>(V));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto shown = order.begin() + std::min(top, V);
  std::partial_sort(order.begin(), shown, order.end(),
                    [&](int64_t a, int64_t b) { return log_p[a] != log_p[b] ? log_p[a] > log_p[b] : a < b; });
  for (auto i = order.begin(); i != shown; ++i) r.top.push_back({*i, std::exp(log_p[*i])});
  for (int64_t v = 0; v < V; ++v) r.entropy -= std::exp(log_p[v]) * std::max(log_p[v], -1e300);
  if (truth < 0) return r;
  r.truth = std::exp(log_p[truth]);
  for (int64_t v = 0; v < V; ++v) r.rank_of_truth += log_p[v] > log_p[truth] || (log_p[v] == log_p[truth] && v <= truth) ? 1 : 0;
  return r;
}

std::vector<Reading> read(const Tensor& logits_1TV, const std::vector<uint16_t>& tokens, int64_t top) {
  const Tensor log_p = at::log_softmax(logits_1TV.to(at::kCPU, at::kDouble).squeeze(0), -1).contiguous();
  const int64_t T = log_p.size(0), V = log_p.size(1);
  std::vector<Reading> out;
  for (int64_t t = 0; t < T; ++t) {
    const int64_t truth = t + 1 < T ? tokens[static_cast<size_t>(t + 1)] : -1;
    out.push_back(reading_of(log_p.data_ptr<double>() + t * V, V, truth, top));
  }
  return out;
}

Value piece(uint16_t id, const data::Tokenizer* tokenizer) {
  Value v = Value::object();
  v["id"] = static_cast<int64_t>(id);
  v["piece"] = shown(id, tokenizer);
  return v;
}

}  // namespace

Lens look(const arch::Built& built, const std::vector<uint16_t>& tokens, int64_t top) {
  if (tokens.empty()) throw core::ConfigError("inspect", "wanted at least one token of text");
  const at::NoGradGuard no_grad;
  data::Rows rows;
  rows.rows = 1;
  rows.seq_len = static_cast<int64_t>(tokens.size());
  rows.inputs.assign(tokens.begin(), tokens.end());
  rows.targets = rows.inputs;
  const Tensor ids = train::to_batch(rows, built.params->device()).ids_BT;
  Lens lens;
  lens.tokens = tokens;
  const arch::Observer observe = [&](std::string_view name, const Tensor& state) {
    if (name == "final") return;  // what the answer is read from
    const Tensor logits = built.model->read_out(name, state);
    if (!logits.defined()) return;
    lens.steps.emplace_back(name);
    lens.readings.push_back(read(logits, tokens, top));
  };
  const Tensor logits = built.model->forward(ids, &observe);
  lens.steps.emplace_back("answer");
  lens.readings.push_back(read(logits, tokens, top));
  for (std::vector<Reading>& step : lens.readings)
    for (size_t t = 0; t < step.size(); ++t) step[t].agrees = step[t].top.front().id == lens.readings.back()[t].top.front().id;
  return lens;
}

std::string shown(uint16_t id, const data::Tokenizer* tokenizer) {
  if (tokenizer == nullptr || id >= tokenizer->vocab_size()) return "#" + std::to_string(id);
  return core::printable(tokenizer->piece(id), 60);
}

Value to_value(const Lens& lens, const data::Tokenizer* tokenizer) {
  Value v = Value::object();
  v["tokens"] = Value::array();
  for (const uint16_t id : lens.tokens) v["tokens"].push_back(piece(id, tokenizer));
  v["steps"] = Value::array();
  for (size_t s = 0; s < lens.steps.size(); ++s) {
    Value step = Value::object();
    step["name"] = lens.steps[s];
    step["positions"] = Value::array();
    for (const Reading& r : lens.readings[s]) {
      Value one = Value::object();
      one["top"] = Value::array();
      for (const Guess& g : r.top) {
        Value guess = piece(static_cast<uint16_t>(g.id), tokenizer);
        guess["probability"] = g.probability;
        one["top"].push_back(guess);
      }
      one["entropy"] = r.entropy;
      one["rank_of_truth"] = r.rank_of_truth > 0 ? Value(r.rank_of_truth) : Value();
      one["truth"] = r.rank_of_truth > 0 ? Value(r.truth) : Value();
      one["agrees"] = r.agrees;
      step["positions"].push_back(one);
    }
    v["steps"].push_back(step);
  }
  return v;
}

std::string to_text(const Lens& lens, const data::Tokenizer* tokenizer) {
  std::string out;
  for (size_t t = 0; t < lens.tokens.size(); ++t) {
    const bool follows = t + 1 < lens.tokens.size();
    out += fmt::format("{}  {}{}\n", t, shown(lens.tokens[t], tokenizer), follows ? "  then " + shown(lens.tokens[t + 1], tokenizer) : "");
    for (size_t s = 0; s < lens.steps.size(); ++s) {
      const Reading& r = lens.readings[s][t];
      std::string guesses;
      for (const Guess& g : r.top) guesses += fmt::format("  {} {:.2f}", shown(static_cast<uint16_t>(g.id), tokenizer), g.probability);
      out += fmt::format("    {:22} {} entropy {:.2f}  rank {:>4} {}\n", lens.steps[s], r.agrees ? "=" : " ", r.entropy,
                         r.rank_of_truth > 0 ? std::to_string(r.rank_of_truth) : "-", guesses);
    }
  }
  return out;
}

}  // namespace assay::inspect
