#pragma once
#include <string>

namespace assay::data {

inline std::string join_path(const std::string& directory, const std::string& name) {
  std::string path = directory;
  if (!path.ends_with('/')) path += '/';
  return path += name;
}

inline std::string base_name(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }  // npos + 1 is 0

}  // namespace assay::data
