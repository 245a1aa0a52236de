#include "assay/tensor/product_cache.h"

#include <ATen/Version.h>

#include <fstream>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/tensor/device.h"

namespace assay::tensor {
namespace {

using core::Value;

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  std::string line;
  while (std::getline(in, line) && !line.starts_with("model name")) {}
  return core::printable(line.substr(std::min(line.size(), line.find(':') + 1))) + " " + at::get_cpu_capability();
}

// What a choice was measured on.
Value place(int64_t threads) {
  Value v = Value::object();
  v["processor"] = processor();
  v["torch"] = torch_version();
  v["threads"] = threads;
  return v;
}

std::string file_of(const Value& place) {
  const std::string cache = core::user_cache();
  return cache.empty() ? "" : cache + "/products/" + core::hash128_hex(core::to_json(place)) + ".json";
}

}  // namespace

std::string kept_products(int64_t threads) {
  const Value here = place(threads);
  const std::string file = file_of(here);
  if (file.empty() || !core::file_exists(file)) return "";
  try {
    Value kept = core::parse_json(core::read_file(file, 1 << 16), file);
    const std::string name = kept.at("product").as_string();
    kept.erase("product");
    return kept == here ? name : "";
  } catch (const core::Error&) {  // damaged: measured anew, and written over
    return "";
  }
}

void keep_products(int64_t threads, const std::string& name) {
  Value v = place(threads);
  const std::string file = file_of(v);
  if (file.empty()) return;
  v["product"] = name;
  try {
    core::make_directories(core::real_files(), file.substr(0, file.find_last_of('/')));
    core::write_file(core::real_files(), file, core::to_json(v, 2) + "\n");
  } catch (const core::Error& e) {
    core::warn(std::string("what train.product=auto found was not kept for the next time, which may find another: ") + e.what());
  }
}

}  // namespace assay::tensor
