#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/core/output_path.h"
#include "assay/train/ngram_run.h"
#include "assay/train/resume_options.h"
#include "assay/train/signals.h"
#include "assay/train/start.h"

namespace assay::cli {
namespace {

// runs/<arch>-<data>-s<seed>, with -2, -3, ... where that is taken.
std::string default_directory(train::RunConfig& config) {
  if (!config.name.empty()) return "runs/" + config.name;
  std::string data = config.data.path.substr(config.data.path.find_last_of('/') + 1);
  for (char& c : data)
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') c = '_';
  const std::string base = std::string(config.architecture->name) + "-" + data + "-s" + std::to_string(config.train.seed);
  std::string name = base;
  for (int i = 2; core::directory_exists("runs/" + name); ++i) name = base + "-" + std::to_string(i);
  config.name = name;
  return "runs/" + name;
}

void print_plan(const core::Value& plan) {
  for (const auto& [key, value] : plan.as_object()) {
    if (value.is_object()) continue;  // the whole configuration, for programs
    const std::string text = value.is_string() ? value.as_string() : core::to_json(value);
    std::printf("%-26s %s\n", key.c_str(), text.c_str());
  }
}

void print_summary(const results::Summary& s, const std::string& directory) {
  std::printf("%s: %lld updates, %lld tokens, %.0f tokens/s\n", s.name.c_str(), static_cast<long long>(s.steps),
              static_cast<long long>(s.tokens), s.tokens_per_s);
  if (s.val_loss) std::printf("validation loss %.4f nats a token", *s.val_loss);
  if (s.val_bits_per_byte) std::printf(", %.4f bits a byte", *s.val_bits_per_byte);
  std::printf("\nrun directory: %s\n", directory.c_str());
}

}  // namespace

int run_train(const std::vector<std::string>& args) {
  CommandLine line("train", "Train one architecture with one seed; --resume DIR goes on exactly where a stopped run was.");
  RunOptions options;
  options.declare(line);
  std::string out, resumed;
  bool dry = false;
  line.option("--out", out, "run directory; default runs/<name>");
  line.option("--resume", resumed,
              "go on in this run directory; only limits may change, and optim.lr from here on (loader.reset_on_resume=true, "
              "lr.base_from_checkpoint=true: as the published trainer did)");
  line.flag("--dry-run", dry, "check everything, print what would run, create nothing");
  if (!line.parse(args)) return 0;
  train::set_signals_apart();

  results::Summary s;
  std::string directory = resumed;
  if (!resumed.empty()) {
    std::vector<std::string> overrides = options.assignments;
    if (line.given("--steps")) overrides.push_back("train.steps=" + std::to_string(options.steps));
    for (const char* flag : {"--arch", "--preset", "--config", "--data", "--seed", "--batch", "--seq-len", "--device", "--precision",
                             "--threads", "--name", "--out", "--dry-run"})
      if (line.given(flag))
        throw core::ConfigError("train", std::string(flag) + " cannot be given with --resume: the run keeps what it began with");
    s = train::resume(resumed, overrides);
  } else {
    for (const std::string& a : options.assignments)
      if (train::is_resume_switch(std::string_view(a).substr(0, a.find('='))))
        throw core::ConfigError("train", "'" + a + "' says how a run goes on: give it together with --resume DIR");
    if (line.given("--out")) core::require_directory_place("train", "--out", out);
    const auto config = options.resolve(line, true);
    const bool ngram = config->architecture == &train::ngram_info();
    if (dry) {
      const core::Value plan = ngram ? train::dry_run_ngram(*config) : train::dry_run(*config);
      if (line.json) std::printf("%s\n", core::to_json(plan, 2).c_str());
      else print_plan(plan);
      return 0;
    }
    directory = out.empty() ? default_directory(*config) : out;
    if (config->name.empty()) config->name = directory.substr(directory.find_last_of('/') + 1);
    s = ngram ? train::run_ngram(*config, directory) : train::train_new(*config, directory);
  }
  if (line.json) {
    core::Value v = s.to_value();
    v["directory"] = directory;
    std::printf("%s\n", core::to_json(v, 2).c_str());
  } else {
    print_summary(s, directory);
  }
  return 0;
}

}  // namespace assay::cli
