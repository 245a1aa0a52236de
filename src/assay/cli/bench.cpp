#include "assay/bench/bench.h"

#include <algorithm>
#include <cstdio>

#include "assay/bench/banded.h"
#include "assay/bench/compare.h"
#include "assay/bench/generation.h"
#include "assay/bench/ops.h"
#include "assay/bench/profile.h"
#include "assay/cli/bench_suite.h"
#include "assay/cli/bench_text.h"
#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/output_path.h"
#include "assay/report/forms.h"
#include "assay/report/roofline.h"
#include "assay/tensor/device.h"
#include "assay/train/signals.h"

namespace assay::cli {
namespace {

using core::ConfigError;
using core::Value;

struct Mode;

// The command line as it was given.
struct Request {
  CommandLine line{"bench", "Time training updates of an architecture on random tokens, behind a check that its results repeat."};
  RunOptions options;
  bench::BenchOptions updates;
  bench::ProfileOptions profile;
  bench::GenerationOptions generation;
  bench::BandedOptions banded;
  std::string name, compared, out;
  const Mode* mode = nullptr;
  double minutes = 10;
  bool ops = false, banded_mode = false, profiled = false, generate = false, suite = false, quick = false;

  void declare();
  bool given(const char* option) const { return line.given(option); }
};

// One way of using the command. It reads the options that are named here, --json and --quiet; any other is refused.
struct Mode {
  const char* flag;  // "" : an architecture's name alone
  bool named;        // wants the name of an architecture
  std::vector<const char*> options;
  std::vector<const char*> settings;  // what it reads of KEY=VALUE words, as refuse_unread has it; empty: it takes none
  int (*run)(Request& r);

