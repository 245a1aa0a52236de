#include <ATen/ops/isfinite.h>

#include <cstdio>
#include <map>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/output_path.h"
#include "assay/export/model_file.h"
#include "assay/train/checkpoint.h"
#include "assay/train/start.h"

namespace assay::cli {
namespace {

using exporting::ModelFile;

// The run's own configuration, or for a file of others the one of the command line.
std::unique_ptr<train::RunConfig> config_of(const ModelFile& m, const std::string& file, const RunOptions& options,
                                            const CommandLine& line) {
  if (m.config.is_null()) {
    if (options.arch.empty() && options.config_file.empty())
      throw core::ConfigError("import", file + " does not say which architecture it belongs to: give --arch NAME and its options");
    return options.resolve(line, false);
  }
  auto config = train::RunConfig::from_document(m.config);
  if (!options.arch.empty() && &arch::find_architecture(options.arch) != config->architecture)
    throw core::ConfigError("import", file + " holds a " + std::string(config->architecture->name) + ", not a " + options.arch);
  if (line.given("--data")) config->settings.set("data.path", options.data, core::Source::command_line);
  for (const std::string& a : options.assignments) {
    if (a.starts_with("model.")) throw core::ConfigError("import", "'" + a + "' cannot change: the weights belong to their model");
    config->settings.set_assignment(a, core::Source::command_line);
  }
  config->train.device = "cpu";
  return config;
}

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (const int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

// By name; DataError with the first difference between the file and the model.
void load(const ModelFile& m, const std::string& file, const arch::Built& b) {
  const at::NoGradGuard no_grad;
  std::map<std::string, const exporting::Packed*> left;
  for (const auto& p : m.tensors) left[p.name] = &p;
  const auto refuse = [&](const std::string& what) { throw core::DataError("import", file + ": " + what); };
  const auto take = [&](const std::string& name, const Tensor& value) {
    const auto found = left.find(name);
    if (found == left.end()) refuse("it has no tensor '" + name + "', which this model has");
    const Tensor given = exporting::unpack(*found->second);
    if (given.sizes() != value.sizes())
      refuse("tensor '" + name + "' is " + shape_text(given.sizes()) + ", this model's " + shape_text(value.sizes()));
    if (!at::isfinite(given).all().item().toBool()) refuse("tensor '" + name + "' is not finite");
    Tensor(value).copy_(given);
    left.erase(found);
  };
  for (const auto& e : b.params->entries()) take(e.name, b.params->view(b.params->values(), e));
  for (const auto& s : b.params->states()) take("state/" + s.name, s.value);
  if (!left.empty()) refuse("tensor '" + left.begin()->first + "' belongs to no part of this model");
}

}  // namespace

int run_import(const std::vector<std::string>& args) {
  CommandLine line(
      "import",
      "Make a run directory of a model file: what `assay export` wrote, or safetensors of another program with the names of `assay show`.");
  std::string file, out;
  RunOptions options;
  line.positional("FILE", file, "int8 or safetensors; scripts/convert_checkpoint.py makes these of published checkpoints");
  line.option("--out", out, "run directory");
  options.declare(line);
  if (!line.parse(args)) return 0;
  if (out.empty()) throw core::ConfigError("import", "--out: wanted a directory; it is missing");
  core::require_directory_place("import", "--out", out);
  train::require_unused(out);
  const ModelFile m = exporting::read_model_file(file);
  const auto config = config_of(m, file, options, line);
  if (config->name.empty()) config->name = out.substr(out.find_last_of('/') + 1);
  config->check();
  config->resolve_corpus();
  const train::Machine machine = train::prepare_machine(config->train);
  const data::Corpus corpus = data::open_corpus(config->data);
  arch::Built built = train::build_model(*config, machine, corpus.vocab_size);
  load(m, file, built);
  const auto optimizer = optim::make_optimizer(*built.params, config->optim);
  train::Counters counters;
  counters.step = m.step;
  counters.micro_batch = m.step * config->train.accumulation;
  counters.product = machine.product;
  counters.threads = machine.threads;
  counters.data_hash = corpus.hash;
  counters.fingerprint = config->fingerprint();
  core::make_directories(core::real_files(), out);
  train::write_run_files(*config, out);
  train::save_checkpoint(core::real_files(), out, *config, built, *optimizer, counters);
  core::Value v = core::Value::object();
  v["directory"] = out;
  v["arch"] = config->architecture->name;
  v["step"] = m.step;
  v["parameters"] = built.params->count();
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else
    std::printf("%s of %lld parameters, %lld updates: `assay eval %s`\n", std::string(config->architecture->name).c_str(),
                static_cast<long long>(built.params->count()), static_cast<long long>(m.step), out.c_str());
  return 0;
}

}  // namespace assay::cli
