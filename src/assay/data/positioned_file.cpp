#include "assay/data/positioned_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "assay/core/error.h"

namespace assay::data {
namespace {

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "a pipe or a socket";
}

}  // namespace

PositionedFile::PositionedFile(std::string path, const char* speaker) : path_(std::move(path)), speaker_(speaker) {
  // O_NONBLOCK: opening a named pipe must not wait for somebody to write into it.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd_ < 0) throw core::DataError(speaker_, path_ + ": cannot be opened: " + std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(fd_, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(fd_);
    throw core::DataError(speaker_, path_ + ": wanted a regular file, found " + (known ? kind_of(status.st_mode) : "none"));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

PositionedFile::~PositionedFile() { ::close(fd_); }

void PositionedFile::read(uint64_t offset, void* out, uint64_t bytes) const {
  auto* to = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t n = ::pread(fd_, to, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw core::DataError(speaker_, path_ + ": reading at byte " + std::to_string(offset) + ": " + std::strerror(errno));
    if (n == 0) {
      throw core::DataError(speaker_, path_ + ": ends at byte " + std::to_string(offset) + ", but held " + std::to_string(size_) +
                                          " bytes when it was opened");
    }
    to += n;
    offset += static_cast<uint64_t>(n);
    bytes -= static_cast<uint64_t>(n);
  }
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first {
  }, second{};
  if (::stat(a.c_str(), &first) != 0 || ::stat(b.c_str(), &second) != 0) return false;
  return first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

}  // namespace assay::data
