#pragma once
#include <string>
#include <string_view>

#include "assay/tensor/aten.h"

namespace assay::exporting {

// How weights become int8 [vocab-space 7.1]. The published code had a scale_floor of 1/127, so that rows below 1 kept few levels.
struct Int8Rules {
  double scale_floor = 5.9604644775390625e-08;  // smallest scale: 2^-24, the smallest that fp16 holds
  int64_t keep = 65536;                         // tensors with at most so many elements stay floating point
};

// One tensor as it is stored.
struct Packed {
  enum class Kind { rows, whole, half, exact };
  std::string name;
  Kind kind = Kind::exact;
  Tensor values;  // rows, whole: int8; half: fp16; exact: fp32. In the tensor's shape
  Tensor scales;  // rows: fp16 [rows]; whole: fp32 []; else undefined
};
const char* name_of(Packed::Kind kind);  // "int8 rows", "int8", "fp16", "fp32"

// Whether a part of the name is on the published list of small or sensitive parameters, which stay fp32 unless they are large [7.2].
bool is_control(std::string_view name);

// fp32 on the CPU -> stored form, in this order:
//   numel <= keep           fp32 where is_control(name), else fp16
//   two-dimensional         by row r: c = quantile_0.9999984(|w_r|), s = max(c / 127, scale_floor), q = round(clamp(w, -c, c) / s) half to even,
//                           within +-127; s is stored in fp16
//   any other shape         the same for all of it with s = c / 127, or 1 where c = 0; s is stored in fp32
// DataError naming the tensor where it is not finite.
Packed pack(const std::string& name, const Tensor& value, const Int8Rules& rules);
// q s in fp32, with s as it was stored; fp16 as fp32.
Tensor unpack(const Packed& p);

int64_t bytes_of(const Packed& p);

}  // namespace assay::exporting