  std::string title() const { return *flag == '\0' ? "`assay bench NAME`" : flag; }
};

int run_updates(Request& r);
int run_profile(Request& r);
int run_generation(Request& r);
int run_comparison(Request& r);
int run_banded(Request& r);
int run_ops(Request& r);
int run_suite_mode(Request& r);

// Random tokens and a constant learning rate: no data, no schedule, no limits of a run.
const std::vector<const char*> kTimed = {"model",
                                         "optim",
                                         "-optim.schedule",
                                         "-optim.warmup_steps",
                                         "-optim.min_lr_ratio",
                                         "-optim.warmdown_steps",
                                         "-optim.warmup_updates",
                                         "train.batch",
                                         "train.batch_tokens",
                                         "train.seq_len",
                                         "train.seed",
                                         "train.init_salt",
                                         "train.device",
                                         "train.precision",
                                         "train.threads",
                                         "train.product",
                                         "train.nonfinite",
                                         "train.capture"};
const std::vector<const char*> kGenerated = {"model",        "train.batch",     "train.seed",    "train.init_salt",
                                             "train.device", "train.precision", "train.threads", "train.product"};
// --minutes and one validation at the end take the place of these.
const std::vector<const char*> kCompared = {
    "model", "optim", "train", "data", "-train.steps", "-train.tokens", "-train.seconds", "-train.checkpoint_every", "-train.val_every"};

const std::vector<Mode>& modes() {
  static const std::vector<Mode> table = {
      {"", true, {"--preset", "--steps", "--warmup", "--batch", "--seq-len", "--device", "--precision", "--threads"}, kTimed, run_updates},
      {"--profile",
       true,
       {"--preset", "--steps", "--batch", "--seq-len", "--device", "--precision", "--threads", "--trace", "--out"},
       kTimed,
       run_profile},
      {"--generate",
       true,
       {"--preset", "--steps", "--batch", "--device", "--precision", "--threads", "--context"},
       kGenerated,
       run_generation},
      {"--compare",
       false,
       {"--preset", "--batch", "--seq-len", "--device", "--precision", "--threads", "--minutes", "--data", "--out"},
       kCompared,
       run_comparison},
      {"--banded", false, {"--width", "--tokens", "--device", "--precision", "--threads"}, {}, run_banded},
      {"--ops", false, {"--device", "--quick"}, {}, run_ops},
      {"--suite", false, {"--device", "--steps", "--warmup", "--threads", "--quick"}, {}, run_suite_mode},
  };
  return table;
}

void Request::declare() {
  line.positional("NAME", name, "architecture", false);
  line.flag("--profile", profiled,
            "of NAME: where the time goes, by phase under the machine's ceilings, by kernel on a GPU, by operator on the CPU");
  line.flag("--generate", generate, "of NAME: going on token by token, early and late in a long text");
  line.option("--compare", compared, "train each of these architectures, separated by commas, for the same time");
  line.flag("--banded", banded_mode, "time the banded product of an MLP's matrices against the dense one, by density");
  line.flag("--ops", ops, "time the fused ops alone, against the device's copy bandwidth");
  line.flag("--suite", suite, "the models and shapes of docs/performance.md, each in a process of its own, then the ops");
  declare_preset(line, options.preset);
  line.option("--steps", updates.steps,
              "timed samples (20; --profile: 3): updates, on a GPU five each; --generate: tokens at each context (64)");
  line.option("--warmup", updates.warmup, "updates before that (3)");
  line.option("--batch", options.batch, "train.batch: sequences");
  line.option("--seq-len", options.seq_len, "train.seq_len: tokens of a sequence");
  line.option("--device", options.device, "train.device: cpu, cuda or cuda:N");
  line.option("--precision", options.precision, "train.precision: fp32 or bf16");
  line.option("--threads", options.threads, "train.threads: CPU threads");
  line.option("--minutes", minutes, "--compare: training time of each (10)");
  line.option("--data", options.data, "--compare: data.path, what to train on");
  line.option("--out", out, "--compare: directory of the runs (runs/compare); --profile: HTML file with the picture");
  line.option("--trace", profile.trace, "--profile: write a Chrome trace to this file");
  line.option("--context", generation.late, "--generate: tokens before the later timing (10000); the earlier one is after 100");
  line.option("--width", banded.width, "--banded: C of the matrices C -> 4C and 4C -> C (1024)");
  line.option("--tokens", banded.tokens, "--banded: rows of x; 16384 on CUDA, 2048 on the CPU");
  line.flag("--quick", quick, "--ops, --suite: small sizes, to try everything once; they tell nothing of speed");
  line.assignments(options.assignments, "any option of the architecture's run, e.g. model.vocab_size=1024");
  line.epilog(
      "docs/bench.md explains each mode, the options that it reads and its figures. Exit codes: 0 done, 2 an option that the mode does\n"
      "not read or a value that is none, 3 a result was wrong or not finite, 4 no memory or disk, 5 no such device, 6 stopped by a\n"
      "signal, 7 some rows failed.");
}

// The one mode that was asked for.
const Mode& mode_of(const Request& r) {
  const Mode* found = nullptr;
  for (const Mode& m : modes()) {
    if (*m.flag == '\0' || !r.given(m.flag)) continue;
    if (found != nullptr) throw ConfigError("bench", std::string(found->flag) + " and " + m.flag + " are two modes; wanted one");
    found = &m;
  }
  return found != nullptr ? *found : modes().front();
}

// Refuses what the mode does not read, by its name and that of the modes that do.
void require_read(const Request& r, const Mode& mode) {
  if (mode.named && r.name.empty())
    throw ConfigError("bench", *mode.flag == '\0' ? "wants the name of an architecture, --compare, --banded, --ops or --suite"
                                                  : mode.title() + " wants the name of an architecture");
  if (!mode.named && !r.name.empty())
    throw ConfigError("bench", "'" + core::printable(r.name, 80) + "' stands beside " + mode.title() +
                                   (mode.run == run_comparison ? "; name all architectures there, separated by commas"
                                                               : ", which takes no architecture"));
  std::vector<CommandLine::Way> ways;
  size_t chosen = 0;
  for (const Mode& m : modes()) {
    if (&m == &mode) chosen = ways.size();
    ways.push_back({m.title(), m.options});
  }
  r.line.refuse_unread(ways, chosen);
  if (mode.settings.empty() && !r.options.assignments.empty())
    throw ConfigError("bench", "'" + core::printable(r.options.assignments.front(), 80) + "' is not read by " + mode.title() +
                                   ", which builds no architecture of its own");
}

template <class Print>
int show(const Request& r, const Value& v, const Print& print) {
  if (r.line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v);
  return 0;
}

constexpr int64_t kMostSteps = 1000000;

void require_counts(const Request& r) {
  const auto in = [](const char* option, int64_t value, int64_t least) {
    if (value < least || value > kMostSteps)
      throw ConfigError("bench", std::string(option) + " must be at least " + std::to_string(least) + " and at most " +
                                     std::to_string(kMostSteps) + ", got " + std::to_string(value));
  };
  in("--steps", r.updates.steps, 1);
  in("--warmup", r.updates.warmup, 0);
}

std::unique_ptr<train::RunConfig> configured(const Request& r, const std::string& architecture) {
  auto config = std::make_unique<train::RunConfig>(arch::find_architecture(architecture));
  apply_preset(*config, r.options.preset);
  std::map<std::string, std::string> flags;
  const auto flag = [&](const char* given, const char* path, const Value& value) {
    if (!r.given(given)) return;
    config->settings.set(path, value, core::Source::command_line);
    flags[path] = given;
  };
  flag("--batch", "train.batch", r.options.batch);
  flag("--seq-len", "train.seq_len", r.options.seq_len);
  flag("--device", "train.device", r.options.device);
  flag("--precision", "train.precision", r.options.precision);
  flag("--threads", "train.threads", r.options.threads);
  flag("--data", "data.path", r.options.data);
  assign(*config, r.options.assignments, std::move(flags));
  refuse_unread(*config, "bench", r.mode->title(), r.mode->settings);
  require_counts(r);
  return config;
}

int run_updates(Request& r) { return show(r, bench::bench(*configured(r, r.name), r.updates), print_updates); }

int run_profile(Request& r) {
  if (r.given("--out") && !r.out.ends_with(".html"))
    throw ConfigError("bench",
                      "--profile --out writes a page; wanted a file that ends with .html, got '" + core::printable(r.out, 200) + "'");
  if (r.given("--out")) core::require_file_place("bench", "--out", r.out);
  if (r.given("--trace")) core::require_file_place("bench", "--trace", r.profile.trace);
  if (r.given("--steps")) r.profile.steps = r.updates.steps;
  const Value v = bench::profile(*configured(r, r.name), r.profile);
  if (!r.out.empty()) core::write_file(core::real_files(), r.out, report::html_form(report::roofline_document(v)));
  return show(r, v, print_profile);
}

int run_generation(Request& r) {
  if (r.generation.late <= r.generation.early) throw ConfigError("bench", "--context must be more than 100");
  if (r.given("--steps")) r.generation.tokens = r.updates.steps;
  const auto config = configured(r, r.name);
  if (!r.given("--batch")) config->settings.set("train.batch", int64_t{1}, core::Source::command_line);
  return show(r, bench::bench_generation(*config, r.generation), print_generation);
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
    if (comma == begin)
      throw ConfigError("bench", "--compare: '" + core::printable(text, 200) + "' has an empty name; wanted names separated by commas");
    names.push_back(text.substr(begin, comma - begin));
    begin = comma + 1;
  }
  return names;
}

// `error` of each row: exit code 7 where one is not empty.
int exit_of(const Value& rows) {
  const auto failed = [](const Value& row) { return !row.at("error").as_string().empty(); };
  const bool any = std::any_of(rows.as_array().begin(), rows.as_array().end(), failed);
  return static_cast<int>(any ? core::Exit::partial : core::Exit::ok);
}

int run_comparison(Request& r) {
  train::set_signals_apart();
  if (r.given("--out")) core::require_directory_place("bench", "--out", r.out);
  std::vector<std::unique_ptr<train::RunConfig>> configs;
  for (const std::string& n : split_names(r.compared)) configs.push_back(configured(r, n));
  const Value v = bench::compare_timed(configs, r.minutes, r.out.empty() ? comparison_directory() : r.out);
  show(r, v, print_comparison);
  return exit_of(v.at("runs"));
}

int run_banded(Request& r) {
  if (r.given("--tokens") && r.banded.tokens < 1)
    throw ConfigError("bench", "--tokens must be at least 1, got " + std::to_string(r.banded.tokens));
  train::TrainConfig& machine = r.banded.machine;
  if (r.given("--device")) machine.device = r.options.device;
  if (r.given("--precision")) machine.precision = r.options.precision;
  if (r.given("--threads")) machine.threads = r.options.threads;
  return show(r, bench::bench_banded(r.banded), print_banded);
}

int run_ops(Request& r) {
  return show(r, bench::bench_ops(tensor::open_device(r.given("--device") ? r.options.device : "cpu"), r.quick), print_ops);
}

int run_suite_mode(Request& r) {
  require_counts(r);
  SuiteOptions options;
  if (r.given("--device")) options.device = r.options.device;
  options.quick = r.quick;
  const auto pass_on = [&](const char* option, int64_t value) {
    if (r.given(option)) options.passed_on.insert(options.passed_on.end(), {option, std::to_string(value)});
  };
  pass_on("--steps", r.updates.steps);
  pass_on("--warmup", r.updates.warmup);
  pass_on("--threads", r.options.threads);
  const Value v = run_suite(options);
  show(r, v, print_suite);
  return exit_of(v.at("rows"));
}

}  // namespace

int run_bench(const std::vector<std::string>& args) {
  Request r;
  r.declare();
  if (!r.line.parse(args)) return 0;
  r.mode = &mode_of(r);
  require_read(r, *r.mode);
  return r.mode->run(r);
}

}  // namespace assay::cli
