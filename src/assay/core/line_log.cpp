#include <filesystem>
#include <system_error>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::core {
namespace {

uint64_t size_of_kept_lines(std::string_view content, const std::function<bool(std::string_view line)>& keep) {
  size_t begin = 0;
  for (size_t end = content.find('\n'); end != std::string_view::npos; end = content.find('\n', begin)) {
    if (!keep(content.substr(begin, end - begin))) {
      break;
    }
    begin = end + 1;
  }
  return begin;
}

}  // namespace

LineLog::LineLog(FileSystem& fs, std::string path, const std::function<bool(std::string_view line)>& keep)
    : fs_(fs), path_(std::move(path)) {
  std::error_code ignored;
  if (std::filesystem::exists(path_, ignored)) {
    const std::string content = read_file(path_);
    size_ = size_of_kept_lines(content, keep);
    if (size_ < content.size()) {
      fs_.truncate(path_, size_);
    }
  }
  create_or_open();
}

// A new file's name is durable only after an fsync of its directory.
void LineLog::create_or_open() {
  const bool existed = file_exists(path_);
  fd_ = fs_.open_append(path_);
  if (existed) {
    return;
  }
  const std::string parent = std::filesystem::path(path_).parent_path().string();
  try {
    fs_.sync_directory(parent.empty() ? "." : parent);
  } catch (const Error&) {
    try {
      fs_.close(fd_, path_);
    } catch (const Error&) {  // the first error is the one to report
    }
    throw;
  }
}

// What matters was synced before; a destructor has nobody to tell.
LineLog::~LineLog() {
  try {
    fs_.close(fd_, path_);
  } catch (const Error&) {}
}

void LineLog::append(std::string_view line) {
  refuse_after_failed_sync();
  if (line.find('\n') != std::string_view::npos) {
    throw ConfigError("files", path_ + ": a line with a line break cannot be appended: " + std::string(line));
  }
  take_back();
  const std::string text = std::string(line) + '\n';
  torn_ = true;
  try {
    fs_.write(fd_, text.data(), text.size(), path_);
  } catch (const Error&) {
    try {
      take_back();
    } catch (const Error&) {  // the next append tries again
    }
    throw;
  }
  torn_ = false;
  size_ += text.size();
}

void LineLog::sync() {
  refuse_after_failed_sync();
  try {
    fs_.sync(fd_, path_);
  } catch (const Error&) {
    sync_failed_ = true;
    throw;
  }
}

void LineLog::take_back() {
  if (torn_) {
    fs_.truncate(path_, size_);
    torn_ = false;
  }
}

void LineLog::refuse_after_failed_sync() const {
  if (sync_failed_) {
    throw ResourceError("files", path_ + ": an earlier sync failed, so that lines may already be lost; nothing more is written to it");
  }
}

}  // namespace assay::core
