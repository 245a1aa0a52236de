#include <doctest/doctest.h>

#include <filesystem>

#include "assay/cli/bench_suite.h"
#include "assay/core/file.h"
#include "cli/command.h"

using namespace assay;
using namespace assay::test;

namespace {

using Words = std::vector<std::string>;

constexpr const char* kArch = "v9_linattn";

Words tiny(Words words) {
  for (const char* w : {"--threads", "1", "train.product=aten", "model.num_steps=1", "model.state_dim=4", "model.inner_dim=8"})
    words.emplace_back(w);
  return words;
}
Words tiny_updates(Words words) {
  for (const char* w : {"--batch", "2", "--seq-len", "16", "--steps", "2", "model.vocab_size=40"}) words.emplace_back(w);
  return tiny(std::move(words));
}

Ran bench(const Words& words) { return ran(&cli::run_bench, words); }

void check_refused(const Words& words, const Words& parts) {
  const Ran r = bench(words);
  std::string given;
  for (const std::string& w : words) given += w + " ";
  INFO(given << "-> " << r.error);
  CHECK(r.code == 2);
  CHECK(r.out.empty());
  for (const std::string& part : parts) CHECK(contains(r.error, part));
}

bool has(const core::Value& v, const Words& keys) {
  for (const std::string& key : keys)
    if (v.find(key) == nullptr) {
      MESSAGE("no " << key);
      return false;
    }
  return true;
}

}  // namespace

TEST_CASE("an option is refused by a mode that does not read it, with the option, the mode and where it belongs") {
  check_refused({"gpt2", "--width", "32"}, {"--width is not read by `assay bench NAME`", "--banded"});
  check_refused({"gpt2", "--minutes", "1"}, {"--minutes", "--compare"});
  check_refused({"gpt2", "--trace", "t.json"}, {"--trace", "it is of --profile"});
  check_refused({"gpt2", "--out", "x.html"}, {"--out is not read by", "--profile, --compare"});
  check_refused({"gpt2", "--profile", "--warmup", "2"}, {"--warmup is not read by --profile"});
  check_refused({"gpt2", "--profile", "--context", "200"}, {"--context is not read by --profile", "--generate"});
  check_refused({"gpt2", "--generate", "--seq-len", "8"}, {"--seq-len is not read by --generate"});
  check_refused({"--compare", "gpt2", "--steps", "3"}, {"--steps is not read by --compare"});
  check_refused({"--ops", "--batch", "3"}, {"--batch is not read by --ops"});
  check_refused({"--ops", "--precision", "bf16"}, {"--precision is not read by --ops"});
  check_refused({"--banded", "--seq-len", "3"}, {"--seq-len is not read by --banded"});
  check_refused({"--suite", "--batch", "3"}, {"--batch is not read by --suite"});
  check_refused({"v8", "train.steps=7"}, {"train.steps is not read by `assay bench NAME`", "model.*"});
  check_refused({"v8", "data.path=foo"}, {"data.path is not read by"});
  check_refused({"v8", "optim.warmup_steps=3"}, {"optim.warmup_steps is not read by"});
  check_refused({"v9", "--generate", "optim.lr=3"}, {"optim.lr is not read by --generate"});
  check_refused({"--compare", "v8", "train.tokens=3"}, {"train.tokens is not read by --compare"});
  for (const char* mode : {"--ops", "--banded", "--suite"}) check_refused({mode, "model.vocab_size=32"}, {"'model.vocab_size=32'", mode});
}

TEST_CASE("two modes at once, a name beside a mode that takes none, and no name at all are refused") {
  check_refused({"--ops", "--banded"}, {"two modes", "--ops", "--banded"});
  check_refused({"gpt2", "--profile", "--generate"}, {"--profile and --generate are two modes"});
  check_refused({"--compare", "gpt2", "--suite"}, {"two modes"});
  check_refused({"gpt2", "--ops"}, {"'gpt2' stands beside --ops"});
  check_refused({"gpt2", "--compare", "v8_lowrank_vv"}, {"'gpt2' stands beside --compare", "separated by commas"});
  check_refused({}, {"wants the name of an architecture"});
  check_refused({"--profile"}, {"--profile wants the name"});
}

