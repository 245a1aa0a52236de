#pragma once
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::stats {

// One case of a document of conformance cases, computed here and compared with its stored answer.
struct ReplayedCase {
  std::string name, kind;
  bool pass = false;
  double error = 0;  // the largest deviation in units in which `bound` is the tolerance; 1 or more for an entry that has to be equal
  double bound = 0;
};

// Replays { format: 1, tolerance, kappa, cases: [{ name, kind, input, expect, tolerance? }] }; the kinds and their units are in
// tests/golden/statistics/README.md. Deviations are relative to max(1, |wanted|); of p-values to the wanted one, of an interval's ends to the
// range of the differences. null = unbounded or none; -1e9 = the log of an e-value 0.
// DataError: another format, an unknown kind, a member that is missing or of another type, with the name of the case.
std::vector<ReplayedCase> replay_statistics(const core::Value& document);

}  // namespace assay::stats
