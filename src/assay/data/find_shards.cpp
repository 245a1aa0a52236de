#include <fnmatch.h>
#include <glob.h>

#include <memory>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/data/path.h"
#include "assay/data/shards.h"

namespace assay::data {
namespace {

std::vector<std::string> in_directory(const std::string& directory, const std::string& pattern) {
  std::vector<std::string> found;
  for (const std::string& name : core::list_directory(directory)) {
    // Directories whose names match are kept: opening them says what is wrong, leaving them out would hide it.
    if (::fnmatch(pattern.c_str(), name.c_str(), FNM_PERIOD) == 0) found.push_back(join_path(directory, name));
  }
  return found;
}

std::vector<std::string> matching(const std::string& pattern) {
  glob_t result{};
  const std::unique_ptr<glob_t, void (*)(glob_t*)> guard(&result, ::globfree);
  if (::glob(pattern.c_str(), 0, nullptr, &result) != 0) return {};  // sorted in the byte order of the "C" locale
  return {result.gl_pathv, result.gl_pathv + result.gl_pathc};
}

}  // namespace

std::vector<std::string> find_shards(const std::string& path, std::string_view split) {
  if (core::directory_exists(path)) {
    const std::string pattern = "*_" + std::string(split) + "_*.bin";
    std::vector<std::string> found = in_directory(path, pattern);
    if (found.empty()) throw core::DataError("shards", path + ": wanted files named " + pattern + " in this directory, found none");
    return found;
  }
  if (path.find_first_of("*?[") == std::string::npos || core::file_exists(path)) return {path};
  std::vector<std::string> found = matching(path);
  if (found.empty()) throw core::DataError("shards", path + ": no file matches this pattern");
  return found;
}

}  // namespace assay::data
