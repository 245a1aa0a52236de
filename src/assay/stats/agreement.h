#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::stats {

// The largest deviation between computed and stored values of one case.
class Agreement {
 public:
  explicit Agreement(double tolerance) : tolerance_(tolerance) {}
  double error() const { return error_; }
  double bound() const { return tolerance_; }
  bool pass() const { return error_ <= tolerance_; }  // false for NaN

  void number(double got, const core::Value& wanted);                          // relative to max(1, |wanted|); null wants infinity
  void probability(double got, const core::Value& wanted);                     // relative to wanted
  void end(double got, const core::Value& wanted, double range);               // relative to range; null wants infinity
  void optional(const std::optional<double>& got, const core::Value& wanted);  // null wants none
  void equal(bool same);
  void numbers(const std::vector<double>& got, const core::Value& wanted);
  void probabilities(const std::vector<double>& got, const core::Value& wanted);
  void integers(const std::vector<int64_t>& got, const core::Value& wanted);
  void words(const std::vector<std::string>& got, const core::Value& wanted);

 private:
  void deviation(double got, double wanted, double scale);
  bool same_length(size_t got, const core::Value& wanted);
  double tolerance_, error_ = 0;
};

}  // namespace assay::stats
