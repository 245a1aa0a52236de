#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "assay/audit/parity.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "core/scratch.h"

using namespace assay;

namespace {

const std::string golden = std::string(ASSAY_SOURCE_DIR) + "/tests/golden/";

std::vector<std::string> vectors(const std::string& folder) {
  std::vector<std::string> out;
  for (const std::string& name : core::list_directory(golden + folder))
    if (name.ends_with(".safetensors")) out.push_back(golden + folder + "/" + name);
  return out;
}

// Writes a copy of a vector in which one byte of the tensor data is changed.
std::string damaged(const std::string& path, const std::string& copy) {
  std::string bytes = core::read_file(path);
  const core::SafeTensors file = core::SafeTensors::parse(bytes, path);
  const size_t header = 8 + static_cast<size_t>(static_cast<unsigned char>(bytes[0]) | static_cast<unsigned char>(bytes[1]) << 8);
  const size_t at = header + static_cast<size_t>(file.at("logits").bytes.data() - file.tensors().front().bytes.data()) + 3;
  bytes[at] = static_cast<char>(bytes[at] ^ 0x40);  // an exponent bit of the first logit
  std::ofstream(copy, std::ios::binary) << bytes;
  return copy;
}

// Writes a copy whose metadata asks for the optimizer "sgb".
std::string with_rule_misspelt(const std::string& path, const std::string& copy) {
  std::string bytes = core::read_file(path);
  bytes.replace(bytes.find("sgd\\\""), 3, "sgb");
  std::ofstream(copy, std::ios::binary) << bytes;
  return copy;
}

}  // namespace

TEST_CASE("every conformance vector of this version passes in float32, on each product library that runs here") {
  for (const std::string library : {"aten", "onednn"}) {
    try {
      tensor::set_product_choice(tensor::product_choice_from(library));
    } catch (const core::ConfigError&) {
      MESSAGE("skipped: this processor does not run " << library);
      continue;
    }
    for (const char* folder : {"vocab-space", "transformer", "trajectory", "extra"})
      for (const std::string& path : vectors(folder)) {
        const audit::ParityReport r = audit::replay(path, {});
        INFO(library << " " << path << ": " << r.worst().name << " " << r.worst().error << " of " << r.worst().bound);
        CHECK(r.pass());
      }
  }
  tensor::set_product_choice({});
}

TEST_CASE("float64 meets every bound with room: a tenth of it") {
  for (const char* folder : {"vocab-space", "transformer", "extra"})
    for (const std::string& path : vectors(folder)) {
      audit::ParityOptions options;
      options.dtype = at::kDouble;
      const audit::ParityReport r = audit::replay(path, options);
      INFO(path << ": " << r.worst().name << " " << r.worst().error << " of " << r.worst().bound);
      // The vocabulary-space file itself was computed in float32.
      CHECK(r.worst().error <= r.worst().bound * (std::string(folder) == "vocab-space" ? 1.0 : 0.1));
    }
}

TEST_CASE("a changed answer fails, and the quantity is named") {
  const test::Scratch dir;
  const audit::ParityReport r =
      audit::replay(damaged(golden + "vocab-space/v8_lowrank_vv.train.safetensors", dir / "damaged.safetensors"), {});
  CHECK_FALSE(r.pass());
  CHECK(r.worst().name == "logits");
}

TEST_CASE("a model, option or optimizer that does not exist is refused with the nearest name") {
  const test::Scratch dir;
  CHECK_THROWS_WITH_AS(audit::replay(with_rule_misspelt(golden + "transformer/opt_sgd.safetensors", dir / "misspelt.safetensors"), {}),
                       doctest::Contains("'sgd'"), core::ConfigError);
  CHECK_THROWS_AS(audit::replay(golden + "README.md", {}), core::DataError);
  CHECK_THROWS_AS(audit::replay(golden, {}), core::DataError);
}
