#include "assay/core/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/value.h"

namespace assay::core {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are read and written as they lie in memory");

constexpr uint64_t length_bytes = 8;
constexpr uint64_t header_limit = uint64_t{16} << 20;
constexpr int depth_limit = 4;
constexpr const char* metadata_key = "__metadata__";

struct TypeRow {
  DType type;
  const char* name;
  size_t size;
};
constexpr std::array<TypeRow, 10> types{{{DType::f64, "F64", 8},
                                         {DType::f32, "F32", 4},
                                         {DType::f16, "F16", 2},
                                         {DType::bf16, "BF16", 2},
                                         {DType::i64, "I64", 8},
                                         {DType::i32, "I32", 4},
                                         {DType::i16, "I16", 2},
                                         {DType::i8, "I8", 1},
                                         {DType::u8, "U8", 1},
                                         {DType::boolean, "BOOL", 1}}};

std::string in_quotes(std::string_view text) { return std::string("\"").append(text).append("\""); }

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (const int64_t n : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  }
  return text + "]";
}

// a * b where both are >= 0 and the product fits, else false.
bool multiply(int64_t a, int64_t b, int64_t& product) { return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, &product); }

bool count_elements(const std::vector<int64_t>& shape, int64_t& count) {
  count = 1;
  return std::all_of(shape.begin(), shape.end(), [&](int64_t n) { return multiply(count, n, count); });
}

bool count_bytes(DType dtype, const std::vector<int64_t>& shape, int64_t& count) {
  return count_elements(shape, count) && multiply(count, static_cast<int64_t>(size_of(dtype)), count);
}

// One entry of a header, with everything a message needs to say where it is.
class Entry {
 public:
  Entry(std::string_view where, std::string_view name, const Value& fields) : where_(where), name_(name), fields_(fields) {
    if (name.empty()) {
      fail("an empty name, wanted at least one character");
    }
    if (!fields.is_object()) {
      fail(std::string("a ") + fields.kind() + ", wanted an object with dtype, shape and data_offsets");
    }
    for (const auto& [key, value] : fields.as_object()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        fail("unknown field " + in_quotes(key) + ", wanted dtype, shape and data_offsets");
      }
    }
  }

  // The view with `bytes` cut from `data`; `begin` receives its offset.
  TensorView view(std::string_view data, uint64_t& begin) const {
    TensorView tensor{std::string(name_), dtype(), integers("shape"), {}};
    const std::vector<int64_t> offsets = integers("data_offsets");
    if (offsets.size() != 2 || offsets[0] > offsets[1] || static_cast<uint64_t>(offsets[1]) > data.size()) {
      fail("data_offsets " + shape_text(offsets) + ", wanted two, ascending, at most " + std::to_string(data.size()));
    }
    int64_t wanted = 0;
    if (!count_bytes(tensor.dtype, tensor.shape, wanted)) {
      fail("shape " + shape_text(tensor.shape) + " overflows 64 bits");
    }
    if (offsets[1] - offsets[0] != wanted) {
      fail("data_offsets " + shape_text(offsets) + " hold " + std::to_string(offsets[1] - offsets[0]) + " bytes, " + name_of(tensor.dtype) +
           " " + shape_text(tensor.shape) + " needs " + std::to_string(wanted));
    }
    begin = static_cast<uint64_t>(offsets[0]);
    tensor.bytes = data.substr(begin, static_cast<size_t>(wanted));
    return tensor;
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw DataError("safetensors", std::string(where_) + ": tensor " + in_quotes(printable(name_, 100)) + ": " + what);
  }

 private:
  const Value& field(const char* key) const {
    const Value* value = fields_.find(key);
    if (value == nullptr) {
      fail(std::string("no ") + key);
    }
    return *value;
  }

  DType dtype() const {
    const Value& value = field("dtype");
    if (!value.is_string()) {
      fail(std::string("dtype is a ") + value.kind() + ", wanted a string");
    }
    const auto row = std::find_if(types.begin(), types.end(), [&](const TypeRow& t) { return t.name == value.as_string(); });
    if (row == types.end()) {
      fail("unknown dtype " + in_quotes(printable(value.as_string(), 40)));
    }
    return row->type;
  }

  std::vector<int64_t> integers(const char* key) const {
    const Value& value = field(key);
    if (!value.is_array()) {
      fail(std::string(key) + " is a " + value.kind() + ", wanted an array of integers");
    }
    std::vector<int64_t> out;
    for (const Value& element : value.as_array()) {
      if (!element.is_int() || element.as_int() < 0) {
        fail(std::string(key) + " holds " + printable(to_json(element), 40) + ", wanted integers >= 0");
      }
      out.push_back(element.as_int());
    }
    return out;
  }

  std::string_view where_, name_;
  const Value& fields_;
};

