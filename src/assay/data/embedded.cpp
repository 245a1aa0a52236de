#include <algorithm>
#include <array>

#include "assay/core/error.h"
#include "assay/core/options.h"
#include "assay/data/corpus.h"

namespace assay::data {
namespace {

struct Entry {
  EmbeddedCorpus about;
  std::string (*document)(uint64_t seed, std::string_view split, uint64_t index);
};

constexpr std::array entries{
    Entry{{"grammar", "English-like sentences: agreement over distance, nested clauses, recurring names, small sums"}, grammar_document},
};

const Entry* find(std::string_view name) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.about.name == name; });
  return found == entries.end() ? nullptr : &*found;
}

void append(std::vector<uint16_t>& tokens, std::string_view document, const Tokenizer& tokenizer) {
  if (tokenizer.bos() >= 0) tokens.push_back(static_cast<uint16_t>(tokenizer.bos()));
  const std::vector<uint16_t> ids = tokenizer.encode(document);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
}

}  // namespace

std::vector<EmbeddedCorpus> embedded_corpora() {
  std::vector<EmbeddedCorpus> out;
  for (const Entry& e : entries) out.push_back(e.about);
  return out;
}

bool is_embedded(std::string_view name) { return find(name) != nullptr; }

Tokenized tokenize(const std::vector<std::string>& documents, const Tokenizer& tokenizer) {
  Tokenized out;
  for (const std::string& document : documents) append(out.tokens, document, tokenizer);
  out.documents = documents.size();
  return out;
}

Tokenized generate(std::string_view corpus, uint64_t seed, std::string_view split, int64_t tokens, const Tokenizer& tokenizer) {
  const Entry* entry = find(corpus);
  if (!entry) {
    std::vector<std::string> known;
    for (const Entry& e : entries) known.emplace_back(e.about.name);
    throw core::ConfigError("data", core::unknown_name("corpus", corpus, known));
  }
  const auto wanted = static_cast<size_t>(std::max<int64_t>(tokens, 0));
  Tokenized out;
  out.tokens.reserve(wanted);
  while (out.tokens.size() < wanted) append(out.tokens, entry->document(seed, split, out.documents++), tokenizer);
  out.tokens.resize(wanted);
  return out;
}

}  // namespace assay::data
