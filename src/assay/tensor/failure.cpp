#include "assay/tensor/failure.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>

namespace assay::tensor {

core::Error to_error(const std::exception& e) {
  if (const auto* ours = dynamic_cast<const core::Error*>(&e)) return *ours;
  if (dynamic_cast<const std::bad_alloc*>(&e) != nullptr) return core::ResourceError("memory", "the machine has no memory left for this");
  const auto* torch = dynamic_cast<const c10::Error*>(&e);
  const std::string what = torch != nullptr ? torch->what_without_backtrace() : e.what();
  if (dynamic_cast<const c10::OutOfMemoryError*>(&e) != nullptr) return core::ResourceError("memory", what);
  if (const size_t at = what.find("DefaultCPUAllocator: "); at != std::string::npos)  // before it: the place in torch's source
    return core::ResourceError("memory", what.substr(at + std::string("DefaultCPUAllocator: ").size()));
  if (what.find("CUDA") != std::string::npos) return core::DeviceError("device", what);
  return core::Error(core::Exit::internal, "internal", what);
}

}  // namespace assay::tensor
