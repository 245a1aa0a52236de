#pragma once
#include "assay/optim/rules.h"

namespace assay::optim {

// Muon [components 6.4]. The matrices inside the layers: M <- mu M + (1 - mu) G,  O = orth(M) (nesterov: orth(G + mu M)),  W <- W - lr O,
// without a factor for the shape. Everything else: Adam at companion_lr x lr with eps beside the uncorrected root, without decay.
//   normuon    O scaled by rows or columns (orthogonal.h)
//   cautious   W <- W (1 - lr wd [O W >= 0]) before the update; plain weight_decay: W <- W (1 - lr wd)
//   geodesic   lr, scaled: W cos a + O sin a, a = lr or lr |O|_F, as published - gradient ascent; corrected: by row, tau = -(o - <o,w> w),
//              w <- w cos lr + tau / |tau| sin lr; a row with tau = 0 stays
// Matrices of one shape are one batch: their momentum is one buffer.

// Two dimensions, inside a layer ("blocks.N.", "hops.N."), no gate.
bool is_hidden_matrix(const tensor::Params::Entry& e);

}  // namespace assay::optim
