#pragma once
#include <deque>

#include "assay/train/step.h"

namespace assay::audit {

enum class Level { quick, full };
Level level_from(std::string_view name);  // ConfigError with the nearest name
const char* name_of(Level level);

// Moves every parameter at random by about `size` (matrices of more than 64 columns by as much less as leaves the size of their products alone), a
// function of seed, salt and the parameter's name.
void perturb(const arch::Built& built, uint64_t seed, const std::string& salt, double size = 0.1);

// What is audited: an architecture with its options, as a run with this configuration would build it, on random tokens.
class Subject {
 public:
  // `config` outlives the subject. `trained` (may be null): weights of a checkpoint, audited beside fresh and perturbed ones.
  Subject(const train::RunConfig& config, int64_t vocab, Level level, const at::Device& device, arch::Built* trained = nullptr);

  const train::RunConfig& config() const { return config_; }
  const arch::ArchInfo& arch() const { return *config_.architecture; }
  Level level() const { return level_; }
  bool full() const { return level_ == Level::full; }
  int64_t vocab() const { return vocab_; }
  int64_t seq_len() const { return config_.train.seq_len; }
  uint64_t seed() const { return static_cast<uint64_t>(config_.train.seed); }
  const at::Device& device() const { return device_; }

  arch::Built build(at::ScalarType dtype = at::kFloat) const;
  // With products in full precision whatever the run's: for comparisons across shapes, where sums taken in another order may fall on the other
  // side of a rounding to bfloat16.
  arch::Built build_exact(at::ScalarType dtype = at::kFloat) const;
  // Every parameter moved at random, so that no path is hidden behind a zero or a one.
  arch::Built perturbed(at::ScalarType dtype = at::kFloat) const;

  // Weights to look through: fresh and perturbed ones, at the full level also after 20 updates, and those of a checkpoint. Built once.
  struct Weights {
    std::string name;
    const arch::Built* built;
  };
  const std::vector<Weights>& weights() const { return weights_; }

  // False: two evaluations of the same tokens differ. That is a finding by itself (noise), and comparing evaluations says nothing beyond it.
  bool evaluation_repeats() const { return evaluation_repeats_; }

  // Lengths to try, the run's own sequence length last.
  std::vector<int64_t> lengths() const;

  // `wanted` positions, or as many as it takes to reach those that the loss counts, where it does not count the first ones; at most those of the run.
  int64_t enough(int64_t wanted) const;

  // Random ids [rows, T]; the same for the same salt.
  Tensor ids(int64_t rows, int64_t T, uint64_t salt) const;
  // Micro-batch n of random tokens with their successors as targets; odd ones say their first half twice, as text repeats itself.
  train::Batch batch(int64_t n) const;
  arch::Pass training_pass(int64_t batch) const { return {true, seed(), batch}; }
  // Updates [first, last) on those batches at the configured rate.
  void train(const arch::Built& built, optim::Optimizer& optimizer, int64_t first, int64_t last) const;

 private:
  arch::Built built(at::ScalarType dtype, tensor::Precision precision) const;

  const train::RunConfig& config_;
  int64_t vocab_;
  Level level_;
  at::Device device_;
  int64_t built_for_;  // positions
  std::deque<arch::Built> owned_;
  std::vector<Weights> weights_;
  bool evaluation_repeats_ = true;
};

}  // namespace assay::audit
