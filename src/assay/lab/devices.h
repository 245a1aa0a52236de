#pragma once
#include <string>
#include <vector>

#include "assay/lab/campaign.h"
#include "assay/lab/executor.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// The CUDA devices that this process may use, each as a word for CUDA_VISIBLE_DEVICES: those that the variable names, else all that the driver
// shows; none where there is no driver. Asks the driver alone: torch is not loaded for it.
std::vector<std::string> visible_cuda_devices();

// Where the members of a campaign run. `devices`: what they are dealt to in turn, empty where none trains on "cuda", where an arm chose one of its
// own ("cuda:1"), or where none is visible. `members`: at a time - what was asked for, else one a device, else as the cores suffice.
struct Places {
  std::vector<std::string> devices;
  size_t members = 1;
};
Places places_of(const Recipe& recipe, const Request& request, int64_t threads);

// The threads of a member: the recipe's, else the cores divided by the members at a time.
int64_t threads_of(const Recipe& recipe, const Request& request);

}  // namespace assay::lab
