#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "assay/core/file.h"

namespace assay::core {

// safetensors: u64 little-endian header length, JSON header, then the raw tensors, contiguous from offset 0.
enum class DType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };
const char* name_of(DType d);  // "F32", ...
size_t size_of(DType d);

struct TensorView {  // a tensor inside a SafeTensors object, or one to be written; does not own
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::string_view bytes;  // little-endian, row-major; not aligned to the type
  int64_t numel() const;   // DataError where a dimension is negative or the product overflows
};

// A file held in memory. Reading is strict: header length <= min(file - 8, 16 MiB); header starts with '{', is valid UTF-8
// JSON of depth <= 4 without duplicate keys, space-padded at most; known dtypes; sizes by checked multiplication; offsets start at 0, are
// contiguous in some order, do not overlap and end at the end of the file; names are non-empty; __metadata__ maps strings to strings.
// DataError names the file, the tensor or field, and what was wanted.
class SafeTensors {
 public:
  static SafeTensors read(const std::string& path, uint64_t limit = uint64_t{1} << 36);
  static SafeTensors parse(std::string bytes, std::string_view where);
  SafeTensors(SafeTensors&&) = default;
  SafeTensors& operator=(SafeTensors&&) = default;
  SafeTensors(const SafeTensors&) = delete;  // the views point into the bytes
  SafeTensors& operator=(const SafeTensors&) = delete;

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<TensorView>& tensors() const { return tensors_; }  // by offset
  const TensorView* find(std::string_view name) const;
  const TensorView& at(std::string_view name) const;  // DataError naming the file

 private:
  SafeTensors() = default;
  std::string where_, bytes_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorView> tensors_;
};

// Header padded with spaces so that tensors start 8-byte aligned; tensors in the order given. `header` then the tensors' bytes
// are what `write_file` needs as pieces. ConfigError: duplicate, empty or reserved name, text that is not UTF-8, bytes that do not match
// shape and dtype, more header than a reader accepts.
std::string safetensors_header(const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata);
void write_safetensors(FileSystem& fs, const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace assay::core
