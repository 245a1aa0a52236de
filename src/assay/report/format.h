#pragma once
#include <optional>
#include <string>

#include "assay/report/campaign.h"

namespace assay::report {

// How every form of the report writes numbers. None, and what is not finite, is "-".
std::string loss_text(const Number& v);        // 4 decimals
std::string difference_text(const Number& v);  // signed; 4 decimals, more where that leaves fewer than two significant digits
std::string interval_text(const std::optional<Interval>& v);            // "[-0.0012, +0.0340]", an open end "-inf" or "+inf"
std::string evidence_text(const Number& e_value, const Number& log_e);  // 3 significant digits; "exp(812)" beyond what a double holds
std::string rate_text(const Number& v);                                 // probabilities, levels, correlations: 3 significant digits
std::string correlation_text(const Number& v);                          // 3 decimals
std::string ratio_text(const Number& v);                                // 2 decimals
std::string count_text(const Number& v);                                // whole, thousands set apart by commas
std::string scaled_text(const Number& v);                               // 4 significant digits and k, M, G, T
std::string bytes_text(const Number& v);                                // KiB, MiB, GiB
std::string seconds_text(const Number& v);                              // 0:31, 12:05, 3:07:00
std::string or_absent(const std::string& text);                         // "absent" for an option that an arm lacks

}  // namespace assay::report
