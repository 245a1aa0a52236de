#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <system_error>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::core {
namespace {

bool anything_at(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(std::filesystem::symlink_status(path, ignored));
}

std::string without_trailing_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string process_suffix(const char* kind) { return std::string(".") + kind + "-" + std::to_string(::getpid()); }

// For clean-up, where an error is already on its way or the work is already committed. True where it worked.
template <class F>
bool attempt(F&& f) {
  try {
    f();
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Tried twice, so that one passing fault leaves no litter.
void discard(FileSystem& fs, const std::string& path) {
  if (anything_at(path) && !attempt([&] { fs.remove_all(path); })) {
    attempt([&] { fs.remove_all(path); });
  }
}

// A process that died may have had this process's number (in a container it usually has): what it left must not stand in the way.
void clear_the_way(FileSystem& fs, const std::string& path) {
  if (anything_at(path)) {
    fs.remove_all(path);
  }
}

// `use(fd)`, then close; where `use` fails, its error is the one that counts.
template <class F>
void use_and_close(FileSystem& fs, int fd, const std::string& path, F&& use) {
  try {
    use(fd);
  } catch (...) {
    attempt([&] { fs.close(fd, path); });
    throw;
  }
  fs.close(fd, path);
}

void write_new(FileSystem& fs, const std::string& path, std::span<const std::string_view> pieces) {
  use_and_close(fs, fs.create(path), path, [&](int fd) {
    for (const std::string_view piece : pieces) {
      fs.write(fd, piece.data(), piece.size(), path);
    }
    fs.sync(fd, path);
  });
}

void sync_tree(FileSystem& fs, const std::string& directory) {
  for (const std::string& name : list_directory(directory)) {
    const std::string path = directory + "/" + name;
    if (directory_exists(path)) {
      sync_tree(fs, path);
    } else if (file_exists(path)) {
      use_and_close(fs, fs.open_append(path), path, [&](int fd) { fs.sync(fd, path); });
    }
  }
  fs.sync_directory(directory);
}

// Puts `staging` in the place of `path` and leaves what stood there under `aside`. All or nothing as far as the file system obeys.
void exchange(FileSystem& fs, const std::string& staging, const std::string& path, const std::string& aside) {
  bool moved_aside = false;
  bool placed = false;
  try {
    if (directory_exists(path)) {
      clear_the_way(fs, aside);
      fs.rename(path, aside);
      moved_aside = true;
    }
    fs.rename(staging, path);
    placed = true;
    fs.sync_directory(parent_of(path));
  } catch (...) {
    const bool free = !placed || attempt([&] { fs.rename(path, staging); });
    if (free && moved_aside) {
      attempt([&] { fs.rename(aside, path); });
    }
    throw;
  }
}

}  // namespace

void write_file(FileSystem& fs, const std::string& path, std::string_view content) {
  write_file(fs, path, std::span<const std::string_view>(&content, 1));
}

void write_file(FileSystem& fs, const std::string& path, std::span<const std::string_view> pieces) {
  static std::atomic<uint64_t> count{0};  // two threads, two names
  const std::string temporary = path + process_suffix("tmp") + "-" + std::to_string(count++);
  clear_the_way(fs, temporary);
  try {
    write_new(fs, temporary, pieces);
    fs.rename(temporary, path);
  } catch (...) {
    discard(fs, temporary);
    throw;
  }
  try {
    fs.sync_directory(parent_of(path));
  } catch (const ResourceError& e) {
    throw ResourceError("files", path + ": written, but it may not survive a power failure: " + e.what());
  }
}

void commit_directory(FileSystem& fs, const std::string& path, const std::function<void(const std::string& staging)>& fill) {
  const std::string target = without_trailing_slashes(path);
  const std::string staging = target + process_suffix("tmp");
  const std::string aside = target + process_suffix("old");
  clear_the_way(fs, staging);
  try {
    fs.make_directory(staging);
    fill(staging);
    sync_tree(fs, staging);
    exchange(fs, staging, target, aside);
  } catch (...) {
    discard(fs, staging);
    throw;
  }
  discard(fs, aside);
}

void make_directories(FileSystem& fs, const std::string& path) {
  const std::string target = without_trailing_slashes(path);
  if (target.empty() || directory_exists(target)) {
    return;
  }
  make_directories(fs, parent_of(target));
  try {
    fs.make_directory(target);
  } catch (const ResourceError&) {
    if (!directory_exists(target)) {  // else another process was quicker
      throw;
    }
  }
  fs.sync_directory(parent_of(target));
}

}  // namespace assay::core
