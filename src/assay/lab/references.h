#pragma once
#include <string>

#include "assay/core/value.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

struct Evidence;

// "DIR/references/ngram-5" of "ngram:5".
std::string reference_directory(const std::string& directory, const std::string& baseline);

// Lines to hold losses against, in units of the metric: [{name, kind: "entropy" | "ngram", value}]. The entropy is that of the validation
// text of the runs that are done, where its generator is known.
core::Value references_of(const Recipe& recipe, const Evidence& evidence);

}  // namespace assay::lab
