#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "assay/data/corpus.h"

namespace assay::data {

// Tasks whose answer is known: rows of a fixed number of tokens, one example each, ended by the first token of the next row. With
// train.seq_len = `row` every window is one example; model.loss_first and model.loss_last count the answer alone [components 11].
struct Task {
  std::string_view name, summary;
  int64_t row = 0, vocab = 0;
  int64_t first = 0, last = 0;  // positions of the answer
  // Of a counted token. Chance: one who knows the form of answers and nothing else, and says the most frequent one; oracle: one who knows
  // the rule.
  double chance_nats = 0, oracle_nats = 0;
  double chance_accuracy = 0, oracle_accuracy = 1;
};
std::vector<Task> tasks();
std::optional<Task> find_task(std::string_view name);
std::vector<EmbeddedCorpus> task_corpora();

// How many examples a split holds where it is a fixed set; 0: as many as one likes.
uint64_t task_examples(const Task& task, std::string_view split);
// Tokens of the split: `n` of them, going through a fixed set again and again.
std::vector<uint16_t> task_tokens(const Task& task, uint64_t seed, std::string_view split, size_t n);

}  // namespace assay::data
