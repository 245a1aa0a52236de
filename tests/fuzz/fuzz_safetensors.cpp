// Any bytes are either refused with a DataError or a file whose every tensor can be read and written again.
#include <cstdlib>

#include "assay/core/error.h"
#include "assay/core/safetensors.h"

using namespace assay::core;

namespace {

void require(bool holds) {
  if (!holds) {
    std::abort();
  }
}

uint64_t touch(const SafeTensors& file) {
  uint64_t sum = 0;
  for (const TensorView& tensor : file.tensors()) {
    require(tensor.bytes.size() == static_cast<uint64_t>(tensor.numel()) * size_of(tensor.dtype));
    require(file.find(tensor.name) == &tensor);
    for (const char byte : tensor.bytes) {
      sum += static_cast<unsigned char>(byte);
    }
  }
  return sum;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const SafeTensors file = SafeTensors::parse(std::string(reinterpret_cast<const char*>(data), size), "input");
    const uint64_t sum = touch(file);
    std::string again = safetensors_header(file.tensors(), file.metadata());
    for (const TensorView& tensor : file.tensors()) {
      again += tensor.bytes;
    }
    const SafeTensors copy = SafeTensors::parse(std::move(again), "copy");
    require(touch(copy) == sum && copy.metadata() == file.metadata() && copy.tensors().size() == file.tensors().size());
  } catch (const DataError& e) {
    const std::string message = e.what();
    require(printable(message, message.size()) == message);
  }
  return 0;
}
