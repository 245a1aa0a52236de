#include "assay/bench/bench.h"

#include <algorithm>
#include <cstdio>

#include "assay/bench/banded.h"
#include "assay/bench/compare.h"
#include "assay/bench/generation.h"
#include "assay/bench/ops.h"
#include "assay/bench/profile.h"
#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/cli/text_table.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/tensor/device.h"

namespace assay::cli {
namespace {

void print(const core::Value& v) {
  const auto number = [&](const char* key) { return v.at(key).as_double(); };
  std::printf("%s on %s, %s, B=%lld T=%lld V=%lld, %lld threads, products by %s\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("seq_len").as_int()), static_cast<long long>(v.at("vocab_size").as_int()),
              static_cast<long long>(v.at("threads").as_int()), v.at("product_backend").as_string().c_str());
  std::printf("  %.0f tokens/s, %.2f ms a step (+- %.2f)\n", number("tokens_per_s"), number("ms"), number("spread_ms"));
  for (const auto& [name, t] : v.at("phases").as_object()) std::printf("    %-14s %8.2f ms\n", name.c_str(), t.at("median").as_double());
  std::printf("  %.1f GFLOP/s of model arithmetic, %.0f %% of a large product's %.1f; peak %.0f MB\n", number("gflops"),
              100 * number("floor_fraction"), number("product_gflops"), number("peak_bytes") / 1e6);
}

void print_generation(const core::Value& v) {
  std::printf("%s on %s, %s, B=%lld V=%lld, %lld threads, products by %s: token by token\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("vocab_size").as_int()), static_cast<long long>(v.at("threads").as_int()),
              v.at("product_backend").as_string().c_str());
  for (const core::Value& c : v.at("contexts").as_array())
    std::printf("  after %6lld tokens: %8.0f tokens/s, %.3f ms a token (+- %.3f), memory of %.1f kB\n",
                static_cast<long long>(c.at("context").as_int()), c.at("tokens_per_s").as_double(), c.at("ms").as_double(),
                c.at("spread_ms").as_double(), static_cast<double>(c.at("memory_bytes").as_int()) / 1e3);
  std::printf("  a token later on costs %.2f times one early on\n", v.at("ratio").as_double());
}

void print_ops(const core::Value& v) {
  std::printf("on %s; a copy moves %.0f GB/s\n", v.at("device").as_string().c_str(), v.at("copy_gb_per_s").as_double());
  for (const core::Value& op : v.at("ops").as_array())
    std::printf("  %-19s %-22s %9.3f ms (+- %.3f)  %6.0f GB/s, %3.0f %% of a copy's; composite %.3f ms\n",
                op.at("name").as_string().c_str(), op.at("shape").as_string().c_str(), op.at("ms").as_double(),
                op.at("spread_ms").as_double(), op.at("gb_per_s").as_double(), 100 * op.at("floor_fraction").as_double(),
                op.at("composite_ms").as_double());
}

void print_banded(const core::Value& v) {
  std::printf("banded product on %s, %s, %lld tokens, %lld threads, products by %s: forward and backward; a copy moves %.0f GB/s\n",
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("tokens").as_int()),
              static_cast<long long>(v.at("threads").as_int()), v.at("product_backend").as_string().c_str(),
              v.at("copy_gb_per_s").as_double());
  for (const core::Value& m : v.at("matrices").as_array()) {
    std::printf("%s, %lld x %lld: dense %.3f ms (%.0f GFLOP/s), crossover at density %.3f\n", m.at("matrix").as_string().c_str(),
                static_cast<long long>(m.at("out").as_int()), static_cast<long long>(m.at("in").as_int()), m.at("dense_ms").as_double(),
                m.at("dense_gflops").as_double(), m.at("crossover_density").as_double());
    std::printf("%10s %9s %9s %10s %9s %10s %10s %8s %9s\n", "bandwidth", "density", "of tiles", "ms", "+-", "tiles ms", "bytes ms",
                "share", "x dense");
    for (const core::Value& b : m.at("bands").as_array())
      std::printf("%10lld %9.4f %9.4f %10.3f %9.3f %10.3f %10.3f %7.0f%% %9.2f\n", static_cast<long long>(b.at("bandwidth").as_int()),
                  b.at("density").as_double(), b.at("tile_density").as_double(), b.at("ms").as_double(), b.at("spread_ms").as_double(),
                  b.at("tile_ms").as_double(), b.at("byte_ms").as_double(), 100 * b.at("floor_fraction").as_double(),
                  b.at("speedup").as_double());
  }
}

void print_comparison(const core::Value& v) {
  using Side = TextTable::Side;
  TextTable table({"architecture", "parameters", "steps", "val loss", "bits a byte", "train loss", "tokens/s", "seconds", "status"},
                  {Side::left, Side::right, Side::right, Side::right, Side::right, Side::right, Side::right, Side::right, Side::left});
  for (const core::Value& r : v.at("runs").as_array()) {
    std::vector<std::string> row;
    for (const char* key :
         {"name", "parameters", "steps", "val_loss", "val_bits_per_byte", "train_loss", "tokens_per_s", "seconds", "status"})
      row.push_back(r.at(key).is_string() ? r.at(key).as_string() : cell(r.at(key)));
    table.add(row);
  }
  cli::print(table.text());
  std::printf("one seed each, %g minutes of training: an order, no verdict (`assay campaign` decides with seeds)\nrun directories: %s\n",
              v.at("minutes").as_double(), v.at("directory").as_string().c_str());
}

// runs/compare, with -2, -3, ... where that is taken.
std::string comparison_directory() {
  std::string name = "runs/compare";
  for (int i = 2; core::directory_exists(name); ++i) name = "runs/compare-" + std::to_string(i);
  return name;
}

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    if (comma > begin) names.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return names;
}

