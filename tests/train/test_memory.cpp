#include <ATen/ops/empty.h>
#include <doctest/doctest.h>

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/tensor/failure.h"
#include "assay/train/memory.h"

using namespace assay;

namespace {

std::vector<train::MemoryItem> predicted(const char* precision, const char* device, const char* batch = "train.batch=8") {
  train::RunConfig c(arch::find_architecture("gpt2"));
  for (const char* word : {batch, "train.seq_len=128"}) c.settings.set_assignment(word, core::Source::command_line);
  c.train.precision = precision;
  c.train.device = device;
  return train::predict_memory(c, 1'000'000, 1024);
}

double bytes_of(const std::vector<train::MemoryItem>& items, const std::string& name) {
  for (const auto& i : items)
    if (i.name.find(name) != std::string::npos) return i.bytes;
  FAIL("no item ", name);
  return 0;
}

}  // namespace

TEST_CASE("memory is predicted from the sizes of a run, the largest item first") {
  const auto wide = predicted("fp32", "cuda"), narrow = predicted("bf16", "cuda");
  CHECK(bytes_of(wide, "moments of adam") == 8e6);
  CHECK(bytes_of(wide, "batch") == 16.0 * 8 * 128);
  CHECK(bytes_of(wide, "states") == doctest::Approx(2 * bytes_of(narrow, "states")));
  CHECK(bytes_of(wide, "logits") == 4.0 * 1024 * 8 * 128);
  CHECK(bytes_of(predicted("fp32", "cuda", "train.batch=4096"), "logits") == 536870912);  // all the same, made in parts
  for (size_t i = 1; i < wide.size(); ++i) CHECK(wide[i - 1].bytes >= wide[i].bytes);
}

TEST_CASE("what cannot fit is refused with the bytes wanted, those free and the largest items; what may fit is tried") {
  const std::vector<train::MemoryItem> items{{"states", 60e9}, {"moments", 20e9}};
  CHECK_NOTHROW(train::require_memory(items, -1));
  CHECK_NOTHROW(train::require_memory(items, 80'000'000'000));
  core::set_quiet(true);
  core::set_log_level(core::Level::error);
  CHECK_NOTHROW(train::require_memory(items, 70'000'000'000));
  core::set_log_level(core::Level::info);
  CHECK_THROWS_WITH_AS(train::require_memory(items, 50'000'000'000),
                       doctest::Contains("about 80.00 GB of memory are wanted, 50.00 GB are free: states 60.00 GB, moments 20.00 GB"),
                       core::ResourceError);
}

TEST_CASE("memory that the CPU does not have is an error of resources, whoever asks for it") {
  try {
    at::empty({int64_t{1} << 50});
    FAIL("a petabyte");
  } catch (const std::exception& e) {
    const core::Error ours = tensor::to_error(e);
    CHECK(ours.code() == core::Exit::resource);
    CHECK(std::string(ours.what()) ==
          "[memory] can't allocate memory: you tried to allocate 4503599627370496 bytes. Error code 12 (Cannot allocate memory)");
  }
  train::RunConfig c(arch::find_architecture("gpt2"));
  for (const char* word : {"model.n_embd=65536", "model.n_layer=1000"}) c.settings.set_assignment(word, core::Source::command_line);
  CHECK_THROWS_WITH_AS(arch::build(*c.architecture, c.model_options(), {1024, 128}, {}),
                       doctest::Contains("[memory] the parameters up to '"), core::ResourceError);
}
