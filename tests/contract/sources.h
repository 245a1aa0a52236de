#pragma once
#include <string>
#include <vector>

namespace assay::contract {

// One file under src/assay, as the contracts see it.
struct SourceFile {
  std::string path;                   // "ops/decay/decay_cpu.cpp", below src/assay
  std::string folder;                 // "ops"
  std::string text;                   // without comments and the contents of string literals
  std::vector<std::string> includes;  // "assay/core/error.h", "vector"
};

std::vector<SourceFile> sources();  // sorted by path
SourceFile parse_source(std::string path, const std::string& text);

}  // namespace assay::contract
