#pragma once
#include <string>

#include "assay/lab/recipe.h"

namespace assay::lab {

// A recipe that is edited after its campaign began. The campaign goes on as it was frozen; what the edit asks for is kept beside it, in
// DIR/deviations.json: [{option, a, b, followed, at, done}] - a: frozen, b: asked for later, at: when, done: how many members were done.
//
// Fewer seeds are followed: stopping by hand costs no guarantee (docs/statistics.md). Nothing else is: it would change what is decided, or
// the members that are compared.

core::Value read_deviations(const std::string& directory);  // an empty list where there are none

// Takes what the deviations ask for and a campaign can follow into the recipe: Recipe::stop_after.
void follow(Recipe& frozen, const core::Value& deviations);

// The edits of `asked` that are not recorded yet, as rows without `at` and `done`. [] where it says what was frozen or was recorded.
core::Value new_deviations(const Recipe& frozen, const Recipe& asked, const core::Value& recorded);

// ConfigError that shows the first of them in the edited file.
[[noreturn]] void refuse_deviations(const std::string& directory, const Recipe& asked, const core::Value& rows);

void record_deviations(const std::string& directory, const core::Value& recorded, const core::Value& rows, int64_t done);

}  // namespace assay::lab
