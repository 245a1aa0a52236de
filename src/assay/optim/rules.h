#pragma once
#include "assay/optim/optimizer.h"

namespace assay::optim {

// The update rules behind `optimizers()`, each in its own file. g: gradient, p: parameter, t: number of this update from 1; rate and decay
// of a parameter are lr and wd times its Treatment.

// m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  p -= lr m^ / (sqrt(v^) + eps),  m^ = m / (1 - b1^t), v^ = v / (1 - b2^t)
// [Kingma & Ba 2015]. adam: coupled decay, g += wd p first. adamw: decoupled, p -= lr wd p [Loshchilov & Hutter 2019].
// eps_form = uncorrected: p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps).
std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config);
// The same for some groups only, with their own rates and decays; the moments of other parameters stay zero.
std::unique_ptr<Optimizer> make_adam(tensor::Params& params, const OptimConfig& config, std::vector<Group> groups);

// g += wd p,  m = mu m + g,  p -= lr m.
std::unique_ptr<Optimizer> make_sgd(tensor::Params& params, const OptimConfig& config);

// p -= lr (sign(b1 m + (1 - b1) g) + wd p),  m = b2 m + (1 - b2) g  [Chen et al. 2023].
std::unique_ptr<Optimizer> make_lion(tensor::Params& params, const OptimConfig& config);

// muon.h
std::unique_ptr<Optimizer> make_muon(tensor::Params& params, const OptimConfig& config);

// conditioning.h
std::unique_ptr<Optimizer> make_conditioned(tensor::Params& params, const OptimConfig& config, std::unique_ptr<Optimizer> inner);

}  // namespace assay::optim
