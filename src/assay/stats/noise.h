#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "assay/core/random.h"
#include "assay/stats/record.h"

namespace assay::stats {

// The random numbers of one simulated campaign, in order: a function of (seed, name, campaign).
class Draws {
 public:
  Draws(uint64_t seed, std::string_view name, int64_t campaign) : stream_(seed, name, static_cast<uint64_t>(campaign)) {}
  double uniform() { return stream_.uniform(next_++); }  // in (0, 1)
  double normal() { return stream_.normal(next_++); }
  bool chance(double p) { return uniform() < p; }

 private:
  core::Stream stream_;
  uint64_t next_ = 0;
};

// One way in which the scores of two arms that do not differ can come about.
struct NoiseShape {
  const char* name;
  double sd;                                 // of a difference; infinity where there is none
  Scores (*round)(Draws& draws, int64_t i);  // round i = 0, 1, ...
  std::optional<double> escape_threshold = std::nullopt, cap = std::nullopt;
};

std::span<const NoiseShape> symmetric_shapes();        // the guarantee covers these
std::span<const NoiseShape> two_mode_shapes();         // two plateaus and diverged runs, judged with a threshold: covered, too
std::span<const NoiseShape> skewed_shapes();           // differences with mean 0 that are not symmetric: no method covers them all
const NoiseShape& shape_named(std::string_view name);  // of the symmetric and the skewed ones; ConfigError where there is none

// Noise of one run, for arms that share a control; sd is that of the difference of two runs.
struct RunNoise {
  const char* name;
  double sd;
  double (*draw)(Draws& draws);
};
std::span<const RunNoise> run_noises();

}  // namespace assay::stats
