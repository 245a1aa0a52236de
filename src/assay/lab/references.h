#pragma once
#include <string>

#include "assay/core/value.h"
#include "assay/lab/member.h"

namespace assay::lab {

struct Evidence;

// "DIR/references/ngram-5" of "ngram:5".
std::string reference_directory(const std::string& directory, const std::string& baseline);

// Lines to hold values against, in units of the metric: [{name, kind: "entropy" | "ngram" | "chance" | "oracle", value}]. The entropy is that of the
// validation text of the runs that are done, where its generator is known; chance and oracle are those of a task (data/tasks.h) of which every arm
// counts the answer alone.
core::Value references_of(const Recipe& recipe, const Evidence& evidence, const Pinned& pinned);

}  // namespace assay::lab
