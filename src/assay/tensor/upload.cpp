#include "assay/tensor/upload.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <array>

namespace assay::tensor {

struct Upload::Side {
  struct Buffer {
    Tensor values;
    c10::Event arrived{c10::DeviceType::CUDA};  // on the stream of the copies
    c10::Event taken{c10::DeviceType::CUDA};    // on the current stream: the buffer may be filled
  };
  explicit Side(const Tensor& to)
      : guard(c10::DeviceType::CUDA),
        copies(guard.getStreamFromGlobalPool(to.device())),
        buffers{Buffer{at::empty_like(to)}, Buffer{at::empty_like(to)}} {
    // Who had the buffers' memory before may still be at work on the current stream.
    for (Buffer& b : buffers) b.taken.record(guard.getStream(to.device()));
  }
  c10::impl::VirtualGuardImpl guard;
  c10::Stream copies;
  std::array<Buffer, 2> buffers;
  size_t turn = 0;
};

Upload::Upload(const Tensor& to) : to_(to), side_(to.is_cuda() ? std::make_unique<Side>(to) : nullptr) {}
Upload::~Upload() = default;

Tensor Upload::staging() const { return at::empty(to_.sizes(), at::TensorOptions().dtype(to_.scalar_type()).pinned_memory(to_.is_cuda())); }

void Upload::send(const Tensor& from) {
  const at::NoGradGuard no_grad;
  if (side_ == nullptr) {
    to_.copy_(from);
    return;
  }
  Side::Buffer& b = side_->buffers[side_->turn];
  side_->turn ^= 1;
  const c10::Stream current = side_->guard.getStream(to_.device());
  {
    const c10::StreamGuard on_side(side_->copies);
    b.taken.block(side_->copies);
    b.values.copy_(from, /*non_blocking=*/true);  // torch's allocator keeps the pinned memory until this copy is done
    b.arrived.record(side_->copies);
  }
  b.arrived.block(current);
  to_.copy_(b.values, true);
  b.taken.record(current);
}

}  // namespace assay::tensor
