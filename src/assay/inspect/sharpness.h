#pragma once
#include <span>
#include <string>
#include <vector>

#include "assay/train/session.h"

namespace assay::inspect {

// How sharp the minimum is at which a model stands, on given batches: the claim that an optimizer finds flatter ones is about this.
struct Sharpness {
  double loss = 0;
  double top_eigenvalue = 0;  // of the Hessian, the largest in magnitude that the iteration found
  double residual = 0;        // |H v - lambda v| / |lambda| of its vector: small where it has converged
  int64_t iterations = 0;
  struct Noisy {
    double noise = 0;  // standard deviation over the root mean square of each parameter tensor
    double loss = 0;   // mean over draws
  };
  std::vector<Noisy> noisy;
};

struct SharpnessOptions {
  int64_t iterations = 50;
  double tolerance = 1e-3;  // ends the iteration where the eigenvalue moves by less, relatively
  std::vector<double> noise = {0.01, 0.05};
  int64_t draws = 3;
  uint64_t seed = 0;
};

// Power iteration on Hessian-vector products from central differences of the gradient along the vector (in float64 to 1e-9, in float32 to some
// 1e-3), in evaluation mode, over the trained parameters. Leaves the weights as they were.
Sharpness sharpness(const arch::Built& built, std::span<const train::Batch> batches, const SharpnessOptions& options = {});

core::Value to_value(const Sharpness& s);  // {loss, top_eigenvalue, residual, iterations, noisy[]: {noise, loss}}
std::string to_text(const Sharpness& s);

}  // namespace assay::inspect
