#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/data/images.h"
#include "assay/data/path.h"
#include "assay/data/positioned_file.h"

namespace assay::data {
namespace {

constexpr uint64_t kRow = static_cast<uint64_t>(image_row(kCifarSide)),
                   kRecordBytes = kRow;  // bytes of a record are as many as tokens of a row
constexpr uint64_t kRecords = 10000;     // of a file
constexpr uint64_t kRecordsAtOnce = 500;

std::vector<std::string> names_of(std::string_view split) {
  if (split == "val") return {"test_batch.bin"};
  std::vector<std::string> names;
  for (char k = '1'; k <= '5'; ++k) names.push_back(std::string("data_batch_") + k + ".bin");
  return names;
}

[[noreturn]] void fail_batch(const std::string& path, const std::string& message) {
  throw core::DataError("cifar10", path + ": " + message);
}

class CifarSource final : public TokenSource {
 public:
  explicit CifarSource(const std::vector<std::string>& paths) {
    std::string hashes;
    for (const std::string& path : paths) {
      if (!core::file_exists(path))
        fail_batch(path,
                   "wanted beside the other files of CIFAR-10's binary version (data_batch_1.bin to data_batch_5.bin, test_batch.bin), "
                   "found no such file");
      files_.push_back(std::make_unique<PositionedFile>(path, "cifar10"));
      hashes += checked(*files_.back());
    }
    hash_ = core::hash128_hex(hashes);
  }

  uint64_t size() const override { return files_.size() * kRecords * kRow + 1; }
  std::string hash() const override { return hash_; }

  void read(uint64_t offset, uint64_t n, uint16_t* out) const override {
    if (offset > size() || n > size() - offset)
      throw core::DataError("tokens", "asked for " + std::to_string(n) + " tokens at " + std::to_string(offset) +
                                          " of a source that holds " + std::to_string(size()));
    std::vector<uint8_t> levels;
    while (n > 0) {
      const uint64_t record = offset / kRow % (files_.size() * kRecords), from = offset % kRow, here = std::min(n, kRow - from);
      const PositionedFile& file = *files_[record / kRecords];
      const uint64_t start = record % kRecords * kRecordBytes;
      levels.resize(std::min(here, kRow - 1 - from));  // a row's last token is the record's first byte
      file.read(start + 1 + from, levels.data(), levels.size());
      std::copy(levels.begin(), levels.end(), out);
      if (here > levels.size()) {
        uint8_t label = 0;
        file.read(start, &label, 1);
        out[here - 1] = static_cast<uint16_t>(kLevels + label);
      }
      out += here;
      offset += here;
      n -= here;
    }
  }

 private:
  // Size and every class byte; -> a hash of the contents.
  static std::string checked(const PositionedFile& file) {
    if (file.size() != kRecords * kRecordBytes)
      fail_batch(file.path(), "wanted " + std::to_string(kRecords * kRecordBytes) + " bytes (" + std::to_string(kRecords) + " records of " +
                                  std::to_string(kRecordBytes) + "), found " + std::to_string(file.size()));
    std::string hashes, chunk(kRecordsAtOnce * kRecordBytes, '\0');
    for (uint64_t first = 0; first < kRecords; first += kRecordsAtOnce) {
      file.read(first * kRecordBytes, chunk.data(), chunk.size());
      for (uint64_t i = 0; i < kRecordsAtOnce; ++i)
        if (const auto label = static_cast<uint8_t>(chunk[i * kRecordBytes]); label >= kImageClasses)
          fail_batch(file.path(), "record " + std::to_string(first + i) + ", class: wanted 0 to " + std::to_string(kImageClasses - 1) +
                                      ", found " + std::to_string(label));
      hashes += core::hash128_hex(chunk);
    }
    return hashes;
  }

  std::vector<std::unique_ptr<PositionedFile>> files_;
  std::string hash_;
};

}  // namespace

bool is_cifar10(const std::string& path) {
  if (!core::directory_exists(path)) return false;
  for (const char* split : {"train", "val"})
    for (const std::string& name : names_of(split))
      if (core::file_exists(join_path(path, name))) return true;
  return false;
}

std::unique_ptr<TokenSource> open_cifar10(const std::string& directory, std::string_view split) {
  std::vector<std::string> paths;
  for (const std::string& name : names_of(split)) paths.push_back(join_path(directory, name));
  return std::make_unique<CifarSource>(paths);
}

}  // namespace assay::data
