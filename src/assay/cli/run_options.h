#pragma once
#include <map>
#include <memory>

#include "assay/cli/command_line.h"
#include "assay/train/run_config.h"

namespace assay::cli {

// The part of the command line that `train`, `bench` and `audit` share: an architecture, short flags for common options, KEY=VALUE for all others.
struct RunOptions {
  std::string arch, preset, data, config_file, name, device, precision;
  int64_t steps = 0, seed = 0, batch = 0, seq_len = 0, threads = 0;
  std::vector<std::string> assignments;

  void declare(CommandLine& line);
  // Defaults, then the preset, then the recipe of --config, then the environment (where `environment`), then flags and assignments.
  std::unique_ptr<train::RunConfig> resolve(const CommandLine& line, bool environment) const;
};

// Sets KEY=VALUE words. ConfigError names the nearest option, or the architectures that have one of this name; also where two words, or a word and
// one of `flags` (option -> flag that set it), give one option.
void assign(train::RunConfig& config, const std::vector<std::string>& assignments, std::map<std::string, std::string> flags = {});
// Refuses options that the command line set and that are not among `read`: whole sections ("model"), single options ("train.batch"), and "-optim.schedule"
// for one that is not read of a section that is. `reader`: what does not read them.
void refuse_unread(const train::RunConfig& config, std::string_view command, std::string_view reader, const std::vector<const char*>& read);
// Declares --preset for a command that does not take all of RunOptions.
void declare_preset(CommandLine& line, std::string& preset);
// The options of the architecture's preset, weaker than anything that is set later; "" changes nothing.
void apply_preset(train::RunConfig& config, const std::string& preset);

// A run or checkpoint directory, opened for eval, generate and the like.
struct OpenedRun {
  std::unique_ptr<train::RunConfig> config;
  data::Corpus corpus;
  arch::Built built;
};
// `read`: the options that the command reads, as for refuse_unread; others of its assignments are refused.
OpenedRun open_run(const std::string& directory, const std::string& device, const std::vector<std::string>& assignments,
                   std::string_view command = "", const std::vector<const char*>& read = {});
// What a loss on the validation text reads.
const std::vector<const char*>& validation_options();

}  // namespace assay::cli
