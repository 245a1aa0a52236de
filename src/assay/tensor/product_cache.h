#pragma once
#include <cstdint>
#include <string>

namespace assay::tensor {

// The name of the product choice that was measured before on such a processor with this torch and number of threads, from the user's cache; ""
// where none is kept, or none that can be read.
std::string kept_products(int64_t threads);
// Keeps it, so that a run is the same when it is started again. A place that cannot be written is a warning.
void keep_products(int64_t threads, const std::string& name);

}  // namespace assay::tensor
