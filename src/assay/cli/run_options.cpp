#include "assay/cli/run_options.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/core/name.h"
#include "assay/core/reference_environment.h"
#include "assay/train/checkpoint.h"
#include "assay/train/ngram_run.h"

namespace assay::cli {
namespace {

std::vector<std::pair<std::string, std::string>> environment_pairs() {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (char** e = environ; *e != nullptr; ++e)
    if (const char* equals = std::strchr(*e, '=')) pairs.emplace_back(std::string(*e, static_cast<size_t>(equals - *e)), equals + 1);
  return pairs;
}

std::string environment_value(const std::vector<std::pair<std::string, std::string>>& pairs, std::string_view name) {
  for (const auto& [n, v] : pairs)
    if (n == name) return v;
  return "";
}

// Variables that this program reads elsewhere, or that a launcher sets for every program.
bool read_elsewhere(const std::string& name) {
  for (const char* n : {"MODEL_VERSION", "RUN_ID", "RANK", "WORLD_SIZE", "LOCAL_RANK"})
    if (name == n) return true;
  return false;
}

// "model.X=..." and "compat.X=..." of another architecture: the error names the owner.
void require_model_options(const arch::ArchInfo& a, const std::vector<std::string>& assignments) {
  for (const std::string& text : assignments)
    for (const std::string section : {"model.", "compat."})
      if (text.starts_with(section)) arch::require_option(a, text.substr(section.size(), text.find('=') - section.size()));
}

// "train.steps" for "train.steps" and "steps"; a name that is none stays, for whoever refuses it.
std::string option_of(const core::Settings& settings, const std::string& path) {
  if (path.starts_with("compat.")) return "model." + path.substr(path.find('.') + 1);
  if (path.find('.') != std::string::npos) return path;
  for (const core::Bound& section : settings.sections())
    if (section.schema().find(path) != nullptr) return section.schema().section() + "." + path;
  return path;
}

}  // namespace

void RunOptions::declare(CommandLine& line) {
  line.option("--arch", arch, "architecture; `assay list architectures` names them (environment: MODEL_VERSION)");
  declare_preset(line, preset);
  line.option("--config", config_file, "TOML file with arch, preset, name and the sections model, optim, train, data");
  line.option("--data", data, "data.path: an embedded corpus, shards, a .txt or .jsonl file");
  line.option("--steps", steps, "train.steps: updates");
  line.option("--seed", seed, "train.seed");
  line.option("--batch", batch, "train.batch: sequences of a micro-batch");
  line.option("--seq-len", seq_len, "train.seq_len: tokens of a sequence");
  line.option("--device", device, "train.device: cpu, cuda or cuda:N");
  line.option("--precision", precision, "train.precision: fp32 or bf16");
  line.option("--threads", threads, "train.threads: CPU threads");
  line.option("--name", name, "name of the run");
  line.assignments(assignments, "any option, e.g. model.interaction_rank=16 optim.lr=0.01; `assay show NAME` lists them");
}

std::unique_ptr<train::RunConfig> RunOptions::resolve(const CommandLine& line, bool environment) const {
  core::Value recipe = core::Value::object();
  if (!config_file.empty()) recipe = core::parse_toml(core::read_file(config_file, 1 << 20), config_file);
  const auto pairs = environment ? environment_pairs() : std::vector<std::pair<std::string, std::string>>{};
  std::string name_of_arch = arch;
  if (name_of_arch.empty()) name_of_arch = environment_value(pairs, "MODEL_VERSION");
  if (name_of_arch.empty() && recipe.find("arch") != nullptr) name_of_arch = recipe.at("arch").as_string();
  if (name_of_arch.empty()) throw core::ConfigError("train", "no architecture: wanted --arch NAME (`assay list architectures` names them)");
  auto config = train::is_ngram(name_of_arch) ? train::ngram_config(name_of_arch)
                                              : std::make_unique<train::RunConfig>(arch::find_architecture(name_of_arch));
  config->name = name;
  if (name.empty() && recipe.find("name") != nullptr) config->name = recipe.at("name").as_string();
  const core::Value* preset_of_recipe = recipe.find("preset");
  apply_preset(*config, preset.empty() && preset_of_recipe != nullptr ? preset_of_recipe->as_string() : preset);
  for (const char* key : {"arch", "preset", "name", "sources"}) recipe.erase(key);
  if (const core::Value* model = recipe.find("model"); model != nullptr && model->is_object())
    for (const auto& [option, value] : model->as_object()) arch::require_option(*config->architecture, option);
  config->settings.set_document(recipe, core::Source::recipe);
  for (const std::string& unread : config->settings.set_environment(pairs, core::known_environment_names()))
    if (!read_elsewhere(unread))
      core::warn("the environment sets " + unread + ", which " + std::string(config->architecture->name) + " does not read");
  if (config->name.empty()) config->name = environment_value(pairs, "RUN_ID");

  if (!config->name.empty() && !core::is_name(config->name))
    throw core::ConfigError("train", "the name of the run is '" + core::printable(config->name, 80) + "'; wanted " + core::kNameRule);

  std::map<std::string, std::string> flags;
  const auto flag = [&](const char* option_name, const char* path, const core::Value& value) {
    if (!line.given(option_name)) return;
    config->settings.set(path, value, core::Source::command_line);
    flags[path] = option_name;
  };
  flag("--data", "data.path", data);
  flag("--steps", "train.steps", steps);
  flag("--seed", "train.seed", seed);
  flag("--batch", "train.batch", batch);
  flag("--seq-len", "train.seq_len", seq_len);
  flag("--device", "train.device", device);
  flag("--precision", "train.precision", precision);
  flag("--threads", "train.threads", threads);
  assign(*config, assignments, std::move(flags));
  return config;
}

void assign(train::RunConfig& config, const std::vector<std::string>& assignments, std::map<std::string, std::string> flags) {
  require_model_options(*config.architecture, assignments);
  for (const std::string& a : assignments) {
    const auto [before, first] = flags.emplace(option_of(config.settings, a.substr(0, a.find('='))), a);
    if (!first)
      throw core::ConfigError("options", before->first + " is given twice, by " + core::printable(before->second, 80) + " and by " +
                                             core::printable(a, 80) + "; which of them is meant?");
    config.settings.set_assignment(a, core::Source::command_line);
  }
}

void refuse_unread(const train::RunConfig& config, std::string_view command, std::string_view reader,
                   const std::vector<const char*>& read) {
  const auto listed = [&](const std::string& entry) {
    return std::any_of(read.begin(), read.end(), [&](const char* r) { return entry == r; });
  };
  const core::Value sources = config.settings.sources();
  for (const auto& [path, source] : sources.as_object()) {
    if (source.as_string() != core::name_of(core::Source::command_line)) continue;
    if (listed(path) || (listed(path.substr(0, path.find('.'))) && !listed("-" + path))) continue;
    std::string all;
    for (const std::string entry : read) {
      const std::string shown = entry.front() == '-'                   ? "not " + entry.substr(1)
                                : entry.find('.') == std::string::npos ? entry + ".*"
                                                                       : entry;
      all += (all.empty() ? "" : ", ") + shown;
    }
    throw core::ConfigError(command, path + " is not read by " + std::string(reader) + "; it reads " + all);
  }
}

void declare_preset(CommandLine& line, std::string& preset) {
  line.option("--preset", preset,
              "model options by name, such as trainer, constructor, reference, historical; `assay show NAME` lists them");
}

void apply_preset(train::RunConfig& config, const std::string& preset) {
  if (preset.empty()) return;
  core::Value document = core::Value::object();
  document["model"] = arch::preset_options(*config.architecture, preset);
  config.settings.set_document(document, core::Source::recipe);
}

const std::vector<const char*>& validation_options() {
  static const std::vector<const char*> read = {"data",          "-data.order",     "train.val_tokens",   "train.val_batch",
                                                "train.seq_len", "train.batch",     "train.batch_tokens", "train.accumulation",
                                                "train.device",  "train.precision", "train.threads",      "train.product"};
  return read;
}

OpenedRun open_run(const std::string& directory, const std::string& device, const std::vector<std::string>& assignments,
                   std::string_view command, const std::vector<const char*>& read) {
  const train::FoundCheckpoint found = train::open_checkpoint(directory);
  OpenedRun run;
  run.config = train::RunConfig::from_document(found.manifest.at("config"));
  run.config->train.threads = found.counters().threads;
  run.config->train.product = found.counters().product;
  if (!device.empty()) run.config->settings.set("train.device", device, core::Source::command_line);
  for (const std::string& a : assignments) {
    if (a.starts_with("model."))
      throw core::ConfigError("checkpoint", "'" + a + "' cannot change: the checkpoint's weights belong to its model");
    run.config->settings.set_assignment(a, core::Source::command_line);
  }
  if (!read.empty()) refuse_unread(*run.config, command, "`assay " + std::string(command) + "`", read);
  const train::Machine machine = train::prepare_machine(run.config->train);
  run.corpus = data::open_corpus(run.config->data);
  run.built = train::build_model(*run.config, machine, run.corpus.vocab_size);
  train::load_checkpoint(found, run.built, nullptr);
  return run;
}

}  // namespace assay::cli
