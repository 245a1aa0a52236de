#pragma once
#include "assay/core/file.h"
#include "assay/optim/schedule.h"

namespace assay::train {

// Multipliers of a run that the clock limits, one line an update in rates.jsonl, written before the update is done: a resumed run replays
// what an interrupted one decided - also the decision to stop - and only then looks at its clock again.
class RateLog {
 public:
  // keep_stop = false forgets a recorded decision to stop, for a run whose limits were moved.
  RateLog(core::FileSystem& fs, const std::string& path, bool keep_stop);

  struct Decision {
    bool stop = false;
    double multiplier = 1;
    double elapsed = 0;  // training seconds when it was taken
  };
  // Recorded for this step, or nullptr.
  const Decision* recorded(int64_t step) const;
  void record(int64_t step, const Decision& d);

 private:
  std::vector<Decision> past_;
  core::LineLog log_;
};

}  // namespace assay::train
