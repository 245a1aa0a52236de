#pragma once
#include <span>

namespace assay::stats {

// Arithmetic on natural logarithms: e-values are kept as logs, since products of hundreds of factors leave the range of a double.
double softplus(double x);                      // log(1 + e^x), without overflow
double log_add(double a, double b);             // log(e^a + e^b)
double log_mean(std::span<const double> logs);  // log of the mean of e^logs[i]; -infinity where all are

}  // namespace assay::stats
