#pragma once
#include <exception>

#include "assay/core/error.h"

namespace assay::tensor {

// Any exception as one of ours: out of memory (ResourceError), a failing device (DeviceError), an operator that refuses its input or
// anything else (Exit::internal: a fault of the program).
core::Error to_error(const std::exception& e);

}  // namespace assay::tensor