[[noreturn]] void fail(std::string_view where, const std::string& what) {
  throw DataError("safetensors", std::string(where) + ": " + what);
}

// The header's text, without its padding.
std::string_view header_text(std::string_view bytes, std::string_view where) {
  if (bytes.size() < length_bytes) {
    fail(where, "holds " + std::to_string(bytes.size()) + " bytes, wanted at least 8 for the header's length");
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), length_bytes);
  const uint64_t limit = std::min(header_limit, bytes.size() - length_bytes);
  if (length > limit) {
    fail(where, "header length is " + std::to_string(length) + ", wanted at most " + std::to_string(limit));
  }
  const std::string_view header = bytes.substr(length_bytes, length);
  const std::string_view text = header.substr(0, header.find_last_not_of(' ') + 1);
  if (!text.starts_with('{') || !text.ends_with('}')) {
    fail(where, "header is " + in_quotes(printable(text, 40)) + ", wanted {...} followed by nothing but spaces");
  }
  return text;
}

std::map<std::string, std::string> metadata_from(const Value& fields, std::string_view where) {
  if (!fields.is_object()) {
    fail(where, std::string("__metadata__ is a ") + fields.kind() + ", wanted an object");
  }
  std::map<std::string, std::string> out;
  for (const auto& [key, value] : fields.as_object()) {
    if (!value.is_string()) {
      fail(where, "__metadata__ " + in_quotes(printable(key, 100)) + " is a " + value.kind() + ", wanted a string");
    }
    out.emplace(key, value.as_string());
  }
  return out;
}

struct Placed {
  uint64_t begin;
  TensorView tensor;
};

void check_contiguous(const std::vector<Placed>& placed, uint64_t size, std::string_view where) {
  uint64_t cursor = 0;
  for (const auto& [begin, tensor] : placed) {
    if (begin != cursor) {
      fail(where, "tensor " + in_quotes(printable(tensor.name, 100)) + " begins at " + std::to_string(begin) +
                      (begin < cursor ? ", inside" : ", after a gap behind") + " the one that ends at " + std::to_string(cursor));
    }
    cursor += tensor.bytes.size();
  }
  if (cursor != size) {
    fail(where, "tensors end at " + std::to_string(cursor) + ", the data at " + std::to_string(size));
  }
}

void check_writable(const TensorView& tensor, std::set<std::string_view>& names) {
  const auto reject = [&](const std::string& what) { throw ConfigError("safetensors", "tensor " + in_quotes(tensor.name) + ": " + what); };
  if (tensor.name.empty() || tensor.name == metadata_key || !is_utf8(tensor.name)) {
    reject("the name is empty, reserved or not UTF-8");
  }
  if (!names.insert(tensor.name).second) {
    reject("there are two of that name");
  }
  int64_t wanted = 0;
  if (!count_bytes(tensor.dtype, tensor.shape, wanted) || static_cast<uint64_t>(wanted) != tensor.bytes.size()) {
    reject(std::to_string(tensor.bytes.size()) + " bytes do not match " + name_of(tensor.dtype) + " " + shape_text(tensor.shape));
  }
}

Value metadata_value(const std::map<std::string, std::string>& metadata) {
  Value::Object out;
  for (const auto& [key, text] : metadata) {
    if (!is_utf8(key) || !is_utf8(text)) {
      throw ConfigError("safetensors", "metadata " + in_quotes(key) + ": is not UTF-8");
    }
    out.emplace_back(key, Value(text));
  }
  return Value(std::move(out));
}

