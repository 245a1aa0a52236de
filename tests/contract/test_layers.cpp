#include <doctest/doctest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "contract/sources.h"

namespace assay::contract {
namespace {

using Layers = std::map<std::string, std::set<std::string>>;

// The layer rule of docs/architecture.md: what a folder may include, itself and what those may include apart.
const Layers layers = {
    {"core", {}},
    {"stats", {"core"}},
    {"reason", {"core"}},
    {"results", {"core", "stats"}},
    {"report", {"core", "stats"}},
    {"serve", {"results", "report"}},
    {"tensor", {"core"}},
    {"data", {"tensor", "reason"}},
    {"dist", {"tensor"}},
    {"ops", {"tensor"}},
    {"layers", {"ops"}},
    {"arch", {"layers"}},
    {"optim", {"tensor", "ops"}},
    {"train", {"arch", "data", "optim", "dist", "results"}},
    {"audit", {"arch", "train", "stats"}},
    {"bench", {"arch", "train"}},
    {"inspect", {"train"}},
    {"export", {"train"}},
    {"lab", {"train", "audit", "stats", "results"}},
    {"cli", {"audit", "bench", "export", "inspect", "lab", "serve"}},
};

const std::set<std::string> torch_free = {"core", "stats", "reason", "results", "report", "serve", "data"};

std::set<std::string> reachable(const Layers& rule, const std::string& folder) {
  std::set<std::string> seen = {folder};
  std::vector<std::string> todo = {folder};
  while (!todo.empty()) {
    const std::string next = todo.back();
    todo.pop_back();
    for (const std::string& below : rule.at(next)) {
      if (seen.insert(below).second) todo.push_back(below);
    }
  }
  return seen;
}

std::string folder_of_include(const std::string& include) {
  const std::string root = "assay/";
  if (include.compare(0, root.size(), root) != 0) return "";
  return include.substr(root.size(), include.find('/', root.size()) - root.size());
}

// "path includes x": what the rule does not allow.
std::vector<std::string> violations(const Layers& rule, const std::vector<SourceFile>& files) {
  std::vector<std::string> out;
  for (const SourceFile& file : files) {
    if (!rule.contains(file.folder)) {
      out.push_back(file.path + " is in a folder that the layer rule does not know");
      continue;
    }
    const std::set<std::string> allowed = reachable(rule, file.folder);
    for (const std::string& include : file.includes) {
      const std::string folder = folder_of_include(include);
      if (!folder.empty() && !allowed.contains(folder)) out.push_back(file.path + " includes " + include);
    }
  }
  return out;
}

bool is_torch_header(const std::string& include) {
  for (const char* root : {"ATen/", "c10/", "torch/", "caffe2/"}) {
    if (include.compare(0, std::string(root).size(), root) == 0) return true;
  }
  return false;
}

std::vector<std::string> torch_includes(const SourceFile& file) {
  std::vector<std::string> out;
  for (const std::string& include : file.includes) {
    if (is_torch_header(include)) out.push_back(include);
  }
  return out;
}

bool is_variant(const SourceFile& file) {
  return file.folder == "arch" && file.path.ends_with(".cpp") && file.text.find("ASSAY_ARCHITECTURE(") != std::string::npos;
}

std::string stem(const std::string& path) { return path.substr(0, path.rfind('.')); }

std::vector<std::string> variants_that_include_variants(const std::vector<SourceFile>& files) {
  std::set<std::string> variants;
  for (const SourceFile& file : files) {
    if (is_variant(file)) variants.insert(stem(file.path));
  }
  std::vector<std::string> out;
  for (const SourceFile& file : files) {
    if (!variants.contains(stem(file.path))) continue;
    for (const std::string& include : file.includes) {
      const std::string included = folder_of_include(include) == "arch" ? stem(include.substr(std::string("assay/").size())) : "";
      if (variants.contains(included) && included != stem(file.path)) out.push_back(file.path + " includes " + include);
    }
  }
  return out;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string out;
  for (const std::string& line : lines) out += "\n  " + line;
  return out;
}

TEST_CASE("no folder includes one that the layer rule puts above or beside it") {
  const auto files = sources();
  REQUIRE(files.size() > 20);
  const auto found = violations(layers, files);
  CHECK_MESSAGE(found.empty(), joined(found));
}

TEST_CASE("the layer rule has no cycle") {
  for (const auto& [folder, below] : layers) {
    for (const std::string& other : below) CHECK_MESSAGE(!reachable(layers, other).contains(folder), folder << " and " << other);
  }
}

TEST_CASE("an edge that skips a layer is allowed downwards and found upwards") {
  const SourceFile down = parse_source("train/loop.cpp", "#include \"assay/core/error.h\"\n#include <vector>\n");
  const SourceFile up = parse_source("core/error.cpp", "  #  include \"assay/train/loop.h\"\n");
  const SourceFile unknown = parse_source("misc/x.cpp", "");
  CHECK(violations(layers, {down}).empty());
  CHECK(violations(layers, {up}) == std::vector<std::string>{"core/error.cpp includes assay/train/loop.h"});
  CHECK(violations(layers, {unknown}).size() == 1);
}

TEST_CASE("folders that build without torch include none of its headers") {
  for (const SourceFile& file : sources()) {
    if (torch_free.contains(file.folder)) CHECK_MESSAGE(torch_includes(file).empty(), file.path << joined(torch_includes(file)));
  }
}

TEST_CASE("kernels include no torch header, nor do the headers that they share with the host") {
  for (const SourceFile& file : sources()) {
    const bool kernel = file.path.ends_with(".cu") || file.path.ends_with(".cuh") || file.path.ends_with("_cuda.h");
    if (kernel) CHECK_MESSAGE(torch_includes(file).empty(), file.path << joined(torch_includes(file)));
  }
}

TEST_CASE("no variant includes another variant") {
  const auto found = variants_that_include_variants(sources());
  CHECK_MESSAGE(found.empty(), joined(found));
}

TEST_CASE("a variant that includes another one is found, its own header is not") {
  const std::string entry = "ASSAY_ARCHITECTURE(a, {});\n";
  const SourceFile a =
      parse_source("arch/vocab/a.cpp", "#include \"assay/arch/vocab/a.h\"\n#include \"assay/arch/vocab/skeleton.h\"\n" + entry);
  const SourceFile b = parse_source("arch/vocab/b.cpp", "#include \"assay/arch/vocab/a.h\"\n" + entry);
  CHECK(variants_that_include_variants({a}).empty());
  CHECK(variants_that_include_variants({a, b}) == std::vector<std::string>{"arch/vocab/b.cpp includes assay/arch/vocab/a.h"});
}

}  // namespace
}  // namespace assay::contract
