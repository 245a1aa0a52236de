#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace assay::core {

// Names of the environment variables that configure the reference implementations.
// `train` reads those that its configuration has and warns of the others; `campaign` ignores all of them, so that a shell's leftovers
// cannot change an experiment.
const std::vector<std::string>& known_environment_names();
bool is_known_environment_name(std::string_view name);  // case-insensitive

}  // namespace assay::core
