#include "assay/report/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "assay/core/log.h"

namespace assay::report {
namespace {

constexpr const char* kNone = "-";
constexpr double kLargestLog = 700;  // exp of it is near the largest double

bool is_finite(const Number& v) { return v && std::isfinite(*v); }
double unsigned_zero(double v) { return v == 0 ? 0 : v; }

// Decimals that show two significant digits, four at least.
int decimals_of(double v) {
  if (v == 0) return 4;
  return std::clamp(1 - static_cast<int>(std::floor(std::log10(std::fabs(v)))), 4, 12);
}

// Four significant digits of what is below 10,000, zeros too, so that a column is even.
std::string four_digits(double v) { return std::fabs(v) < 999.95 ? fmt::format("{:#.4g}", v) : fmt::format("{:.0f}", v); }

std::string end_text(const Number& v, const char* open) { return is_finite(v) ? difference_text(v) : open; }

}  // namespace

std::string loss_text(const Number& v) { return is_finite(v) ? fmt::format("{:.4f}", unsigned_zero(*v)) : kNone; }

std::string difference_text(const Number& v) {
  if (!is_finite(v)) return kNone;
  return fmt::format("{:+.{}f}", unsigned_zero(*v), decimals_of(*v));
}

std::string interval_text(const std::optional<Interval>& v) {
  return v ? "[" + end_text(v->lower, "-inf") + ", " + end_text(v->upper, "+inf") + "]" : kNone;
}

std::string evidence_text(const Number& e_value, const Number& log_e) {
  if (is_finite(log_e) && *log_e > kLargestLog) return fmt::format("exp({:.4g})", *log_e);
  if (is_finite(e_value)) return fmt::format("{:.3g}", *e_value);
  return is_finite(log_e) ? fmt::format("{:.3g}", std::exp(*log_e)) : kNone;
}

std::string rate_text(const Number& v) { return is_finite(v) ? fmt::format("{:.3g}", unsigned_zero(*v)) : kNone; }
std::string correlation_text(const Number& v) { return is_finite(v) ? fmt::format("{:.3f}", unsigned_zero(*v)) : kNone; }
std::string ratio_text(const Number& v) { return is_finite(v) ? fmt::format("{:.2f}", *v) : kNone; }

std::string count_text(const Number& v) {
  if (!is_finite(v)) return kNone;
  std::string digits = fmt::format("{:.0f}", *v);
  const size_t first = digits.front() == '-' ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string scaled_text(const Number& v) {
  if (!is_finite(v)) return kNone;
  constexpr std::array units = {"", " k", " M", " G", " T", " P"};
  double scaled = *v;
  size_t unit = 0;
  for (; std::fabs(scaled) >= 1000 && unit + 1 < units.size(); ++unit) scaled /= 1000;
  return four_digits(scaled) + units[unit];
}

std::string bytes_text(const Number& v) {
  if (!is_finite(v)) return kNone;
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double scaled = *v;
  size_t unit = 0;
  for (; scaled >= 1024 && unit + 1 < units.size(); ++unit) scaled /= 1024;
  return four_digits(scaled) + " " + units[unit];
}

std::string seconds_text(const Number& v) { return is_finite(v) && *v >= 0 ? core::duration_text(*v) : kNone; }

std::string or_absent(const std::string& text) { return text.empty() ? "absent" : text; }

}  // namespace assay::report
