#include "assay/data/ngram.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "assay/core/error.h"

namespace assay::data {
namespace {

constexpr uint64_t kChunk = uint64_t{1} << 16;

template <class F>
void each_token(const TokenSource& source, F&& f) {
  std::vector<uint16_t> tokens;
  for (uint64_t at = 0; at < source.size(); at += tokens.size()) {
    tokens.resize(std::min(kChunk, source.size() - at));
    source.read(at, tokens.size(), tokens.data());
    for (const uint16_t t : tokens) f(t);
  }
}

}  // namespace

NGram::NGram(int order, int64_t vocab) : order_(order), vocab_(vocab), nodes_(1) {
  if (order < 1 || order > 16) throw core::ConfigError("ngram", "order: wanted 1 to 16, found " + std::to_string(order));
  if (vocab < 1 || vocab > 65536) throw core::ConfigError("ngram", "vocab: wanted 1 to 65536, found " + std::to_string(vocab));
  discounts_.resize(static_cast<size_t>(order) + 1);
}

void NGram::check(uint16_t token) const {
  if (token < vocab_) return;
  throw core::DataError("ngram", "wanted ids below " + std::to_string(vocab_) + ", found " + std::to_string(token));
}

uint32_t NGram::find(uint32_t node, uint16_t token) const {
  const auto found = children_.find(uint64_t{node} << 16 | token);
  return found == children_.end() ? 0 : found->second;
}

uint32_t NGram::child(uint32_t node, uint16_t token, bool& fresh) {
  const auto [at, inserted] = children_.try_emplace(uint64_t{node} << 16 | token, static_cast<uint32_t>(nodes_.size()));
  fresh = inserted;
  if (inserted) {
    Node n;
    n.parent = node;
    n.length = static_cast<uint8_t>(nodes_[node].length + 1);
    nodes_.push_back(n);
  }
  return at->second;
}

// From the longest n-gram to the shortest: a k-gram that is met for the first time is a new left neighbour of the (k-1)-gram in it.
void NGram::count(Path& path, uint16_t token, bool target) {
  const bool whole_row = static_cast<int>(path.size()) <= order_;  // the longest of these n-grams begins the row
  Path next{0};
  bool longer_is_fresh = false;
  std::vector<uint32_t> reversed;
  for (size_t k = std::min(path.size(), static_cast<size_t>(order_)); k-- > 0;) {
    bool fresh = false;
    const uint32_t id = child(path[k], token, fresh);
    Node& n = nodes_[id];
    if (target) {
      ++n.count;
      n.left += longer_is_fresh;
      if (whole_row && reversed.empty() && !n.at_start) n.at_start = true, ++n.left;
      longer_is_fresh = fresh;
    }
    reversed.push_back(id);
  }
  next.insert(next.end(), reversed.rbegin(), reversed.rend());
  path = std::move(next);
}

void NGram::add(std::span<const uint16_t> row) {
  Path path{0};
  for (size_t i = 0; i < row.size(); ++i) {
    check(row[i]);
    count(path, row[i], i > 0);
  }
  stale_ = true;
}

void NGram::add(const TokenSource& source) {
  Path path{0};
  bool target = false;
  each_token(source, [&](uint16_t t) {
    check(t);
    count(path, t, std::exchange(target, true));
  });
  stale_ = true;
}

std::array<double, 3> NGram::discounts(const std::array<uint64_t, 5>& n) const {
  const auto c = [&](size_t j) { return static_cast<double>(n[j]); };
  if (n[1] == 0) return {0.5, 0.5, 0.5};
  const double y = c(1) / (c(1) + 2 * c(2));
  if (n[2] > 0 && n[3] > 0) {
    const std::array<double, 3> d{1 - 2 * y * c(2) / c(1), 2 - 3 * y * c(3) / c(2), 3 - 4 * y * c(4) / c(3)};
    if (d[0] >= 0 && d[1] >= 0 && d[2] >= 0) return d;
  }
  return {y, y, y};
}

void NGram::refresh() {
  if (!std::exchange(stale_, false)) return;
  std::vector<std::array<uint64_t, 5>> counts(discounts_.size());
  for (Node& n : nodes_) n.total = 0, n.of_count = {};
  for (size_t i = 1; i < nodes_.size(); ++i) {
    const Node& n = nodes_[i];
    const uint32_t c = effective(n);
    if (c == 0) continue;
    if (c <= 4) ++counts[n.length][c];
    nodes_[n.parent].total += c;
    ++nodes_[n.parent].of_count[std::min(c, 3U) - 1];
  }
  std::transform(counts.begin(), counts.end(), discounts_.begin(), [&](const auto& n) { return discounts(n); });
}

void NGram::follow(Path& path, uint16_t token) const {
  // Contexts of up to order - 1 tokens; a context that was never seen ends the list, for longer ones were not seen either.
  Path next{0};
  for (size_t k = 0; k < path.size() && static_cast<int>(k) + 1 < order_; ++k) {
    const uint32_t id = find(path[k], token);
    if (id == 0) break;
    next.push_back(id);
  }
  path = std::move(next);
}

double NGram::probability(const Path& path, uint16_t token) const {
  double p = 1.0 / static_cast<double>(vocab_);
  for (size_t k = 0; k < path.size() && static_cast<int>(k) < order_; ++k) {
    const Node& context = nodes_[path[k]];
    if (context.total == 0) continue;
    const std::array<double, 3>& d = discounts_[k + 1];
    double mass = 0;
    for (size_t j = 0; j < 3; ++j) mass += d[j] * context.of_count[j];
    const uint32_t id = find(path[k], token);
    const uint32_t c = id == 0 ? 0 : effective(nodes_[id]);
    const double kept = c == 0 ? 0 : c - d[std::min(c, 3U) - 1];
    p = (kept + mass * p) / context.total;
  }
  return p;
}

double NGram::probability(std::span<const uint16_t> context, uint16_t token) {
  refresh();
  check(token);
  Path path{0};
  for (const uint16_t t : context) follow(path, t);
  return probability(path, token);
}

std::vector<double> NGram::nats(const TokenSource& source) {
  refresh();
  std::vector<double> out;
  Path path{0};
  bool target = false;
  each_token(source, [&](uint16_t t) {
    check(t);
    if (std::exchange(target, true)) out.push_back(-std::log(probability(path, t)));
    follow(path, t);
  });
  return out;
}

double NGram::mean_nats(const TokenSource& source) {
  const std::vector<double> all = nats(source);
  return std::accumulate(all.begin(), all.end(), 0.0) / static_cast<double>(all.size());
}

}  // namespace assay::data
