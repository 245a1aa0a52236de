#pragma once
#include <cstdint>

#include "assay/core/options.h"

namespace assay::optim {

// Learning-rate multipliers m(n) before update n (from 0), for a run of N updates.
struct ScheduleConfig {
  std::string schedule = "cosine";
  int64_t warmup_steps = -1;  // -1: 2 % of the run, at least 1
  double min_lr_ratio = 0.1;
  int64_t warmdown_steps = 0;
};

// What a schedule may look at. A wall-clock limit makes it depend on the clock: the loop records every multiplier and replays it.
struct Position {
  int64_t step = 0;    // updates done
  int64_t total = 0;   // planned updates N; 0 = unknown (limited by time alone)
  double elapsed = 0;  // training seconds so far
  double limit = 0;    // seconds; 0 = none
};

//   constant   1
//   cosine     (n+1)/W for n < W; then r + (1-r)/2 (1 + cos(pi (n-W)/(N-W)))               [components 1.3]
//   linear     (n+1)/W for n < W; then 1, falling linearly to r over the last D = warmdown_steps updates
//   reference  no ramp; max((N-n)/max(D,1), 0) for n >= max(N-D, 0), else 1; with a time limit R/max(D a, 1e-9) where the remaining time
//              R <= D a, a = elapsed/max(n,1) [vocab-space 5.4]. Shorter than D, the whole run is warm-down: it never reaches the base rate.
// cosine and linear take max(n/N, elapsed/limit) as their progress where there is a time limit.
double multiplier(const ScheduleConfig& c, const Position& p);
int64_t warmup_of(const ScheduleConfig& c, int64_t total);

}  // namespace assay::optim
