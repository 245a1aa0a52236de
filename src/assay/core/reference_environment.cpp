#include "assay/core/reference_environment.h"

#include <algorithm>
#include <cctype>

namespace assay::core {
namespace {

bool equal_without_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::toupper(x) == std::toupper(y); });
}

}  // namespace

const std::vector<std::string>& known_environment_names() {
  static const std::vector<std::string> names = {
      // data and run
      "DATA_PATH", "TOKENIZER_PATH", "TRAIN_PATTERN", "VAL_PATTERN", "RUN_ID", "RESUME", "CHECKPOINT_EVERY", "SEED",
      // schedule
      "VAL_BATCH_SIZE", "VAL_LOSS_EVERY", "TRAIN_LOG_EVERY", "ITERATIONS", "WARMDOWN_ITERS", "WARMUP_STEPS", "TRAIN_BATCH_TOKENS",
      "TRAIN_SEQ_LEN", "MAX_WALLCLOCK_SECONDS",
      // model
      "MODEL_VERSION", "VOCAB_SIZE", "NUM_LAYERS", "MODEL_DIM", "NUM_STEPS", "N_FOURIER_BASIS", "N_CHANNELS", "ACTIVATION", "LOGIT_SOFTCAP",
      "DECAY_INIT", "NUM_HEADS", "NUM_KV_HEADS", "ROPE_BASE", "QK_GAIN_INIT", "KERNEL_SIZE", "N_HEADS", "TRANSFORM_RANK", "UNIQUE_STEPS",
      "INVOCATIONS_PER_STEP", "SLOW_DECAY_INIT", "FAST_DECAY_INIT", "BAND_SPLIT", "N_OPS", "INTERACTION_RANK", "STATE_DIM", "INNER_DIM",
      "GUMBEL_TAU", "HALT_THRESHOLD", "PONDER_LAMBDA", "K_ACTIVE", "INNER_MUL", "PARALLEL_WAVES", "GRAD_CHECKPOINT", "EMBED_DIM",
      "SPARSITY_K", "AUX_LOSS_WEIGHT", "AUX_LOSS_DECAY", "NUM_COLUMNS", "STEPS_PER_COLUMN", "N_BRANCHES",
      // optimizer
      "LR", "BETA1", "BETA2", "ADAM_EPS", "WEIGHT_DECAY", "GRAD_CLIP_NORM",
      // run time and launcher
      "GRAD_ACCUM_STEPS", "TORCH_COMPILE", "ROUNDTRIP_EVAL", "NCCL_P2P_DISABLE", "RANK", "WORLD_SIZE", "LOCAL_RANK",
      "MATCHED_FINEWEB_REPO_ID", "MATCHED_FINEWEB_REMOTE_ROOT_PREFIX"};
  return names;
}

bool is_known_environment_name(std::string_view name) {
  const auto& names = known_environment_names();
  return std::any_of(names.begin(), names.end(), [&](const std::string& known) { return equal_without_case(known, name); });
}

}  // namespace assay::core
