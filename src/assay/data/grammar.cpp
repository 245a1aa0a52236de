#include "assay/data/grammar.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/choices.h"
#include "assay/data/grammar_machine.h"

namespace assay::data {
namespace {

using grammar::Machine;
using grammar::State;
using grammar::Symbol;

class Writer final : public grammar::Pen {
 public:
  void put(std::string_view text) override { document.text += text; }
  void agreement(uint32_t first, uint32_t end, int32_t distance) override { document.agreements.push_back({first, end, distance}); }
  GrammarDocument document;
};

// Holds what is written against a text.
class GrammarReader final : public grammar::Pen {
 public:
  explicit GrammarReader(std::string_view text) : rest(text) {}
  void put(std::string_view text) override {
    matches = matches && rest.starts_with(text);
    if (matches) rest.remove_prefix(text.size());
  }
  void agreement(uint32_t, uint32_t, int32_t) override {}
  std::string_view rest;
  bool matches = true;
};

double log_of_share(const std::vector<uint16_t>& weights, size_t i) {
  const auto total = std::accumulate(weights.begin(), weights.end(), uint32_t{0});
  return weights[i] == total ? 0.0 : std::log(static_cast<double>(total) / weights[i]);
}

// Which of the two closing marks, the last alternatives, makes a text of the split.
size_t closing(std::string_view before, size_t alternatives, std::string_view split) {
  const bool odd = core::hash64(before) & 1;
  return alternatives - 1 - (odd == (split == "val"));
}

// Follows every alternative as far as the text bears it out.
class Rederiver {
 public:
  explicit Rederiver(const Machine& machine) : machine_(machine) {}

  void run(State state, GrammarReader at, double nats, size_t level = 0) {
    if (levels_.size() <= level) levels_.emplace_back();
    while (!state.done()) {
      const Symbol symbol = state.pop();
      machine_.weights(state, symbol, levels_[level]);
      if (levels_[level].size() > 1) return branch(state, symbol, at, nats, level);
      machine_.apply(state, symbol, 0, at);
      if (!at.matches) return;
    }
    if (at.rest.empty()) found_.push_back(nats);
  }

  Grammar::Derivations result() const {
    if (found_.empty()) return {0, std::numeric_limits<double>::infinity()};
    const double least = *std::min_element(found_.begin(), found_.end());
    double sum = 0;
    for (const double n : found_) sum += std::exp(least - n);
    return {found_.size(), least - std::log(sum)};
  }

 private:
  void branch(const State& state, Symbol symbol, const GrammarReader& at, double nats, size_t level) {
    for (size_t i = 0; i < levels_[level].size(); ++i) {
      if (levels_[level][i] == 0) continue;
      State next = state;
      GrammarReader reader = at;
      machine_.apply(next, symbol, i, reader);
      if (reader.matches) run(next, reader, nats + log_of_share(levels_[level], i), level + 1);
    }
  }

  const Machine& machine_;
  std::deque<std::vector<uint16_t>> levels_;  // weights of the choices that are open
  std::vector<double> found_;
};

void check(const GrammarOptions& o) {
  const auto refuse = [](const char* name, int64_t least, int64_t most, int64_t found) {
    throw core::ConfigError("data", std::string(name) + ": wanted " + std::to_string(least) + " to " + std::to_string(most) + ", found " +
                                        std::to_string(found));
  };
  if (o.words < kLeastGrammarWords || o.words > kMostGrammarWords) {
    refuse("grammar_words", kLeastGrammarWords, kMostGrammarWords, o.words);
  }
  if (o.depth < 0 || o.depth > kMostGrammarDepth) refuse("grammar_depth", 0, kMostGrammarDepth, o.depth);
}

GrammarOptions checked(const GrammarOptions& o) {
  check(o);
  return o;
}

}  // namespace

struct Grammar::Impl {
  explicit Impl(const GrammarOptions& o) : machine(o.words, o.depth) {}
  Machine machine;
};

Grammar::Grammar(const GrammarOptions& options) : impl_(std::make_unique<const Impl>(checked(options))) {}
Grammar::~Grammar() = default;

GrammarDocument Grammar::document(uint64_t seed, std::string_view split, uint64_t index) const {
  if (split != "train" && split != "val") throw core::ConfigError("data", "split: wanted train or val, found " + std::string(split));
  Choices choices(core::Stream(seed, "corpus/grammar/" + std::string(split), index));
  Writer writer;
  std::vector<uint16_t> weights;
  const Machine& machine = impl_->machine;
  for (State state = machine.start(); !state.done();) {
    const Symbol symbol = state.pop();
    machine.weights(state, symbol, weights);
    size_t i = weights.size() > 1 ? choices.choose(weights) : 0;
    if (Machine::ends(symbol, i)) i = closing(writer.document.text, weights.size(), split);
    writer.document.nats += log_of_share(weights, i);
    machine.apply(state, symbol, i, writer);
  }
  return std::move(writer.document);
}

Grammar::Derivations Grammar::rederive(std::string_view text) const {
  Rederiver r(impl_->machine);
  r.run(impl_->machine.start(), GrammarReader(text), 0);
  return r.result();
}

std::vector<std::string> Grammar::words() const {
  std::set<std::string> out;
  for (size_t c = 0; c < grammar::kClasses; ++c) {
    for (const grammar::Word& w : impl_->machine.lexicon().of(static_cast<grammar::Class>(c))) {
      for (const std::string& form : {w.one, w.many, w.past}) {
        if (!form.empty()) out.insert(form);
      }
    }
  }
  for (size_t n = 1; n < grammar::numerals.size(); ++n) out.insert(grammar::numerals[n]);
  for (const char* w :
       {"it",    "is",   "was",     "are",   "were",  "at",   "the",  "a",    "an",   "who", "lives", "lived", "when",  "together",
        "they",  "have", "had",     "has",   "later", "soon", "then", "she",  "he",   "her", "his",   "its",   "their", "that",
        "every", "this", "some",    "many",  "these", "goes", "go",   "went", "home", "to",  "again", "gets",  "get",   "got",
        "drops", "drop", "dropped", "still", "near",  "and",  "now",  "more", "+",    "-",   "="}) {
    out.insert(w);
  }
  return {out.begin(), out.end()};
}

std::string_view grammar_split(std::string_view text) {
  const size_t mark = text.find_last_of(".!");
  if (mark == std::string_view::npos) return "train";
  return closing(text.substr(0, mark), 4, "val") == (text[mark] == '!' ? 3U : 2U) ? "val" : "train";
}

const Grammar& shared_grammar(const GrammarOptions& options) {
  static std::mutex mutex;
  static std::map<std::pair<int64_t, int64_t>, std::unique_ptr<const Grammar>> made;
  const std::lock_guard lock(mutex);
  auto& entry = made[{options.words, options.depth}];
  if (!entry) entry = std::make_unique<const Grammar>(options);
  return *entry;
}

GrammarDocument grammar_document(const GrammarOptions& options, uint64_t seed, std::string_view split, uint64_t index) {
  return shared_grammar(options).document(seed, split, index);
}

Grammar::Derivations rederive(const GrammarOptions& options, std::string_view text) { return shared_grammar(options).rederive(text); }

}  // namespace assay::data
