#pragma once
#include "assay/tensor/aten.h"

namespace assay::tensor {

// Numbers of the host on their way to a tensor of fixed address. On a CUDA device they cross the bus on a stream of their own, into one of two buffers,
// while the current stream still works on what came before; the current stream then only copies within the device. On the CPU: a copy.
class Upload {
 public:
  // `to` is contiguous and lives as long as this; it is written on the stream that is current at each `send`, which stays the same one.
  explicit Upload(const Tensor& to);
  ~Upload();
  Upload(const Upload&) = delete;
  Upload& operator=(const Upload&) = delete;

  // Host memory of `to`'s shape and dtype for the next `send`, pinned where the device is a GPU.
  Tensor staging() const;
  // Enqueues `to` = `from`, which `staging` gave. Nothing is waited for: `from` may be dropped, but not written any more.
  void send(const Tensor& from);

 private:
  struct Side;
  Tensor to_;
  std::unique_ptr<Side> side_;  // on a CUDA device
};

}  // namespace assay::tensor
