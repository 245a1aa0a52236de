#pragma once
#include <cstdint>
#include <string>

namespace assay::data {

// A regular file held open for positioned reads. It is not mapped: a file that shrinks while it is open gives DataError, not SIGBUS.
class PositionedFile {
 public:
  PositionedFile(std::string path, const char* speaker);  // DataError: absent, a directory, a loop of links, not readable
  ~PositionedFile();
  PositionedFile(const PositionedFile&) = delete;
  PositionedFile& operator=(const PositionedFile&) = delete;

  const std::string& path() const { return path_; }
  uint64_t size() const { return size_; }  // when it was opened
  void read(uint64_t offset, void* out, uint64_t bytes) const;

 private:
  std::string path_;
  const char* speaker_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// True where both names lead to one file.
bool same_file(const std::string& a, const std::string& b);

}  // namespace assay::data
