#include <algorithm>
#include <array>

#include "assay/data/corpus.h"
#include "assay/data/tasks.h"

namespace assay::data {
namespace {

constexpr std::array entries{
    EmbeddedCorpus{"grammar",
                   "English-like documents of known probability: agreement over distance, nested clauses, recurring names, sums"},
    EmbeddedCorpus{"uniform", "independent uniform tokens, without text: nothing can be learnt, and how little is known exactly"},
};

}  // namespace

std::vector<EmbeddedCorpus> embedded_corpora() {
  std::vector<EmbeddedCorpus> all{entries.begin(), entries.end()};
  const std::vector<EmbeddedCorpus> of_tasks = task_corpora();
  all.insert(all.end(), of_tasks.begin(), of_tasks.end());
  return all;
}

bool is_embedded(std::string_view name) {
  return std::any_of(entries.begin(), entries.end(), [&](const EmbeddedCorpus& e) { return e.name == name; }) || find_task(name);
}

void append(std::vector<uint16_t>& tokens, std::string_view document, const Tokenizer& tokenizer) {
  if (tokenizer.bos() >= 0) tokens.push_back(static_cast<uint16_t>(tokenizer.bos()));
  const std::vector<uint16_t> ids = tokenizer.encode(document);
  tokens.insert(tokens.end(), ids.begin(), ids.end());
}

Tokenized tokenize(const std::vector<std::string>& documents, const Tokenizer& tokenizer) {
  Tokenized out;
  for (const std::string& document : documents) append(out.tokens, document, tokenizer);
  out.documents = documents.size();
  return out;
}

}  // namespace assay::data
