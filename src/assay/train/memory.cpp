#include "assay/train/memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/ops/loss_head/linear_loss_head.h"

namespace assay::train {
namespace {

constexpr double kCertain = 0.75;  // of a prediction is needed in any case

double moments_of(const std::string& optimizer) {
  if (optimizer == "adam" || optimizer == "adamw") return 2;
  return 1;
}

}  // namespace

std::vector<MemoryItem> predict_memory(const RunConfig& config, int64_t parameters, int64_t data_vocab) {
  const double tokens = static_cast<double>(config.rows() * config.train.seq_len), weights = 4.0 * static_cast<double>(parameters);
  const double states = config.architecture->cost(config.model_options(), {data_vocab, config.train.seq_len}).activation_bytes * tokens;
  const bool narrow = config.train.precision == "bf16" && config.train.device != "cpu";
  const double logits = (narrow ? 2.0 : 4.0) * static_cast<double>(data_vocab);  // bytes of a token's
  std::vector<MemoryItem> items{
      {"states kept for the backward pass", narrow ? states / 2 : states},
      {"logits", std::min(logits * tokens, std::max(logits * static_cast<double>(config.train.seq_len), double{ops::kLogitsBytes}))},
      {"moments of " + config.optim.name, moments_of(config.optim.name) * weights},
      {"the batch", 16 * tokens},
  };
  std::sort(items.begin(), items.end(), [](const MemoryItem& a, const MemoryItem& b) { return a.bytes > b.bytes; });
  return items;
}

void require_memory(const std::vector<MemoryItem>& items, int64_t free) {
  double total = 0;
  std::string list;
  for (const MemoryItem& item : items) {
    total += item.bytes;
    list += fmt::format("{}{} {:.2f} GB", list.empty() ? "" : ", ", item.name, item.bytes / 1e9);
  }
  if (free < 0 || total <= static_cast<double>(free)) return;
  const std::string what =
      fmt::format("about {:.2f} GB of memory are wanted, {:.2f} GB are free: {}", total / 1e9, static_cast<double>(free) / 1e9, list);
  if (kCertain * total <= static_cast<double>(free)) return core::warn("[train] " + what);
  throw core::ResourceError("train", what + "; lower train.batch (train.accumulation keeps the tokens of an update) or train.seq_len");
}

}  // namespace assay::train
