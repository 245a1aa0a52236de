#pragma once
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "assay/stats/agreement.h"

namespace assay::stats {

// One case as it is replayed: what goes in, what has to come out, the grid of the document, and where deviations are collected.
struct ReplayContext {
  const core::Value& input;
  const core::Value& expect;
  const std::vector<double>& kappa;
  Agreement& agreement;

  std::vector<double> list(std::string_view key) const;  // null: NaN
  double number(std::string_view key) const;
  int64_t integer(std::string_view key) const;
};

using Replay = void (*)(const ReplayContext&);

// nullptr for a kind that the file does not know.
Replay sequential_replay(std::string_view kind);  // e-processes, intervals, multiplicity, estimates, campaigns
Replay companion_replay(std::string_view kind);   // tests for a fixed n, descriptions, planning

}  // namespace assay::stats
