#pragma once
#include <ATen/record_function.h>

#include <map>
#include <string>

namespace assay::bench {

// Calls of one operator: what they compute and what they move.
struct Work {
  double calls = 0, flops = 0, bytes = 0;
  void add(const Work& w) { calls += w.calls, flops += w.flops, bytes += w.bytes; }
};
using WorkByName = std::map<std::string, Work>;

// While it lives, counts every call that passes torch's dispatcher, on all threads; one at a time.
//   FLOPs  products 2 M N K; attention by its formula, the causal half; any other call one an element of its largest operand
//   bytes  each operand that is read once and each result once: what no cache can avoid. Views and allocations move nothing.
// A call that is made of others is not counted beside them. What a kernel does outside of the dispatcher is not seen.
class CallCounter {
 public:
  CallCounter();
  ~CallCounter();
  CallCounter(const CallCounter&) = delete;
  CallCounter& operator=(const CallCounter&) = delete;
  WorkByName take();  // what was counted since the last call

 private:
  at::CallbackHandle handle_;
};

Work sum_of(const WorkByName& work);

}  // namespace assay::bench
