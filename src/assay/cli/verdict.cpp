#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/cli/text_table.h"
#include "assay/cli/verdict_text.h"
#include "assay/lab/campaign.h"

namespace assay::cli {

int run_verdict(const std::vector<std::string>& args) {
  CommandLine line("verdict", "What a campaign shows about each arm, in whatever state the campaign is; starts and writes nothing.");
  std::string directory;
  line.positional("DIR", directory, "directory of the campaign");
  if (!line.parse(args)) return 0;
  const core::Value results = lab::campaign_status(directory);
  print(line.json ? core::to_json(verdict_document(results), 2) + "\n" : render_verdict(results));
  return 0;
}

}  // namespace assay::cli