Value entry_value(const TensorView& tensor, uint64_t begin) {
  Value shape = Value::array();
  for (const int64_t n : tensor.shape) {
    shape.push_back(Value(n));
  }
  Value offsets = Value::array();
  offsets.push_back(Value(begin));
  offsets.push_back(Value(begin + tensor.bytes.size()));
  return Value(Value::Object{{"dtype", Value(name_of(tensor.dtype))}, {"shape", std::move(shape)}, {"data_offsets", std::move(offsets)}});
}

}  // namespace

const char* name_of(DType d) { return types[static_cast<size_t>(d)].name; }

size_t size_of(DType d) { return types[static_cast<size_t>(d)].size; }

int64_t TensorView::numel() const {
  int64_t count = 0;
  if (!count_elements(shape, count)) {
    throw DataError("safetensors", "tensor " + in_quotes(name) + ": shape " + shape_text(shape) + " has no size");
  }
  return count;
}

SafeTensors SafeTensors::read(const std::string& path, uint64_t limit) { return parse(read_file(path, limit), path); }

SafeTensors SafeTensors::parse(std::string bytes, std::string_view where) {
  SafeTensors file;
  file.where_ = where;
  file.bytes_ = std::move(bytes);
  const std::string_view all = file.bytes_;
  const Value header = parse_json(header_text(all, where), where, {header_limit, depth_limit});
  uint64_t header_length = 0;
  std::memcpy(&header_length, all.data(), length_bytes);
  const std::string_view data = all.substr(length_bytes + header_length);
  std::vector<Placed> placed;
  for (const auto& [name, fields] : header.as_object()) {
    if (name == metadata_key) {
      file.metadata_ = metadata_from(fields, where);
    } else {
      uint64_t begin = 0;
      TensorView tensor = Entry(where, name, fields).view(data, begin);
      placed.push_back({begin, std::move(tensor)});
    }
  }
  // An empty tensor shares its offset with the next one and comes first.
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::tuple(a.begin, a.tensor.bytes.size()) < std::tuple(b.begin, b.tensor.bytes.size());
  });
  check_contiguous(placed, data.size(), where);
  for (Placed& p : placed) {
    file.tensors_.push_back(std::move(p.tensor));
  }
  return file;
}

const TensorView* SafeTensors::find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(), [&](const TensorView& t) { return t.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

const TensorView& SafeTensors::at(std::string_view name) const {
  const TensorView* tensor = find(name);
  if (tensor == nullptr) {
    fail(where_, "no tensor " + in_quotes(name));
  }
  return *tensor;
}

std::string safetensors_header(const std::vector<TensorView>& tensors, const std::map<std::string, std::string>& metadata) {
  Value::Object header;
  if (!metadata.empty()) {
    header.emplace_back(metadata_key, metadata_value(metadata));
  }
  std::set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorView& tensor : tensors) {
    check_writable(tensor, names);
    header.emplace_back(tensor.name, entry_value(tensor, offset));
    offset += tensor.bytes.size();
  }
  std::string text = to_json(Value(std::move(header)));
  text.append((length_bytes - text.size() % length_bytes) % length_bytes, ' ');
  if (text.size() > header_limit) {
    throw ConfigError("safetensors",
                      "the header takes " + std::to_string(text.size()) + " bytes, wanted at most " + std::to_string(header_limit));
  }
  const uint64_t length = text.size();
  std::string out(length_bytes, '\0');
  std::memcpy(out.data(), &length, length_bytes);
  return out + text;
}

void write_safetensors(FileSystem& fs, const std::string& path, const std::vector<TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::string header = safetensors_header(tensors, metadata);
  std::vector<std::string_view> pieces{header};
  for (const TensorView& tensor : tensors) {
    pieces.push_back(tensor.bytes);
  }
  write_file(fs, path, std::span<const std::string_view>(pieces));
}

}  // namespace assay::core
