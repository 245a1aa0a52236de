#pragma once
#include <string>

namespace assay::data {

// What a corpus's name stands for: an embedded generator by its name, a text by its ending, a directory of CIFAR-10 by a file in it, and shards in
// every other case.
enum class SourceKind { embedded, text, images, shards };
SourceKind source_kind(const std::string& path);

}  // namespace assay::data
