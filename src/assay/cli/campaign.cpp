#include <cstdio>
#include <string>
#include <vector>

#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/output_path.h"
#include "assay/lab/campaign.h"
#include "assay/lab/executor.h"
#include "assay/lab/table.h"

namespace assay::cli {
namespace {

void print(const core::Value& results, bool json) {
  const std::string text = json ? core::to_json(results, 2) + "\n" : lab::render(results, lab::page_of_stdout());
  std::fwrite(text.data(), 1, text.size(), stdout);
}

int run_status(const std::vector<std::string>& args) {
  CommandLine line("campaign status", "Show how far a campaign is and what it says so far; starts and writes nothing.");
  std::string directory;
  line.positional("DIR", directory, "directory of the campaign");
  if (!line.parse(args)) return 0;
  print(lab::campaign_status(directory), line.json);
  return 0;
}

}  // namespace

int run_campaign(const std::vector<std::string>& args) {
  if (!args.empty() && args.front() == "status") return run_status({args.begin() + 1, args.end()});
  CommandLine line("campaign", "Train arms x seeds under one token budget and compare each arm with the control, seed by seed.");
  lab::Request request;
  line.positional("RECIPE.toml", request.recipe, "what to compare");
  line.option("--out", request.directory, "directory of the campaign (runs/<name>)");
  line.option("--jobs", request.jobs, "members at a time, dealt to the CUDA devices in turn (one a device; on the CPU cores / threads)");
  line.flag("--retry-failed", request.retry_failed, "start failed members again");
  line.flag("--accept-deviations", request.accept_deviations, "of a recipe that was edited: record them, go on as it was frozen");
  line.epilog(
      "Running the command again goes on where it stopped; a finished campaign prints its table. `assay campaign status DIR` shows a\n"
      "campaign in any state. Exit codes: 0 all members done, 7 some failed, 6 stopped or unfinished (the same command goes on).");
  if (!line.parse(args)) return 0;
  if (line.given("--jobs") && request.jobs < 1)
    throw core::ConfigError("campaign", "--jobs is " + std::to_string(request.jobs) + "; wanted at least 1");
  if (line.given("--out")) core::require_directory_place("campaign", "--out", request.directory);
  core::set_quiet(line.quiet);
  request.program = lab::this_program();
  const lab::Outcome outcome = lab::run_campaign(request);
  print(outcome.results, line.json);
  return static_cast<int>(outcome.exit);
}

}  // namespace assay::cli
