#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay::core {

// The only door to the disk for anything that must survive. Every call may fail; a test implementation fails the n-th.
// Methods mirror the system calls and throw ResourceError naming the path and the reason (ENOSPC, EDQUOT, EIO, EROFS, EACCES).
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual int create(const std::string& path) = 0;                                      // O_CREAT|O_EXCL|O_WRONLY
  virtual void write(int fd, const void* data, size_t n, const std::string& path) = 0;  // all of it
  virtual void sync(int fd, const std::string& path) = 0;                               // fsync; never retried on the same file
  virtual void close(int fd, const std::string& path) = 0;
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void sync_directory(const std::string& path) = 0;
  virtual void make_directory(const std::string& path) = 0;  // fails where it exists
  virtual void remove_all(const std::string& path) = 0;
  virtual int open_append(const std::string& path) = 0;  // O_CREAT|O_APPEND|O_WRONLY
  virtual void truncate(const std::string& path, uint64_t size) = 0;
};

FileSystem& real_files();

// ResourceError "[files] PATH: cannot DOING: REASON (ENAME)": what every FileSystem throws.
[[noreturn]] void throw_file_error(const std::string& path, std::string_view doing, int error);

// Fails the n-th call (counted from 1) with `error` (an errno), and everything after it when `sticky`; n = 0 never fails.
// Calls before it go to the real file system. A failing write may first write half of its bytes.
class FailingFiles final : public FileSystem {
 public:
  FailingFiles(int64_t n, int error, bool sticky = false, bool half_writes = true);
  int64_t calls() const { return calls_; }
  int create(const std::string& path) override;
  void write(int fd, const void* data, size_t n, const std::string& path) override;
  void sync(int fd, const std::string& path) override;
  void close(int fd, const std::string& path) override;
  void rename(const std::string& from, const std::string& to) override;
  void sync_directory(const std::string& path) override;
  void make_directory(const std::string& path) override;
  void remove_all(const std::string& path) override;
  int open_append(const std::string& path) override;
  void truncate(const std::string& path, uint64_t size) override;

 private:
  bool fails();
  int64_t n_;
  int error_;
  bool sticky_, half_writes_;
  int64_t calls_ = 0;
};

// Replaces `path` as a whole: temporary file in the same directory, write, fsync, rename, fsync directory. On a failure up to the
// rename the old content stays and the temporary file is removed. A failure of the directory's fsync is told apart ("written, but it
// may not survive a power failure"): the new content is then in place, whole. Both throw ResourceError.
void write_file(FileSystem& fs, const std::string& path, std::string_view content);
// The same with the content given in pieces (weights, without a second copy in memory).
void write_file(FileSystem& fs, const std::string& path, std::span<const std::string_view> pieces);

// Builds a directory next to its final place and commits it by rename: fill("<path>.tmp-<pid>"), fsync, rename, fsync parent.
// An existing directory at `path` is replaced (moved aside to "<path>.old-<pid>" first, removed after). On failure nothing new is left
// behind and the old directory is back in its place, also where the last fsync fails. What `fill` wrote need not be synced by it.
void commit_directory(FileSystem& fs, const std::string& path, const std::function<void(const std::string& staging)>& fill);

// An append-only log of lines, one write call a line, each ended by '\n'. A line whose write fails is taken back, so that later lines
// stay whole; after a failed sync nothing more is accepted, because the kernel may already have dropped what was not written.
class LineLog {
 public:
  // Drops what follows the last complete line that `keep` accepts (all lines after the first refusal too), then appends.
  LineLog(FileSystem& fs, std::string path, const std::function<bool(std::string_view line)>& keep);
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;
  void append(std::string_view line);
  void sync();

 private:
  void create_or_open();
  void take_back();
  void refuse_after_failed_sync() const;
  FileSystem& fs_;
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;  // of the complete lines
  bool torn_ = false;  // bytes of a failed write may follow them
  bool sync_failed_ = false;
};

// A regular file open for reading from its start. DataError: absent, a directory, not a regular file, not readable.
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  uint64_t size() const { return size_; }  // when it was opened
  size_t read(void* buffer, size_t n);     // fewer than n only at the end of the file

 private:
  std::string path_;
  int fd_ = -1;
  uint64_t size_ = 0;
};

// Whole file as bytes. DataError: absent, a directory, larger than `limit` (said with both sizes), short read.
std::string read_file(const std::string& path, uint64_t limit = uint64_t{1} << 32);
bool file_exists(const std::string& path);  // a regular file
bool directory_exists(const std::string& path);
uint64_t file_size(const std::string& path);                       // DataError where absent
std::vector<std::string> list_directory(const std::string& path);  // sorted names; DataError where absent
void make_directories(FileSystem& fs, const std::string& path);    // like mkdir -p

// Where this program keeps what can be made again: $XDG_CACHE_HOME/assay, ~/.cache/assay; "" where the user has neither.
std::string user_cache();

// An exclusive lock on a run directory (flock on `<dir>/.lock`, holding pid and start time). ConfigError where another
// live process holds it, naming that process, or where there is no such directory. Released by the kernel when the holder dies.
class DirectoryLock {
 public:
  explicit DirectoryLock(const std::string& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace assay::core
