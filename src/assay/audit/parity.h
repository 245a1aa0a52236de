#pragma once
#include "assay/core/safetensors.h"
#include "assay/tensor/product.h"

namespace assay::audit {

// Largest deviation of one quantity of a conformance file from the stored answer, and the bound that it must keep.
struct Deviation {
  std::string name;  // "logits", "grad/blocks.0.ln1.weight", "final/logit_scale", ...
  double error = 0;  // largest absolute error; for losses and gradient norms of trajectories, relative
  double bound = 0;
  bool pass() const { return error <= bound; }  // false for NaN
};

struct ParityReport {
  std::string file, kind;  // kind: "model", "trajectory", "optimizer", "function"
  std::vector<Deviation> deviations;
  bool pass() const;
  const Deviation& worst() const;  // by share of its bound
};

struct ParityOptions {
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;  // at::kDouble: the oracle
};

// Replays one file: builds the model that its metadata names, loads param/*, compares logits, loss and gradients; or repeats a trajectory
// update by update; or repeats optimizer updates. Bounds are those of the vectors' own table (docs/parity.md). DataError / ConfigError: no
// such model, option or optimizer here, a tensor missing.
ParityReport replay(const std::string& path, const ParityOptions& options);

}  // namespace assay::audit
