#pragma once
#include <string>
#include <string_view>

namespace assay::core {

// Where a command is to write, looked at before its work. ConfigError "[speaker] OPTION: PATH ..." where it cannot: an empty path, a directory
// where a file is wanted or something else where a directory is, a parent that is missing (a file's) or no directory, no permission.
void require_file_place(std::string_view speaker, std::string_view option, const std::string& path);
void require_directory_place(std::string_view speaker, std::string_view option, const std::string& path);

}  // namespace assay::core
