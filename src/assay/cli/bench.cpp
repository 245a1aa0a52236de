#include "assay/bench/bench.h"

#include <cstdio>

#include "assay/bench/generation.h"
#include "assay/bench/ops.h"
#include "assay/bench/profile.h"
#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
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
    std::printf("  %-10s %-26s %9.3f ms (+- %.3f)  %6.0f GB/s, %3.0f %% of a copy's; composite %.3f ms\n",
                op.at("name").as_string().c_str(), op.at("shape").as_string().c_str(), op.at("ms").as_double(),
                op.at("spread_ms").as_double(), op.at("gb_per_s").as_double(), 100 * op.at("floor_fraction").as_double(),
                op.at("composite_ms").as_double());
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
  if (name.empty()) throw core::ConfigError("bench", "wants the name of an architecture, or --ops");
  train::RunConfig config(arch::find_architecture(name));
  apply_preset(config, options.preset);
  const auto flag = [&](const char* given, const char* path, const core::Value& value) {
    if (line.given(given)) config.settings.set(path, value, core::Source::command_line);
  };
  flag("--batch", "train.batch", options.batch);
  flag("--seq-len", "train.seq_len", options.seq_len);
  flag("--device", "train.device", options.device);
  flag("--precision", "train.precision", options.precision);
  flag("--threads", "train.threads", options.threads);
  for (const std::string& a : options.assignments) config.settings.set_assignment(a, core::Source::command_line);
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