void print_profile(const core::Value& v) {
  std::printf("%s on %s, %s, B=%lld T=%lld V=%lld: %.2f ms a step in %s, launched one by one\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("seq_len").as_int()), static_cast<long long>(v.at("vocab_size").as_int()), v.at("ms").as_double(),
              v.at("device").as_string() == "cpu" ? "operators" : "kernels");
  std::printf("%9s %7s %7s  name\n", "ms", "share", "calls");
  for (const core::Value& e : v.at("entries").as_array())
    if (e.at("share").as_double() >= 0.002)
      std::printf("%9.3f %6.1f%% %7.1f  %.110s\n", e.at("ms").as_double(), 100 * e.at("share").as_double(), e.at("calls").as_double(),
                  e.at("name").as_string().c_str());
}

}  // namespace

int run_bench(const std::vector<std::string>& args) {
  CommandLine line("bench", "Time training updates of an architecture on random tokens, behind a check that its results repeat.");
  RunOptions options;
  bench::BenchOptions bench_options;
  std::string name;
  bool ops = false, generate = false;
  bench::GenerationOptions generation;
  line.positional("NAME", name, "architecture", false);
  line.flag("--ops", ops, "time the fused ops alone instead, against the device's copy bandwidth");
  std::string compared, out;
  double minutes = 10;
  line.option("--compare", compared, "train each of these architectures, separated by commas, for the same time instead");
  line.option("--minutes", minutes, "--compare: training time of each (10)");
  line.option("--data", options.data, "--compare: data.path, what to train on");
  line.option("--out", out, "--compare: directory of the runs; default runs/compare");
  bool banded = false;
  bench::BandedOptions banded_options;
  line.flag("--banded", banded, "time the banded product of an MLP's matrices against the dense one, by density");
  line.option("--width", banded_options.width, "--banded: C of the matrices C -> 4C and 4C -> C (1024)");
  line.option("--tokens", banded_options.tokens, "--banded: rows of x; 16384 on CUDA, 2048 on the CPU");
  bool profiled = false;
  bench::ProfileOptions profile_options;
  line.flag("--profile", profiled, "where the time goes, by kernel on a GPU and by operator on the CPU");
  line.option("--trace", profile_options.trace, "of --profile: write a Chrome trace to this file");
  line.flag("--generate", generate, "time going on token by token instead, early and late in a long text");
  line.option("--context", generation.late, "--generate: tokens before the later timing (10000); the earlier one is after 100");
  declare_preset(line, options.preset);
  line.option("--steps", bench_options.steps, "timed updates; --generate: tokens at each context (64)");
  line.option("--warmup", bench_options.warmup, "updates before that");
  line.option("--batch", options.batch, "train.batch: sequences");
  line.option("--seq-len", options.seq_len, "train.seq_len: tokens of a sequence");
  line.option("--device", options.device, "train.device: cpu, cuda or cuda:N");
  line.option("--precision", options.precision, "train.precision: fp32 or bf16");
  line.option("--threads", options.threads, "train.threads: CPU threads");
  line.assignments(options.assignments, "any option, e.g. model.vocab_size=1024");
  if (!line.parse(args)) return 0;
  if (bench_options.steps < 1 || bench_options.warmup < 0)
    throw core::ConfigError("bench", "--steps must be at least 1 and --warmup at least 0");
  if (ops) {
    const core::Value v = bench::bench_ops(tensor::open_device(line.given("--device") ? options.device : "cpu"));
    if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
    else print_ops(v);
    return 0;
  }
  if (banded) {
    train::TrainConfig& machine = banded_options.machine;
    if (line.given("--device")) machine.device = options.device;
    if (line.given("--precision")) machine.precision = options.precision;
    if (line.given("--threads")) machine.threads = options.threads;
    const core::Value v = bench::bench_banded(banded_options);
    if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
    else print_banded(v);
    return 0;
  }
  for (const char* given : {"--width", "--tokens"})
    if (line.given(given)) throw core::ConfigError("bench", std::string(given) + " is of --banded");
  const auto configured = [&](const std::string& architecture) {
    auto config = std::make_unique<train::RunConfig>(arch::find_architecture(architecture));
    apply_preset(*config, options.preset);
    const auto flag = [&](const char* given, const char* path, const core::Value& value) {
      if (line.given(given)) config->settings.set(path, value, core::Source::command_line);
    };
    flag("--batch", "train.batch", options.batch);
    flag("--seq-len", "train.seq_len", options.seq_len);
    flag("--device", "train.device", options.device);
    flag("--precision", "train.precision", options.precision);
    flag("--threads", "train.threads", options.threads);
    flag("--data", "data.path", options.data);
    for (const std::string& a : options.assignments) config->settings.set_assignment(a, core::Source::command_line);
    return config;
  };
  if (line.given("--compare")) {
    if (!name.empty())
      throw core::ConfigError("bench", "'" + name + "' stands beside --compare; name all architectures there, separated by commas");
    std::vector<std::unique_ptr<train::RunConfig>> configs;
    for (const std::string& n : split_names(compared)) configs.push_back(configured(n));
    const core::Value v = bench::compare_timed(configs, minutes, out.empty() ? comparison_directory() : out);
    if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
    else print_comparison(v);
    for (const core::Value& r : v.at("runs").as_array())
      if (!r.at("error").as_string().empty()) return static_cast<int>(core::Exit::partial);
    return 0;
  }
  for (const char* given : {"--minutes", "--out", "--data"})
    if (line.given(given)) throw core::ConfigError("bench", std::string(given) + " is of --compare");
  if (name.empty()) throw core::ConfigError("bench", "wants the name of an architecture, --compare, --ops or --banded");
  const auto config_of_name = configured(name);
  train::RunConfig& config = *config_of_name;
  if (profiled) {
    const core::Value v = bench::profile(config, profile_options);
    if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
    else print_profile(v);
    return 0;
  }
  if (line.given("--trace")) throw core::ConfigError("bench", "--trace is of --profile");
  if (generate) {
    if (generation.late <= generation.early) throw core::ConfigError("bench", "--context must be more than 100");
    if (line.given("--steps")) generation.tokens = bench_options.steps;
    if (!line.given("--batch")) config.settings.set("train.batch", int64_t{1}, core::Source::command_line);
    const core::Value v = bench::bench_generation(config, generation);
    if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
    else print_generation(v);
    return 0;
  }
  const core::Value v = bench::bench(config, bench_options);
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v);
  return 0;
}

}  // namespace assay::cli
