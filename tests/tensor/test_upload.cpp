#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/tensor/device.h"
#include "assay/tensor/upload.h"

using namespace assay;

namespace {

// Many in a row, without a wait between them: each must arrive whole, and none may overtake what reads the one before.
void check_sends(const at::Device& device) {
  const Tensor to = at::zeros({2, 500}, at::TensorOptions().dtype(at::kLong).device(device)), sums = at::zeros({64}, to.options());
  tensor::Upload upload(to);
  const void* address = to.const_data_ptr();
  for (int64_t n = 0; n < 64; ++n) {
    const Tensor from = upload.staging();
    CHECK(from.sizes() == to.sizes());
    from.fill_(n);
    upload.send(from);
    sums[n].copy_(to.sum());
  }
  const Tensor got = sums.cpu();
  for (int64_t n = 0; n < 64; ++n) CHECK(got[n].item().toLong() == 1000 * n);
  CHECK(to.const_data_ptr() == address);
}

}  // namespace

TEST_CASE("what is sent arrives, in order, at the same address") { check_sends(at::Device(at::kCPU)); }

TEST_CASE("CUDA: what is sent on the side arrives, in order, at the same address") {
  try {
    check_sends(tensor::open_device("cuda"));
  } catch (const core::DeviceError& e) {
    MESSAGE("skipped: " << std::string(e.what()));
  }
}