TEST_CASE("an unknown name, option or flag is refused with the nearest one, before anything runs") {
  check_refused({"gtp2"}, {"'gtp2'", "gpt2"});
  check_refused({"--compare", "gpt2,v8_lowrnk_vv"}, {"v8_lowrnk_vv", "'v8_lowrank_vv'"});
  check_refused({"gpt2", "model.n_layr=1"}, {"n_layr", "n_layer"});
  const Scratch dir;
  // Known to the first, not to the second.
  check_refused({"--compare", "gpt2,v8_lowrank_vv", "model.n_layer=1", "--out", dir / "runs"}, {"n_layer", "gpt2"});
  // Known to both, and impossible for the second: refused when its model would be built, which is before the first run.
  check_refused({"--compare", "v3_fourier_linattn,v6_banded_fourier", "--minutes", "0.001", "model.n_fourier_basis=9",
                 "data.corpus_tokens=2000", "--out", dir / "runs"},
                {"band_split"});
  CHECK_FALSE(core::directory_exists(dir / "runs"));
  check_refused({"--oops"}, {"'--oops'", "'--ops'"});
  check_refused({"gpt2", "--steps", "0"}, {"--steps must be at least 1"});
  check_refused({"gpt2", "--steps", "99999999999"}, {"--steps must be at least 1 and at most"});
  check_refused({"gpt2", "--device", "cudda"}, {"cudda"});
  check_refused({"--compare", "v8,,gpt2"}, {"empty name"});
  check_refused({"--banded", "--tokens", "0"}, {"--tokens must be at least 1, got 0"});
}

TEST_CASE("bench NAME prints its document and its text") {
  const core::Value v = json_of(&cli::run_bench, tiny_updates({kArch, "--warmup", "1"}));
  CHECK(
      has(v, {"name", "device", "dtype", "tokens_per_s", "ms", "spread_ms", "captured", "phases", "peak_bytes", "flops_per_token", "gflops",
              "product_gflops", "floor_fraction", "batch", "seq_len", "vocab_size", "parameters", "threads", "product_backend"}));
  CHECK(v.at("tokens_per_s").as_double() > 0);
  CHECK(v.at("samples").as_int() == 2);
  CHECK(v.at("spread_ms").is_null());  // of two samples
  const Ran r = bench(tiny_updates({kArch}));
  CHECK(r.code == 0);
  for (const char* part : {"tokens/s", "forward_ms", "peak"}) CHECK(contains(r.out, part));
}

TEST_CASE("--profile counts the work of each phase and writes the picture") {
  const Scratch dir;
  const core::Value v =
      json_of(&cli::run_bench, tiny_updates({"--profile", kArch, "--out", dir / "profile.html", "--trace", dir / "trace.json"}));
  CHECK(has(v, {"name", "device", "dtype", "steps", "copy_gb_per_s", "product_gflops", "formula_flops", "phases", "ms", "entries"}));
  const auto& phases = v.at("phases").as_array();
  REQUIRE(phases.size() == 3);
  const Words names{"forward", "backward", "optimizer"};
  for (size_t i = 0; i < names.size(); ++i) {
    INFO(names[i]);
    CHECK(phases[i].at("name").as_string() == names[i]);
    for (const char* key : {"ms", "flops", "bytes", "gflops", "gb_per_s", "flops_per_byte", "floor_ms", "floor_fraction"})
      CHECK(phases[i].at(key).as_double() > 0);
  }
  const std::string page = core::read_file(dir / "profile.html", 1 << 24);
  for (const char* part : {"<!doctype html>", "chart-roofline", "profile of an update", "Made by assay bench", "a large product, "})
    CHECK(contains(page, part));
  CHECK(core::file_exists(dir / "trace.json"));
  check_refused(tiny_updates({"--profile", kArch, "--out", dir / "profile.png"}), {"ends with .html"});
  check_refused(tiny_updates({"--profile", kArch, "--trace", dir / "none/trace.json"}), {"--trace: ", "does not exist"});
  check_refused(tiny_updates({"--profile", kArch, "--trace", dir.path()}), {"--trace: ", "is a directory"});
  CHECK(core::list_directory(dir.path()) == Words{"profile.html", "trace.json"});
  CHECK_FALSE(contains(bench(tiny_updates({"--profile", kArch})).error, "gpuGetDeviceCount"));
}

