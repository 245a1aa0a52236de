#include "assay/audit/subject.h"

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/equal.h>

#include <algorithm>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/random.h"

namespace assay::audit {
namespace {

constexpr int64_t kBatchRows = 4, kBatchLength = 32, kTrainedUpdates = 20;
constexpr int64_t kGrain = 1 << 14;  // values of a thread
constexpr int64_t kWide = 64;        // columns
constexpr int64_t kShortest = 8;     // in rows of two tokens a decay over time, for instance, has no effect

// At least kShortest positions, where the options allow them.
int64_t positions_for(const train::RunConfig& c, int64_t vocab) {
  if (c.train.seq_len >= kShortest) return c.train.seq_len;
  try {
    arch::build(*c.architecture, c.model_options(), {vocab, kShortest}, {});
    return kShortest;
  } catch (const core::ConfigError&) {
    return c.train.seq_len;
  }
}

bool repeats(arch::Model& model, const Tensor& ids_BT) {
  const at::NoGradGuard no_grad;
  try {
    model.begin({});
    return at::equal(model.forward(ids_BT), model.forward(ids_BT));
  } catch (const std::exception&) {  // a check that meets it reports it
    return true;
  }
}

}  // namespace

void perturb(const arch::Built& built, uint64_t seed, const std::string& salt, double size) {
  const at::NoGradGuard no_grad;
  for (const auto& e : built.params->entries()) {
    const core::Stream stream(seed, salt + "/" + e.name);
    // Rows of a wide matrix add up many numbers: as large as those of a narrow one they drive a recurrent model into chaos, where nothing can be compared.
    const bool wide = e.shape.size() > 1 && e.shape.back() > kWide;
    const double spread = wide ? size * std::sqrt(static_cast<double>(kWide) / static_cast<double>(e.shape.back())) : size;
    Tensor noise = at::empty({e.numel}, at::TensorOptions().dtype(at::kDouble));
    double* values = noise.data_ptr<double>();
    at::parallel_for(0, e.numel, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[i] = spread * stream.normal(static_cast<uint64_t>(i));
    });
    Tensor part = built.params->view(built.params->values(), e);
    part.add_(noise.view(part.sizes()).to(part.options()));
  }
}

Level level_from(std::string_view name) {
  if (name == "quick") return Level::quick;
  if (name == "full") return Level::full;
  throw core::ConfigError("audit", core::unknown_name("level", name, {"quick", "full"}));
}

const char* name_of(Level level) { return level == Level::quick ? "quick" : "full"; }

Subject::Subject(const train::RunConfig& config, int64_t vocab, Level level, const at::Device& device, arch::Built* trained)
    : config_(config), vocab_(vocab), level_(level), device_(device), built_for_(positions_for(config, vocab)) {
  owned_.push_back(build());
  weights_.push_back({"fresh", &owned_.back()});
  owned_.push_back(perturbed());
  weights_.push_back({"perturbed", &owned_.back()});
  if (full()) {
    owned_.push_back(build());
    const auto optimizer = optim::make_optimizer(*owned_.back().params, config.optim);
    train(owned_.back(), *optimizer, 0, kTrainedUpdates);
    weights_.push_back({"trained", &owned_.back()});
  }
  if (trained != nullptr) weights_.push_back({"checkpoint", trained});
  evaluation_repeats_ = repeats(*weights_[1].built->model, ids(1, std::min(config.train.seq_len, kShortest), 6));
}

arch::Built Subject::build(at::ScalarType dtype) const { return built(dtype, tensor::precision_from(config_.train.precision)); }
arch::Built Subject::build_exact(at::ScalarType dtype) const { return built(dtype, tensor::Precision::fp32); }

arch::Built Subject::built(at::ScalarType dtype, tensor::Precision precision) const {
  arch::BuildOptions options;
  options.device = device_;
  options.dtype = dtype;
  options.precision = precision;
  options.seed = seed();
  return arch::build(arch(), config_.model_options(), {vocab_, built_for_}, options);
}

arch::Built Subject::perturbed(at::ScalarType dtype) const {
  arch::Built b = build(dtype);
  perturb(b, seed(), "audit/perturbation");
  return b;
}

std::vector<int64_t> Subject::lengths() const {
  std::vector<int64_t> all = full() ? std::vector<int64_t>{2, 3, 8, 17, 33, 64} : std::vector<int64_t>{17};
  std::erase_if(all, [&](int64_t T) { return T >= seq_len(); });
  all.push_back(seq_len());
  return all;
}

int64_t Subject::enough(int64_t wanted) const {
  const auto [first, end] = owned_.front().model->scored(built_for_);
  return std::min(built_for_, first > 0 ? std::max(wanted, end) : wanted);
}

Tensor Subject::ids(int64_t rows, int64_t T, uint64_t salt) const {
  const core::Stream stream(seed(), "audit/ids", salt);
  Tensor t = at::empty({rows, T}, at::TensorOptions().dtype(at::kLong));
  for (int64_t i = 0; i < rows * T; ++i)
    t.data_ptr<int64_t>()[i] = static_cast<int64_t>(stream.below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab_)));
  return t.to(device_);
}

train::Batch Subject::batch(int64_t n) const {
  const int64_t T = enough(kBatchLength);
  Tensor tokens = ids(kBatchRows, T + 1, 1000 + static_cast<uint64_t>(n));
  if (n % 2 == 1) tokens = at::cat({tokens.narrow(1, 0, (T + 2) / 2), tokens.narrow(1, 0, T + 1 - (T + 2) / 2)}, 1);
  return {tokens.narrow(1, 0, T).contiguous(), tokens.narrow(1, 1, T).contiguous()};
}

void Subject::train(const arch::Built& built, optim::Optimizer& optimizer, int64_t first, int64_t last) const {
  for (int64_t n = first; n < last; ++n) {
    const train::Batch b = batch(n);
    train::training_step(built, optimizer, {&b, 1}, config_.optim.lr, config_.optim.clip, {n}, training_pass(n));
  }
}

}  // namespace assay::audit
