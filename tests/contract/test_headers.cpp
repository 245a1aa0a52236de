#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "contract/sources.h"

namespace assay::contract {
namespace {

// Headers that cost seconds to compile: each lives in one .cpp behind a small header of ours.
struct HeavyLibrary {
  const char* name;
  std::vector<std::string> prefixes;
};
const std::vector<HeavyLibrary> heavy = {
    {"spdlog", {"spdlog/"}}, {"CLI11", {"CLI/"}}, {"nlohmann-json", {"nlohmann/"}}, {"toml++", {"toml++/", "toml.hpp"}}};

bool includes_any(const SourceFile& file, const std::vector<std::string>& prefixes) {
  for (const std::string& include : file.includes) {
    for (const std::string& prefix : prefixes) {
      if (include.compare(0, prefix.size(), prefix) == 0) return true;
    }
  }
  return false;
}

std::vector<std::string> users(const std::vector<SourceFile>& files, const HeavyLibrary& library) {
  std::vector<std::string> out;
  for (const SourceFile& file : files) {
    if (includes_any(file, library.prefixes)) out.push_back(file.path);
  }
  return out;
}

TEST_CASE("each heavy library is included in one .cpp and in no header") {
  const auto files = sources();
  for (const HeavyLibrary& library : heavy) {
    const auto found = users(files, library);
    CHECK_MESSAGE(found.size() <= 1, library.name << " is included by " << found.size() << " files");
    for (const std::string& path : found) CHECK_MESSAGE(path.ends_with(".cpp"), library.name << " is included by " << path);
  }
}

TEST_CASE("no file includes all of torch or uses its module classes") {
  for (const SourceFile& file : sources()) {
    CHECK_MESSAGE(!includes_any(file, {"torch/torch.h", "torch/all.h", "torch/nn", "torch/extension.h", "ATen/ATen.h"}), file.path);
    CHECK_MESSAGE(file.text.find("torch::nn") == std::string::npos, file.path);
  }
}

TEST_CASE("every header opens with #pragma once") {
  for (const SourceFile& file : sources()) {
    if (!file.path.ends_with(".h")) continue;
    const size_t first = file.text.find_first_not_of(" \n");
    CHECK_MESSAGE(file.text.compare(first, 12, "#pragma once") == 0, file.path);
  }
}

TEST_CASE("words in comments and literals are no code") {
  const SourceFile file = parse_source(
      "core/x.cpp", "// torch::nn\n/* torch::nn */ const char* s = \"torch::nn \\\" torch::nn\"; char c = '\"'; int n = 1'000; f();\n");
  CHECK(file.text.find("torch::nn") == std::string::npos);
  CHECK(file.text.find("1'000; f();") != std::string::npos);
}

}  // namespace
}  // namespace assay::contract
