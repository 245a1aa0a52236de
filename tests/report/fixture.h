#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::test {

// A made-up campaign on disk: plausible random runs of a control and seven arms, of which one is refused, one has two modes, one is undecided
// and has a failed run, one is not yet bounded. The same request gives the same bytes.
struct FixtureRequest {
  int64_t seeds = 8;
  int64_t rows = 120;    // of metrics.jsonl a run, training
  int64_t copies = 1;    // of the arms, for many runs
  bool finished = true;  // else the last arm waits and one run is unfinished
  std::string question = "Which small change to a decoder pays for itself after three million tokens of generated text?";
  std::string arm_name;  // of the first arm, where another one is wanted
};

core::Value make_fixture(const std::string& directory, const FixtureRequest& request = {});  // returns what results.json holds

}  // namespace assay::test
