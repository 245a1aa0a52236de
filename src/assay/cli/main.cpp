#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/options.h"
#include "assay/tensor/device.h"
#include "assay/tensor/failure.h"

namespace assay::cli {
namespace {

constexpr Command table[] = {
    {"list", "what there is: architectures, corpora, optimizers", &run_list},
    {"show", "equations, options, parameters and cost of an architecture", &run_show},
    {"data", "make, inspect, encode, decode and verify corpora; train tokenizers", &run_data},
    {"train", "train one architecture with one seed", &run_train},
    {"eval", "loss and bits per byte of a checkpoint", &run_eval},
    {"generate", "continue a text with a trained model", &run_generate},
    {"audit", "check a model for leaks, dead parts and other sources of false results", &run_audit},
    {"inspect", "what each step of a trained model would predict", &run_inspect},
    {"parity", "replay conformance vectors", &run_parity},
    {"bench", "time training updates", &run_bench},
    {"plan", "seeds and hours of a campaign, before spending them", &run_plan},
    {"calibrate", "how often the rule of verdicts errs, measured", &run_calibrate},
    {"campaign", "compare arms over paired seeds, from a recipe", &run_campaign},
    {"report", "a campaign as one HTML file, or as tables and figures for a paper", &run_report},
    {"verdict", "what a campaign shows about its arms", &run_verdict},
    {"compare", "two runs beside each other", &run_compare},
    {"export", "write a trained model as one file, int8 or safetensors", &run_export},
    {"import", "make a run directory of a model file", &run_import},
    {"runs", "list runs by what was trained and measured", &run_runs},
};

void print_help(bool json) {
  if (json) {
    core::Value v = core::Value::object();
    v["usage"] = "assay COMMAND [options]";
    v["commands"] = core::Value::array();
    for (const Command& c : commands()) {
      core::Value one = core::Value::object();
      one["name"] = c.name;
      one["summary"] = c.summary;
      v["commands"].push_back(std::move(one));
    }
    std::printf("%s\n", core::to_json(v, 2).c_str());
    return;
  }
  std::printf("assay: an architecture laboratory for language models\n\nusage: assay COMMAND [options]\n\n");
  for (const Command& c : commands()) std::printf("  %-10s %s\n", c.name, c.summary);
  std::printf("\n`assay COMMAND --help` explains a command; every command takes --json. `assay --version` says which torch and devices.\n");
}

int print_version(bool json) {
  core::Value v = core::Value::object();
  v["assay"] = ASSAY_VERSION;
  v["build"] = ASSAY_BUILD;
  const core::Value devices = tensor::device_report();
  for (const auto& [key, value] : devices.as_object()) v[key] = value;
  if (json) {
    std::printf("%s\n", core::to_json(v, 2).c_str());
    return 0;
  }
  std::printf("assay %s (%s)\n", ASSAY_VERSION, ASSAY_BUILD);
  for (const auto& [key, value] : devices.as_object())
    std::printf("  %-16s %s\n", key.c_str(), value.is_string() ? value.as_string().c_str() : core::to_json(value).c_str());
  return 0;
}

int dispatch(std::vector<std::string> words) {
  if (words.empty() || words[0].starts_with('-') || words[0] == "help") {  // of the program itself
    const bool json = std::erase(words, "--json") > 0, none = words.empty();
    if (none || words[0] == "--help" || words[0] == "-h" || words[0] == "help") {
      print_help(json);
      return none ? static_cast<int>(core::Exit::bad_input) : 0;
    }
    if (words[0] == "--version") return print_version(json);
    if (json) throw core::ConfigError("assay", "--json stands behind the command, as in `assay list --json`");
  }
  std::vector<std::string> known;
  for (const Command& c : commands()) {
    if (words[0] == c.name) return c.run({words.begin() + 1, words.end()});
    known.emplace_back(c.name);
  }
  throw core::ConfigError("assay", core::unknown_name("command", words[0], known));
}

}  // namespace

std::span<const Command> commands() { return table; }

}  // namespace assay::cli

// The one place where errors become exit codes.
int main(int argc, char** argv) {
  int code = 0;
  try {
    code = assay::cli::dispatch({argv + 1, argv + argc});
  } catch (const std::exception& any) {
    const assay::core::Error e = assay::tensor::to_error(any);
    std::fprintf(stderr, "%s\n", e.what());
    code = static_cast<int>(e.code());
  }
  // Results that nobody could read are no success.
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && code == 0) {
    std::fprintf(stderr, "[output] standard output cannot be written: %s\n", std::strerror(errno));
    code = static_cast<int>(assay::core::Exit::resource);
  }
  // Without destructors of static objects: torch takes its thousands of operators back one by one, a quarter of a short command's time.
  std::fflush(nullptr);
  std::_Exit(code);
}
