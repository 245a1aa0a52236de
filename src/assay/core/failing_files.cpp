#include <cerrno>

#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::core {

FailingFiles::FailingFiles(int64_t n, int error, bool sticky, bool half_writes)
    : n_(n), error_(error), sticky_(sticky), half_writes_(half_writes) {}

bool FailingFiles::fails() {
  ++calls_;
  return n_ > 0 && (calls_ == n_ || (sticky_ && calls_ > n_));
}

int FailingFiles::create(const std::string& path) {
  if (fails()) {
    throw_file_error(path, "create", error_);
  }
  return real_files().create(path);
}

void FailingFiles::write(int fd, const void* data, size_t n, const std::string& path) {
  const bool failing = fails();
  if (!failing || half_writes_) {
    real_files().write(fd, data, failing ? n / 2 : n, path);
  }
  if (failing) {
    throw_file_error(path, "write", error_);
  }
}

void FailingFiles::sync(int fd, const std::string& path) {
  if (fails()) {
    throw_file_error(path, "sync", error_);
  }
  real_files().sync(fd, path);
}

// As in the kernel, the descriptor is released even where the call reports a failure.
void FailingFiles::close(int fd, const std::string& path) {
  const bool failing = fails();
  real_files().close(fd, path);
  if (failing) {
    throw_file_error(path, "close", error_);
  }
}

void FailingFiles::rename(const std::string& from, const std::string& to) {
  if (fails()) {
    throw_file_error(from, "rename to " + to, error_);
  }
  real_files().rename(from, to);
}

void FailingFiles::sync_directory(const std::string& path) {
  if (fails()) {
    throw_file_error(path, "sync the directory", error_);
  }
  real_files().sync_directory(path);
}

void FailingFiles::make_directory(const std::string& path) {
  if (fails()) {
    throw_file_error(path, "make the directory", error_);
  }
  real_files().make_directory(path);
}

void FailingFiles::remove_all(const std::string& path) {
  if (fails()) {
    throw_file_error(path, "remove", error_);
  }
  real_files().remove_all(path);
}

int FailingFiles::open_append(const std::string& path) {
  if (fails()) {
    throw_file_error(path, "open for appending", error_);
  }
  return real_files().open_append(path);
}

void FailingFiles::truncate(const std::string& path, uint64_t size) {
  if (fails()) {
    throw_file_error(path, "truncate", error_);
  }
  real_files().truncate(path, size);
}

}  // namespace assay::core
