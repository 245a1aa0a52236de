#include "assay/export/model_file.h"

#include <zlib.h>

#include <charconv>
#include <cstring>

#include "assay/core/error.h"
#include "assay/core/safetensors.h"

namespace assay::exporting {
namespace {

constexpr const char* kFormat = "assay-int8-1";
constexpr uint64_t kLimit = uint64_t{1} << 36;  // bytes of a model

core::DType dtype_of(const Tensor& t) {
  switch (t.scalar_type()) {
    case at::kChar: return core::DType::i8;
    case at::kHalf: return core::DType::f16;
    default: return core::DType::f32;
  }
}

at::ScalarType scalar_type(const core::TensorView& t, const std::string& path) {
  switch (t.dtype) {
    case core::DType::i8: return at::kChar;
    case core::DType::f16: return at::kHalf;
    case core::DType::f32: return at::kFloat;
    default: throw core::DataError("import", path + ": tensor '" + t.name + "' is " + core::name_of(t.dtype) + "; wanted F32, F16 or I8");
  }
}

Tensor tensor_of(const core::TensorView& t, const std::string& path) {
  Tensor out = at::empty(t.shape, at::TensorOptions().dtype(scalar_type(t, path)));
  std::memcpy(out.mutable_data_ptr(), t.bytes.data(), t.bytes.size());
  return out;
}

std::string safetensors_of(const std::vector<std::pair<std::string, Tensor>>& named, const std::map<std::string, std::string>& metadata) {
  std::vector<core::TensorView> views;
  for (const auto& [name, t] : named)
    views.push_back({name, dtype_of(t), t.sizes().vec(), std::string_view(static_cast<const char*>(t.const_data_ptr()), t.nbytes())});
  std::string bytes = core::safetensors_header(views, metadata);
  for (const core::TensorView& v : views) bytes.append(v.bytes);
  return bytes;
}

std::string compressed(const std::string& bytes) {
  uLongf n = compressBound(bytes.size());
  std::string out(n, '\0');
  const int code = compress2(reinterpret_cast<Bytef*>(out.data()), &n, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size(), 9);
  if (code != Z_OK) throw core::ResourceError("export", "zlib cannot compress: code " + std::to_string(code));
  out.resize(n);
  return out;
}

// The stream's content; DataError where it is damaged, cut off, followed by something, or larger than a model may be.
std::string expanded(const std::string& bytes, const std::string& path) {
  z_stream z{};
  if (inflateInit(&z) != Z_OK) throw core::ResourceError("import", "zlib does not start");
  std::string out;
  std::vector<char> piece(1 << 20);
  size_t given = 0;
  int code = Z_OK;
  while (code == Z_OK && out.size() <= kLimit) {
    if (z.avail_in == 0) {
      const size_t n = std::min<size_t>(bytes.size() - given, 1 << 30);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + given));
      z.avail_in = static_cast<uInt>(n);
      given += n;
    }
    z.next_out = reinterpret_cast<Bytef*>(piece.data());
    z.avail_out = static_cast<uInt>(piece.size());
    code = inflate(&z, Z_NO_FLUSH);
    out.append(piece.data(), piece.size() - z.avail_out);
  }
  const bool whole = code == Z_STREAM_END && z.avail_in == 0 && given == bytes.size();
  inflateEnd(&z);
  if (!whole) throw core::DataError("import", path + ": neither safetensors nor a whole zlib stream of them");
  return out;
}

Packed packed_from(const core::SafeTensors& file, const core::TensorView& values, const std::string& path) {
  Packed p{values.name.substr(7), Packed::Kind::exact, tensor_of(values, path), {}};  // behind values/
  const core::TensorView* scales = file.find("scales/" + p.name);
  if (scales != nullptr) p.scales = tensor_of(*scales, path);
  const auto refuse = [&](const std::string& what) { throw core::DataError("import", path + ": tensor '" + p.name + "': " + what); };
  switch (p.values.scalar_type()) {
    case at::kHalf: p.kind = Packed::Kind::half; break;
    case at::kChar:
      if (!p.scales.defined()) refuse("int8 without scales");
      p.kind = p.scales.dim() == 0 ? Packed::Kind::whole : Packed::Kind::rows;
      if (p.kind == Packed::Kind::rows && (p.values.dim() != 2 || p.scales.dim() != 1 || p.scales.size(0) != p.values.size(0)))
        refuse("wanted one scale for each row");
      break;
    default: break;
  }
  if (scales != nullptr && p.values.scalar_type() != at::kChar) refuse("scales of values that are not int8");
  return p;
}

void read_metadata(const core::SafeTensors& file, const std::string& path, ModelFile& m) {
  const auto field = [&](const char* key) {
    const auto it = file.metadata().find(key);
    return it == file.metadata().end() ? std::string() : it->second;
  };
  if (const std::string config = field("config"); !config.empty()) m.config = core::parse_json(config, path + " metadata 'config'");
  const std::string step = field("step");
  if (step.empty()) return;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), m.step);
  if (error != std::errc() || end != step.data() + step.size() || m.step < 0)
    throw core::DataError("import", path + ": metadata 'step': wanted a count, found '" + step + "'");
}

}  // namespace

int64_t write_model_file(core::FileSystem& fs, const std::string& path, const ModelFile& model) {
  const bool plain = path.ends_with(".safetensors");
  std::vector<std::pair<std::string, Tensor>> named;
  for (const Packed& p : model.tensors) {
    if (plain) named.emplace_back(p.name, unpack(p).contiguous());
    else named.emplace_back("values/" + p.name, p.values.contiguous());
    if (!plain && p.scales.defined()) named.emplace_back("scales/" + p.name, p.scales.contiguous());
  }
  const std::map<std::string, std::string> metadata = {
      {"format", plain ? "assay" : kFormat}, {"config", core::to_json(model.config)}, {"step", std::to_string(model.step)}};
  const std::string bytes = safetensors_of(named, metadata), content = plain ? bytes : compressed(bytes);
  core::write_file(fs, path, content);
  return static_cast<int64_t>(content.size());
}

ModelFile read_model_file(const std::string& path) {
  std::string bytes = core::read_file(path, kLimit);
  // A zlib stream begins with 0x78; safetensors with the length of its header, whose eighth byte is 0.
  const bool zlib = bytes.size() > 8 && bytes[0] == 0x78 && (bytes[7] != 0 || bytes[8] != '{');
  if (zlib) bytes = expanded(bytes, path);
  const core::SafeTensors file = core::SafeTensors::parse(std::move(bytes), path);
  ModelFile m;
  read_metadata(file, path, m);
  const auto format = file.metadata().find("format");
  const bool packed = format != file.metadata().end() && format->second == kFormat;
  for (const core::TensorView& t : file.tensors()) {
    if (!packed) m.tensors.push_back({t.name, Packed::Kind::exact, tensor_of(t, path).to(at::kFloat), {}});
    else if (t.name.starts_with("values/")) m.tensors.push_back(packed_from(file, t, path));
    else if (!t.name.starts_with("scales/") || file.find("values/" + t.name.substr(7)) == nullptr)
      throw core::DataError("import", path + ": tensor '" + t.name + "' is neither values/NAME nor scales/NAME of one");
  }
  return m;
}

}  // namespace assay::exporting
