#include "assay/stats/agreement.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay::stats {
namespace {

constexpr double kLogOfZero = -1e9;

}  // namespace

void Agreement::deviation(double got, double wanted, double scale) {
  if (got == wanted || (std::isinf(got) && got < 0 && wanted == kLogOfZero)) return;
  const double share = std::abs(got - wanted) / scale;
  error_ = std::isnan(share) ? std::numeric_limits<double>::infinity() : std::max(error_, share);
}

void Agreement::number(double got, const core::Value& wanted) {
  if (wanted.is_null()) return equal(std::isinf(got));
  deviation(got, wanted.as_double(), std::max(1.0, std::abs(wanted.as_double())));
}

void Agreement::probability(double got, const core::Value& wanted) { deviation(got, wanted.as_double(), std::abs(wanted.as_double())); }

void Agreement::end(double got, const core::Value& wanted, double range) {
  if (wanted.is_null()) return equal(std::isinf(got));
  deviation(got, wanted.as_double(), range);
}

void Agreement::optional(const std::optional<double>& got, const core::Value& wanted) {
  if (!got || wanted.is_null()) return equal(!got && wanted.is_null());
  number(*got, wanted);
}

void Agreement::equal(bool same) {
  if (!same) error_ = std::max(error_, 1.0);
}

bool Agreement::same_length(size_t got, const core::Value& wanted) {
  equal(got == wanted.as_array().size());
  return got == wanted.as_array().size();
}

void Agreement::numbers(const std::vector<double>& got, const core::Value& wanted) {
  if (!same_length(got.size(), wanted)) return;
  for (size_t i = 0; i < got.size(); ++i) number(got[i], wanted.as_array()[i]);
}

void Agreement::probabilities(const std::vector<double>& got, const core::Value& wanted) {
  if (!same_length(got.size(), wanted)) return;
  for (size_t i = 0; i < got.size(); ++i) probability(got[i], wanted.as_array()[i]);
}

void Agreement::integers(const std::vector<int64_t>& got, const core::Value& wanted) {
  if (!same_length(got.size(), wanted)) return;
  for (size_t i = 0; i < got.size(); ++i) equal(got[i] == wanted.as_array()[i].as_int());
}

void Agreement::words(const std::vector<std::string>& got, const core::Value& wanted) {
  if (!same_length(got.size(), wanted)) return;
  for (size_t i = 0; i < got.size(); ++i) equal(got[i] == wanted.as_array()[i].as_string());
}

}  // namespace assay::stats
