#include "assay/core/output_path.h"

#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::core {
namespace {

namespace files = std::filesystem;

struct Place {
  std::string_view speaker, option;
  const std::string& path;

  [[noreturn]] void refuse(const std::string& why) const {
    throw ConfigError(speaker, std::string(option) + ": " + (path.empty() ? "an empty path" : printable(path, 200)) + " " + why);
  }
};

bool anything_at(const files::path& path) {
  std::error_code ignored;
  return files::exists(files::symlink_status(path, ignored));
}

files::path parent_of(const files::path& path) {
  const files::path trimmed = path.has_filename() ? path : path.parent_path();  // "a/b/" is "a/b"
  const files::path parent = trimmed.parent_path();
  return parent.empty() ? "." : parent;
}

void require_writable_directory(const Place& place, const files::path& directory) {
  if (!directory_exists(directory.string()))
    place.refuse("cannot be written: " + printable(directory.string(), 200) +
                 (anything_at(directory) ? " is no directory" : " does not exist"));
  if (::access(directory.c_str(), W_OK | X_OK) != 0)
    place.refuse("cannot be written: nothing may be made in " + printable(directory.string(), 200));
}

}  // namespace

void require_file_place(std::string_view speaker, std::string_view option, const std::string& path) {
  const Place place{speaker, option, path};
  if (path.empty()) place.refuse("came; wanted a file to write");
  if (directory_exists(path) || path.back() == '/') place.refuse("is a directory; wanted a file to write");
  require_writable_directory(place, parent_of(path));
}

void require_directory_place(std::string_view speaker, std::string_view option, const std::string& path) {
  const Place place{speaker, option, path};
  if (path.empty()) place.refuse("came; wanted a directory");
  files::path nearest = path;
  if (anything_at(path) && !directory_exists(path)) place.refuse("is no directory; wanted a directory, or a name that is free");
  while (!anything_at(nearest)) nearest = parent_of(nearest);
  require_writable_directory(place, nearest);
}

}  // namespace assay::core
