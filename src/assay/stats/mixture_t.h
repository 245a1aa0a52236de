#pragma once
#include <span>

#include "assay/stats/interval.h"

namespace assay::stats {

// The Gaussian companion: a mixture over the standardised effect, effect / sigma ~ Normal(0, 1/g), with right-Haar sigma.
//
//   q = n (mean - mean0)^2 / SS,  r = g / (g + n),  log E = 1/2 log r + n/2 [ log(1 + q) - log(1 + r q) ]
//
// Valid for independent, identically distributed Gaussian differences alone (then P(E ever >= 1/alpha) <= alpha at any stopping); it is
// wrong where the shape is wrong, so it stands beside a verdict and never enters one. Sources: Wang and Ramdas, "Anytime-valid t-tests and
// confidence sequences for Gaussian means with unknown variance", arXiv 2310.03722; the avlm package for R.
// ConfigError: g not positive, a difference or mean0 that is not finite.
double mixture_t_log_e(std::span<const double> d, double g = 1, double mean0 = 0);  // n = 1: 0

// The values of mean0 with E < 1/alpha, in the units of d: mean +- sqrt( (e^b - 1) / (1 - e^b r) SS/n ), b = (2/n) (-log alpha - 1/2 log r);
// unbounded unless e^b r < 1.
Interval mixture_t_interval(std::span<const double> d, double alpha, double g = 1);

}  // namespace assay::stats
