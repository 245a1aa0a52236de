#include "assay/core/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "assay/core/error.h"

namespace assay::core {
namespace {

class RealFiles final : public FileSystem {
 public:
  int create(const std::string& path) override { return open(path, O_CREAT | O_EXCL | O_WRONLY, "create"); }
  int open_append(const std::string& path) override { return open(path, O_CREAT | O_APPEND | O_WRONLY, "open for appending"); }

  void write(int fd, const void* data, size_t n, const std::string& path) override {
    const char* from = static_cast<const char*>(data);
    while (n > 0) {
      const ssize_t written = ::write(fd, from, n);
      if (written < 0 && errno != EINTR) {
        throw_file_error(path, "write", errno);
      }
      if (written > 0) {
        from += written;
        n -= static_cast<size_t>(written);
      }
    }
  }

  // Linux forgets the failure after reporting it once and may have dropped the dirty pages: a second fsync would succeed and lie.
  void sync(int fd, const std::string& path) override {
    if (::fsync(fd) != 0) {
      throw_file_error(path, "sync", errno);
    }
  }

  // The descriptor is gone even where close fails; a second try could close somebody else's.
  void close(int fd, const std::string& path) override {
    if (::close(fd) != 0 && errno != EINTR) {
      throw_file_error(path, "close", errno);
    }
  }

  void rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      throw_file_error(from, "rename to " + to, errno);
    }
  }

  void sync_directory(const std::string& path) override {
    const int fd = open(path, O_RDONLY | O_DIRECTORY, "open the directory");
    const int error = ::fsync(fd) == 0 ? 0 : errno;
    ::close(fd);
    if (error != 0) {
      throw_file_error(path, "sync the directory", error);
    }
  }

  void make_directory(const std::string& path) override {
    if (::mkdir(path.c_str(), 0777) != 0) {
      throw_file_error(path, "make the directory", errno);
    }
  }

  void remove_all(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) {
      throw_file_error(path, "remove", error.value());
    }
  }

  void truncate(const std::string& path, uint64_t size) override {
    if (::truncate(path.c_str(), static_cast<off_t>(size)) != 0) {
      throw_file_error(path, "truncate", errno);
    }
  }

 private:
  static int open(const std::string& path, int flags, std::string_view doing) {
    int fd = -1;
    do {
      fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
      throw_file_error(path, doing, errno);
    }
    return fd;
  }
};

[[noreturn]] void throw_unreadable(const std::string& path, int error) {
  throw DataError("files", path + ": cannot be read: " + std::generic_category().message(error));
}

std::filesystem::file_status status_of(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::status(path, ignored);
}

}  // namespace

FileSystem& real_files() {
  static RealFiles files;
  return files;
}

void throw_file_error(const std::string& path, std::string_view doing, int error) {
  const char* name = ::strerrorname_np(error);
  throw ResourceError("files", path + ": cannot " + std::string(doing) + ": " + std::generic_category().message(error) + " (" +
                                   (name != nullptr ? name : std::to_string(error)) + ")");
}

// O_NONBLOCK: a named pipe must be refused, not waited for.
InputFile::InputFile(const std::string& path) : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (fd_ < 0) {
    throw_unreadable(path, errno);
  }
  struct stat status {};
  const int error = ::fstat(fd_, &status) == 0 ? 0 : errno;
  if (error != 0 || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    if (error != 0) {
      throw_unreadable(path, error);
    }
    throw DataError("files", path + (S_ISDIR(status.st_mode) ? ": is a directory, wanted a file" : ": is not a regular file"));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

InputFile::~InputFile() { ::close(fd_); }

size_t InputFile::read(void* buffer, size_t n) {
  size_t done = 0;
  while (done < n) {
    const ssize_t got = ::read(fd_, static_cast<char*>(buffer) + done, n - done);
    if (got == 0) {
      break;
    }
    if (got < 0 && errno != EINTR) {
      throw_file_error(path_, "read", errno);
    }
    done += got > 0 ? static_cast<size_t>(got) : 0;
  }
  return done;
}

std::string read_file(const std::string& path, uint64_t limit) {
  InputFile file(path);
  if (file.size() > limit) {
    throw DataError("files", path + ": holds " + std::to_string(file.size()) + " bytes, wanted at most " + std::to_string(limit));
  }
  std::string content(file.size(), '\0');
  const size_t got = file.read(content.data(), content.size());
  if (got != content.size()) {
    throw DataError("files", path + ": ended after " + std::to_string(got) + " bytes, wanted " + std::to_string(content.size()));
  }
  return content;
}

bool file_exists(const std::string& path) { return std::filesystem::is_regular_file(status_of(path)); }

bool directory_exists(const std::string& path) { return std::filesystem::is_directory(status_of(path)); }

std::string user_cache() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  if (xdg != nullptr && *xdg != '\0') return std::string(xdg) + "/assay";
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.cache/assay" : "";
}

uint64_t file_size(const std::string& path) { return InputFile(path).size(); }

std::vector<std::string> list_directory(const std::string& path) {
  std::error_code error;
  std::filesystem::directory_iterator entry(path, error);
  std::vector<std::string> names;
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    throw DataError("files", path + ": cannot be listed: " + error.message());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace assay::core
