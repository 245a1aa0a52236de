#pragma once
#include <string>
#include <vector>

#include "assay/arch/transformer/decoder/component.h"
#include "assay/core/options.h"

// What `assay show` says of architectures and of components alike.
namespace assay::cli {

core::Value option_document(const core::Bound& section, const core::Field& f);
std::string shape_text(const core::Value& shape);  // "[128, 512]"

// Prints a component of gpt2: its description, and what it adds to parameters and cost at the size that `assignments` ask for.
void show_component(const arch::decoder::Component& c, const std::vector<std::string>& assignments, int64_t vocab, bool json);

}  // namespace assay::cli
