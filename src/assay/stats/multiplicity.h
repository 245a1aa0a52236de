#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace assay::stats {

// e-BH over m hypotheses (those without an e-value count as 1): with e sorted descending, k = max{ j : log e_(j) >= log(m / (alpha j)) - 1e-12 }
// and the k largest are rejected. Gives their indices, ascending.
// FDR <= alpha m0/m under any dependence, for e-values with mean at most 1 at the stopping time. Never feed it running maxima.
// Source: Wang and Ramdas, "False discovery rate control with e-values", JRSS B 2022. ConfigError: alpha outside (0, 1), m < log_e.size().
std::vector<size_t> e_bh(std::span<const double> log_e, double alpha, int64_t m);

// Smallest log e with which one more hypothesis would be rejected beside `others` (m counts it, too).
double e_bh_boundary(std::span<const double> others, double alpha, int64_t m);

// Holm's step-down: adjusted_(j) = max over i <= j of min(1, (m - i + 1) p_(i)), m = p.size(). FWER <= alpha under any dependence; with
// p = 1 / largest e, at any time. ConfigError: a p-value outside [0, 1].
std::vector<double> holm_adjusted(std::span<const double> p);

}  // namespace assay::stats