TEST_CASE("--generate, --banded and --ops print their documents") {
  const core::Value going =
      json_of(&cli::run_bench, tiny({"--generate", kArch, "--steps", "8", "--context", "120", "model.vocab_size=40"}));
  CHECK(has(going, {"name", "contexts", "ratio"}));
  check_refused({"--generate", "gpt2", "--context", "50"}, {"--context must be more than 100"});
  const core::Value banded = json_of(&cli::run_bench, {"--banded", "--width", "16", "--tokens", "16", "--threads", "1"});
  CHECK(has(banded, {"name", "tokens", "width", "copy_gb_per_s", "matrices"}));
  check_refused({"--banded", "--width", "4"}, {"--width must be at least 16"});
  const core::Value ops = json_of(&cli::run_bench, {"--ops", "--quick"});
  Words names;
  for (const core::Value& op : ops.at("ops").as_array()) {
    CHECK(has(op, {"shape", "ms", "spread_ms", "bytes", "gb_per_s", "floor_fraction", "composite_ms"}));
    names.push_back(op.at("name").as_string());
  }
  for (const char* name : {"loss_head", "normalize", "residual backward", "adam", "shift_max", "orthogonal", "conditioning"})
    CHECK_MESSAGE(std::find(names.begin(), names.end(), name) != names.end(), name);
}

TEST_CASE("--compare trains each for the same time and prints a table; a failed one is exit code 7") {
  const Scratch dir;
  const Words words{"--compare",
                    "v9_linattn,v2_conv",
                    "--minutes",
                    "0.002",
                    "--batch",
                    "2",
                    "--seq-len",
                    "16",
                    "--threads",
                    "1",
                    "train.product=aten",
                    "data.corpus_tokens=4000",
                    "data.corpus_val_tokens=400",
                    "--out",
                    dir / "runs"};
  const Ran r = bench(words);
  INFO(r.error);
  CHECK(r.code == 0);
  for (const char* part : {"v9_linattn", "v2_conv", "bits a byte", "no verdict"}) CHECK(contains(r.out, part));
  CHECK(core::file_exists(dir / "runs/comparison.json"));
  check_refused(words, {"is there already", "--out"});
}

TEST_CASE("--suite asks for each row in turn; one that fails is a row, and the rest comes") {
  cli::SuiteOptions options;
  options.quick = true;
  options.passed_on = {"--steps", "1", "--threads", "1"};
  int64_t asked = 0;
  const core::Value v = cli::run_suite(options, [&](const Words& words) {
    if (asked++ == 1) return cli::SuiteAnswer{4, "", "a warning\n[memory] wants 90 GB, 80 GB are free\n"};
    if (words.front() == "--ops") return cli::SuiteAnswer{128 + 11, "", ""};
    const Ran r = bench(words);  // the words are ones that the command takes
    return cli::SuiteAnswer{r.code, r.out, r.error};
  });
  const auto& rows = v.at("rows").as_array();
  REQUIRE(rows.size() == cli::suite_rows(options).size());
  REQUIRE(rows.size() == 3);
  for (const core::Value& row : rows) CHECK(has(row, {"name", "command", "exit_code", "error", "seconds", "result"}));
  CHECK(rows[0].at("error").as_string().empty());
  CHECK(rows[0].at("result").at("tokens_per_s").as_double() > 0);
  CHECK(contains(rows[0].at("command").as_string(), "assay bench v9_linattn --batch 2"));
  CHECK(rows[1].at("exit_code").as_int() == 4);
  CHECK(rows[1].at("error").as_string() == "[memory] wants 90 GB, 80 GB are free");
  CHECK(rows[1].at("result").is_null());
  CHECK(contains(rows[2].at("error").as_string(), "SIGSEGV"));
}

TEST_CASE("--suite without its device is one error, exit code 5; its rows are the architectures of docs/performance.md") {
  cli::SuiteOptions options;
  options.device = "cuda";
  const auto none = [](const Words&) { return cli::SuiteAnswer{5, "", "[device] no driver\n"}; };
  try {
    cli::run_suite(options, none);
    FAIL("no error");
  } catch (const core::Error& e) {
    CHECK(e.code() == core::Exit::device);
    CHECK(contains(e.what(), "no driver"));
  }
  for (const char* device : {"cpu", "cuda:1"}) {
    options.device = device;
    const std::vector<cli::SuiteRow> rows = cli::suite_rows(options);
    CHECK(rows.size() > 17);
    CHECK(rows.back().words == Words{"--ops", "--device", device});
    for (size_t i = 0; i + 1 < rows.size(); ++i) {
      // Every row is refused for its number of steps alone: each word before is one that the architecture takes.
      Words words = rows[i].words;
      words.insert(words.end(), {"--steps", "0"});
      check_refused(words, {"--steps must be at least 1"});
    }
  }
}
