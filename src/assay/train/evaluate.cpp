#include "assay/train/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "assay/core/error.h"
#include "assay/data/loader.h"

namespace assay::train {
namespace {

int64_t bytes_of(const data::Rows& rows, const data::Tokenizer::ByteTable& table) {
  int64_t bytes = 0;
  for (size_t i = 0; i < rows.targets.size(); ++i) {
    const auto y = static_cast<size_t>(rows.targets[i]), x = static_cast<size_t>(rows.inputs[i]);
    bytes += table.bytes[y] + (table.leading_space[y] != 0 && table.boundary[x] == 0 ? 1 : 0);
  }
  return bytes;
}

}  // namespace

Evaluation evaluate(const arch::Built& built, const data::TokenSource& tokens, const data::Tokenizer* tokenizer, int64_t seq_len,
                    int64_t rows, int64_t max_tokens) {
  const at::NoGradGuard no_grad;
  int64_t windows = data::validation_windows(tokens, seq_len);
  if (max_tokens > 0) windows = std::min(windows, std::max<int64_t>(1, max_tokens / seq_len));
  if (windows == 0)
    throw core::DataError(
        "eval", "the validation text has " + std::to_string(tokens.size()) + " tokens; one window needs " + std::to_string(seq_len + 1));
  data::Tokenizer::ByteTable table;
  if (tokenizer != nullptr) table = tokenizer->byte_table();
  Evaluation e;
  double total = 0;
  for (int64_t first = 0; first < windows; first += rows) {
    const data::Rows r = data::validation_rows(tokens, seq_len, first, std::min(rows, windows - first));
    const Batch b = to_batch(r, built.params->device());
    const auto targets = static_cast<int64_t>(r.targets.size());
    total += built.model->loss(built.model->forward(b.ids_BT), b.targets_BT).item().toDouble() * static_cast<double>(targets);
    e.tokens += targets;
    if (tokenizer != nullptr) e.bytes += bytes_of(r, table);
  }
  e.loss = total / static_cast<double>(e.tokens);
  if (e.bytes > 0) e.bits_per_byte = e.loss / std::numbers::ln2 * static_cast<double>(e.tokens) / static_cast<double>(e.bytes);
  return e;
}

}  // namespace assay::train
