#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace assay::stats {

// Natural logs of e-values against three statements about the sign of a difference.
struct LogE {
  double plus = 0;       // against "not positive": large when the differences are positive
  double minus = 0;      // against "not negative"
  double two_sided = 0;  // of their mean, against "positive and negative are equally likely"
};

// kappa = standardised effects for which the bets are made, with equal weights. The default grid covers effects from about 0.4 standard
// deviations of a difference upwards; smaller ones need smaller entries (and more seeds, whatever the grid).
inline constexpr std::array<double, 4> kDefaultKappa = {0.6, 1.2, 2.4, 4.8};
inline constexpr size_t kMaxKappa = 16;

// The state of the e-process without its checks and running maximum: a small value that is copied freely.
//
//   s_k^2 = (d_1^2 + ... + d_k^2) / k,  z_k = d_k / s_k                       over the differences that are not zero
//   E+ = mean over kappa of prod_k (1 + tanh(kappa z_k)),  E- the same with -z_k,  E = (E+ + E-) / 2
class SignSums {
 public:
  explicit SignSums(std::span<const double> kappa = kDefaultKappa);  // ConfigError: none, more than kMaxKappa, one that is not positive
  void add(double difference);                                       // finite; zero changes nothing
  LogE log_e() const;
  double upper_bound() const;  // of log_e().two_sided: the largest component, without an exponential

 private:
  std::array<double, kMaxKappa> kappa_{}, plus_{}, minus_{};  // sums of log(1 +- tanh(kappa z))
  size_t grid_;
  int64_t count_ = 0;
  double squares_ = 0;
};

// The sign-symmetric e-process of paired differences (control - arm: positive means that the arm is better).
//
// Valid when, given all that was seen before and |d_i| > 0, d_i is positive with probability 1/2 (plus: at most, minus: at least 1/2): arm
// and control exchangeable in each round, or d_i symmetric about 0. Scale and shape may change from round to round. Then each e-value has
// mean at most 1 at any stopping time and P(E ever >= 1/alpha) <= alpha (Ville). It is no test of equal means of skewed differences.
// Idea: Vovk and Wang, "Nonparametric e-tests of symmetry", arXiv 2208.08925; 1 + tanh(mu d / sigma^2) is twice the probability of the sign
// of a Normal(mu, sigma^2) difference given its absolute value, and s_k stands for sigma.
class SignProcess {
 public:
  explicit SignProcess(std::span<const double> kappa = kDefaultKappa) : sums_(kappa) {}
  void add(double difference);  // ConfigError: not finite, or neither 0 nor within 1e-150..1e150
  const LogE& log_e() const { return log_e_; }
  double p_anytime() const;  // 1 / the largest E so far, at most 1: a p-value at every stopping time

 private:
  SignSums sums_;
  LogE log_e_;
  double largest_ = 0;
};

// Whether the process takes the difference: 0, or an absolute value within 1e-150..1e150.
bool in_range(double difference);

// The e-values of all of d - shift, from the start.
LogE sign_log_e(std::span<const double> d, double shift, std::span<const double> kappa = kDefaultKappa);

// Supremum of log E after n differences, over all differences: each dwarfs those before it, so that z_k = sqrt(k). A rule with a higher
// threshold cannot be met by n.
double largest_log_e(int64_t n, std::span<const double> kappa = kDefaultKappa);

}  // namespace assay::stats
