#include "assay/data/generator.h"

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/data/tasks.h"

namespace assay::data {
namespace {

constexpr size_t kBlock = 128;  // tokens of a piece of "uniform"

// Uniform on [0, symbols) up to a relative error below 2^-48.
std::vector<uint16_t> uniform_tokens(const Generator& g, std::string_view split, size_t n) {
  const core::Stream stream(g.seed, "corpus/uniform/" + std::string(split));
  std::vector<uint16_t> out(n);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<uint16_t>(stream.below(i, static_cast<uint64_t>(g.symbols)));
  return out;
}

Validation uniform_validation(const Generator& g, size_t tokens) {
  const size_t blocks = std::max<size_t>(1, (std::max<size_t>(tokens, 1) - 1 + kBlock - 1) / kBlock);
  Validation out;
  out.text = {uniform_tokens(g, "val", 1 + blocks * kBlock), 1};
  out.entropy.emplace();
  for (size_t i = 1; i <= blocks; ++i) out.entropy->ends.push_back(1 + i * kBlock);
  out.entropy->nats.assign(blocks, static_cast<double>(kBlock) * std::log(static_cast<double>(g.symbols)));
  return out;
}

// Whole examples, each once where there is a fixed set of them, and the first token behind the last.
Validation task_validation(const Task& task, uint64_t seed, size_t tokens) {
  const auto row = static_cast<size_t>(task.row);
  size_t examples = std::max<size_t>(1, (tokens + row - 1) / row);
  if (const uint64_t all = task_examples(task, "val")) examples = std::min<size_t>(examples, all);
  return {{task_tokens(task, seed, "val", examples * row + 1), examples}, std::nullopt};
}

// Adds the documents of a split one by one and keeps the account of what is known about them.
class Account {
 public:
  explicit Account(const Tokenizer& tokenizer) : tokenizer_(tokenizer), table_(tokenizer.byte_table()) {}

  void add(const GrammarDocument& d, Tokenized& to) {
    if (tokenizer_.bos() >= 0) to.tokens.push_back(static_cast<uint16_t>(tokenizer_.bos()));
    const std::vector<uint16_t> ids = tokenizer_.encode(d.text);
    const std::vector<size_t> starts = starts_of(ids);
    if (starts.back() != d.text.size() || tokenizer_.decode(ids) != d.text) exact_ = false;
    if (exact_) mark(d, starts, to.tokens.size());
    to.tokens.insert(to.tokens.end(), ids.begin(), ids.end());
    ++to.documents;
    entropy_.ends.push_back(to.tokens.size() + 1);  // with the bos that follows
    entropy_.nats.push_back(d.nats - kSplitNats);
  }

  std::optional<KnownEntropy> result() && {
    if (exact_ && tokenizer_.bos() >= 0) return std::move(entropy_);
    core::warn("data: what the grammar knows about its text is not used: the tokenizer " + tokenizer_.description() +
               (exact_ ? " has no bos to end documents with" : " does not give the text back"));
    return std::nullopt;
  }

 private:
  // Byte positions at which the tokens begin, and the end.
  std::vector<size_t> starts_of(const std::vector<uint16_t>& ids) const {
    std::vector<size_t> out{0};
    bool boundary = true;
    for (const uint16_t id : ids) {
      out.push_back(out.back() + static_cast<size_t>(table_.bytes[id] + (table_.leading_space[id] && !boundary)));
      boundary = table_.boundary[id] != 0;
    }
    return out;
  }

  void mark(const GrammarDocument& d, const std::vector<size_t>& starts, size_t offset) {
    for (const GrammarDocument::Agreement& a : d.agreements) {
      const auto first = std::upper_bound(starts.begin(), starts.end(), a.first) - starts.begin() - 1;
      const auto end = std::lower_bound(starts.begin(), starts.end(), a.end) - starts.begin();
      entropy_.agreements.push_back({offset + static_cast<uint64_t>(first), offset + static_cast<uint64_t>(end), a.distance});
    }
  }

  const Tokenizer& tokenizer_;
  Tokenizer::ByteTable table_;
  KnownEntropy entropy_;
  bool exact_ = true;
};

}  // namespace

core::Value Generator::describe() const {
  core::Value out = core::Value::object();
  out["corpus"] = corpus;
  out["seed"] = seed;
  if (has_text()) {
    out["grammar_words"] = grammar.words;
    out["grammar_depth"] = grammar.depth;
  } else {
    out["vocab_size"] = symbols;
  }
  return out;
}

std::optional<Generator> Generator::from(const core::Value& source) {
  const auto number = [&](const char* key, int64_t least, int64_t most) -> std::optional<int64_t> {
    const core::Value* v = source.find(key);
    if (!v || !v->is_int() || v->as_int() < least || v->as_int() > most) return std::nullopt;
    return v->as_int();
  };
  const core::Value* corpus = source.is_object() ? source.find("corpus") : nullptr;
  if (!corpus || !corpus->is_string() || !is_embedded(corpus->as_string())) return std::nullopt;
  Generator out;
  out.corpus = corpus->as_string();
  const auto seed = number("seed", 0, INT64_MAX), words = number("grammar_words", kLeastGrammarWords, kMostGrammarWords),
             depth = number("grammar_depth", 0, kMostGrammarDepth), symbols = number("vocab_size", 1, 65536);
  if (!seed || (out.has_text() ? !words || !depth : !symbols)) return std::nullopt;
  out.seed = static_cast<uint64_t>(*seed);
  if (out.has_text()) out.grammar = {*words, *depth};
  else out.symbols = *symbols;
  return out;
}

Tokenized generate(const Generator& g, std::string_view split, int64_t tokens, const Tokenizer* tokenizer) {
  const auto wanted = static_cast<size_t>(std::max<int64_t>(tokens, 0));
  if (const auto task = find_task(g.corpus)) return {task_tokens(*task, g.seed, split, wanted), wanted / static_cast<size_t>(task->row)};
  if (!g.has_text()) return {uniform_tokens(g, split, wanted), 1};
  Tokenized out;
  out.tokens.reserve(wanted);
  const Grammar& grammar = shared_grammar(g.grammar);
  while (out.tokens.size() < wanted) {
    append(out.tokens, grammar.document(g.seed, split, out.documents++).text, *tokenizer);
  }
  out.tokens.resize(wanted);
  return out;
}

Validation generate_validation(const Generator& g, int64_t tokens, const Tokenizer* tokenizer) {
  const auto wanted = static_cast<size_t>(std::max<int64_t>(tokens, 0));
  if (const auto task = find_task(g.corpus)) return task_validation(*task, g.seed, wanted);
  if (!g.has_text()) return uniform_validation(g, wanted);
  const Grammar& grammar = shared_grammar(g.grammar);
  Validation out;
  Account account(*tokenizer);
  do account.add(grammar.document(g.seed, "val", out.text.documents), out.text);
  while (out.text.tokens.size() + 1 < wanted);
  if (tokenizer->bos() >= 0) out.text.tokens.push_back(static_cast<uint16_t>(tokenizer->bos()));
  out.entropy = std::move(account).result();
  return out;
}

}  // namespace assay::data
