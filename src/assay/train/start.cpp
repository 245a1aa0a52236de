#include "assay/train/start.h"

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/data/loader.h"
#include "assay/tensor/device.h"
#include "assay/train/loop.h"

namespace assay::train {
namespace {

results::Summary run_in(Run& run, const std::string& directory) {
  core::log_to_file(directory + "/log.txt");
  try {
    results::Summary s = run.run(directory);
    core::log_to_file("");
    return s;
  } catch (...) {
    core::log_to_file("");
    throw;
  }
}

}  // namespace

void write_run_files(const RunConfig& config, const std::string& directory) {
  core::FileSystem& fs = core::real_files();
  core::write_file(fs, directory + "/config.toml", core::to_toml(config.to_document()));
  core::write_file(fs, directory + "/env.json", core::to_json(results::environment(ASSAY_VERSION, tensor::torch_version()), 2) + "\n");
}

void require_unused(const std::string& directory) {
  if (core::directory_exists(directory) && !core::list_directory(directory).empty())
    throw core::ConfigError("train", directory + " already holds something; use --resume " + directory + " to go on, or another --out");
}

core::Value dry_run(RunConfig& config) {
  config.check();
  config.resolve_corpus();
  const Machine machine = prepare_machine(config.train);
  return Run(config, data::open_corpus(config.data), machine).plan();
}

results::Summary train_new(RunConfig& config, const std::string& directory) {
  require_unused(directory);
  config.check();
  config.resolve_corpus();
  const Machine machine = prepare_machine(config.train);
  config.train.threads = machine.threads;  // a run that is resumed elsewhere goes on with what it began with
  config.train.product = machine.product;
  Run run(config, data::open_corpus(config.data), machine);
  core::make_directories(core::real_files(), directory);
  const core::DirectoryLock lock(directory);
  write_run_files(config, directory);
  return run_in(run, directory);
}

results::Summary resume(const std::string& directory, const std::vector<std::string>& overrides) {
  const std::string path = directory + "/config.toml";
  const core::DirectoryLock lock(directory);
  const auto config = RunConfig::from_document(core::parse_toml(core::read_file(path, 1 << 20), path));
  const Continuation how = read_overrides(*config, overrides);
  remove_unfinished(core::real_files(), directory);
  const auto found = newest_checkpoint(directory);
  if (!found && config->train.keep_checkpoints == 0)
    if (const auto ended = results::read_summary(directory); ended && ended->status == "done")
      throw core::ConfigError("train",
                              directory + ": the run is done and kept no weights (train.keep_checkpoints=0), so that it cannot go on");
  if (found) {  // the same arithmetic as before, whatever this machine would choose today
    config->train.threads = found->counters().threads;
    config->train.product = found->counters().product;
  }
  config->check();
  const Machine machine = prepare_machine(config->train);
  Run run(*config, data::open_corpus(config->data), machine);
  if (found) run.start_from(*found);
  if (const int64_t reads = config->total_steps() * config->tokens_per_step();
      reads > static_cast<int64_t>(config->data.corpus_tokens) && data::is_embedded(config->data.path))
    core::warn("the corpus was generated for " + std::to_string(config->data.corpus_tokens) + " tokens; a longer run reads it again");
  if (!overrides.empty()) run.limits_moved();
  run.go_on_otherwise(how);
  core::info(found ? "resuming from " + found->directory : "no checkpoint in " + directory + " yet: starting from the beginning");
  return run_in(run, directory);
}

}  // namespace assay::train
