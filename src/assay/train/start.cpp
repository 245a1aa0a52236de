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

std::unique_ptr<RunConfig> read_config(const std::string& directory) {
  const std::string path = directory + "/config.toml";
  const core::Value document = core::parse_toml(core::read_file(path, results::kConfigLimit), path);
  for (const char* key : {"arch", "name"})
    if (const core::Value* v = document.find(key); v == nullptr || !v->is_string())
      throw core::ConfigError("train", path + ": '" + key + "' is missing or no text; wanted the config.toml of a run");
  try {
    return RunConfig::from_document(document);
  } catch (const core::Error& e) {
    throw core::ConfigError("train", path + ": " + e.what());
  }
}

// A run whose weights are all damaged would be lost if it silently began anew in their place.
void require_one_that_verifies(const std::string& directory) {
  if (results::has_checkpoints(directory))
    throw core::DataError("train", directory +
                                       "/checkpoints: none of its checkpoints verifies, so that the run cannot go on; to train it " +
                                       "anew from the beginning, remove that folder and give --resume again");
}

// The summary of a run that is done and gets no update more, whatever else is said of how it goes on.
std::optional<results::Summary> ended(const std::string& directory, const RunConfig& config, const Counters& at, const Continuation& how) {
  const auto s = results::read_summary(directory);
  if (!s || s->status != "done" || at.step < s->steps) return std::nullopt;
  const int64_t total = config.total_steps();
  const double seconds = config.train.seconds;
  const bool out_of_time = seconds > 0 && at.elapsed >= seconds && !how.from_first_batch;  // which sets the clock back
  return (total > 0 && at.step >= total) || out_of_time ? s : std::nullopt;
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
  const core::DirectoryLock lock(directory);
  const auto config = read_config(directory);
  const Continuation how = read_overrides(*config, overrides);
  remove_unfinished(core::real_files(), directory);
  const auto found = newest_checkpoint(directory);
  if (!found) require_one_that_verifies(directory);
  if (!found && config->train.keep_checkpoints == 0)
    if (const auto s = results::read_summary(directory); s && s->status == "done")
      throw core::ConfigError("train",
                              directory + ": the run is done and kept no weights (train.keep_checkpoints=0), so that it cannot go on");
  if (found) {  // the same arithmetic as before, whatever this machine would choose today
    config->train.threads = found->counters().threads;
    config->train.product = found->counters().product;
  }
  config->check();
  if (found) {
    if (auto s = ended(directory, *config, found->counters(), how)) {
      core::info(directory + ": already finished, after " + std::to_string(s->steps) + " updates; nothing is changed");
      return *s;
    }
  }
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
