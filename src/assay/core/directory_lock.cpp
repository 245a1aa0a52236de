#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"

namespace assay::core {
namespace {

std::string holder_of(int fd) {
  std::array<char, 128> text{};
  const ssize_t n = ::pread(fd, text.data(), text.size(), 0);
  return n > 0 ? std::string(text.data(), static_cast<size_t>(n)) : "another process";
}

int open_lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) {
    throw_file_error(path, "open", errno);
  }
  return fd;
}

int lock_now(int fd) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// Only for the message to whoever comes second: the lock itself is the kernel's.
int sign(int fd) {
  const std::string text = "process " + std::to_string(::getpid()) + ", since " + utc_now();
  errno = 0;
  const bool signed_whole = ::ftruncate(fd, 0) == 0 && ::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  return signed_whole ? 0 : (errno != 0 ? errno : EIO);
}

}  // namespace

DirectoryLock::DirectoryLock(const std::string& directory) {
  if (!directory_exists(directory)) {
    throw ConfigError("lock", directory + ": is not a directory");
  }
  const std::string path = directory + "/.lock";
  fd_ = open_lock(path);
  int error = lock_now(fd_);
  const std::string holder = error == EWOULDBLOCK ? holder_of(fd_) : "";
  if (error == 0) {
    error = sign(fd_);
  }
  if (error != 0) {
    ::close(fd_);
  }
  if (!holder.empty()) {
    throw ConfigError("lock", directory + ": is in use by " + holder + "; wait for it, or use another directory");
  }
  if (error != 0) {
    throw_file_error(path, "lock", error);
  }
}

// The file stays: removing it would let two later processes lock two different files of that name.
DirectoryLock::~DirectoryLock() { ::close(fd_); }

}  // namespace assay::core
