#pragma once
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::audit {

// What one check found at one place.
struct Finding {
  std::string where;    // the first state, parameter or option at which it appears; "" where there is no such place
  std::string message;  // what was seen, in words
};

struct CheckResult {
  std::string check;              // "causality", "update", ...
  std::vector<Finding> findings;  // none: passed
  std::string note;               // what was compared, or why the check does not apply
  bool skipped = false;
  double seconds = 0;
  bool pass() const { return findings.empty(); }
};

struct Report {
  std::string name;         // of the architecture
  std::string level;        // "quick", "full"
  std::string fingerprint;  // of the program, the architecture, its options and the level: what an audit is valid for
  std::vector<CheckResult> checks;
  bool pass() const;
  double seconds() const;
  core::Value to_value() const;  // {name, level, fingerprint, pass, seconds, checks[]: {check, pass, skipped, note, seconds, findings[]}}
  static Report from_value(const core::Value& v);  // DataError where it is none
};

}  // namespace assay::audit
