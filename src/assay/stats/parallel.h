#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace assay::stats {

// Sum over i in [0, n) of body(i, tally), shared among threads; each has a tally of its own, and they are added in the end. The result does
// not depend on the number of threads where adding tallies is exact, as for counts. An exception of a body ends all and is thrown here.
template <class Tally, class Body>
Tally sum_in_parallel(int64_t n, int threads, const Body& body) {
  std::vector<Tally> tallies(static_cast<size_t>(std::max(1, threads)));
  std::vector<std::exception_ptr> failures(tallies.size());
  std::atomic<int64_t> next{0};
  const auto work = [&](size_t t) {
    try {
      for (int64_t i = next++; i < n; i = next++) body(i, tallies[t]);
    } catch (...) {
      failures[t] = std::current_exception();
      next = n;
    }
  };
  std::vector<std::thread> others;
  for (size_t t = 1; t < tallies.size(); ++t) others.emplace_back(work, t);
  work(0);
  for (std::thread& t : others) t.join();
  for (const std::exception_ptr& f : failures)
    if (f) std::rethrow_exception(f);
  for (size_t t = 1; t < tallies.size(); ++t) tallies[0] += tallies[t];
  return tallies[0];
}

}  // namespace assay::stats
