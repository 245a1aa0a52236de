#pragma once
#include <string>
#include <string_view>

#include "assay/core/random.h"

namespace assay::data {

// The numbers of example n of a task, one after the other; no example takes more than `most` of them.
class TaskDraw {
 public:
  TaskDraw(uint64_t seed, std::string_view task, std::string_view split, uint64_t n, uint64_t most)
      : stream_(seed, "task/" + std::string(task) + "/" + std::string(split)), at_(n * most) {}
  int64_t below(int64_t limit) { return static_cast<int64_t>(stream_.below(at_++, static_cast<uint64_t>(limit))); }

 private:
  core::Stream stream_;
  uint64_t at_;
};

}  // namespace assay::data
