#include <cstdio>

#include "assay/cli/data_actions.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/fetch.h"

namespace assay::cli::data_command {

int run_fetch(const Arguments& args) {
  CommandLine line("data fetch",
                   "Download the shards and the tokenizer that a manifest lists; what an earlier call began is gone on with.");
  std::string manifest;
  data::FetchOptions options;
  line.positional("MANIFEST", manifest, "a manifest.json with addresses (docs/data.md), such as recipes/data/fineweb10B_sp1024.json");
  line.option("--out", options.out, "directory for the files and their manifest.json");
  line.option("--shards", options.shards, "only the first N training shards; 0 = all (0)");
  line.option("--url", options.url, "address of the folder of the files, instead of the manifest's");
  line.option("--retries", options.retries, "further tries after a failure that may pass (3)");
  line.epilog("exit code 2: a file is not what the manifest states; 4: no connection, or it broke - the same command goes on.\n");
  if (!line.parse(args)) return 0;
  check_given(line, "--out", "a directory");
  check_range("--shards", options.shards, 0, 1000000);
  check_range("--retries", options.retries, 0, 1000);
  core::Value result;
  {
    core::Progress progress("fetch", 0);
    options.progress = [&](uint64_t done, uint64_t all, const std::string& file) {
      char text[64];
      if (all > 0) std::snprintf(text, sizeof text, "%.1f of %.1f MB", static_cast<double>(done) / 1e6, static_cast<double>(all) / 1e6);
      else std::snprintf(text, sizeof text, "%.1f MB", static_cast<double>(done) / 1e6);
      progress.update(static_cast<int64_t>(done / 1000000), file + "  " + text);
    };
    result = data::fetch(core::real_files(), manifest, options);
  }
  if (line.json) {
    print_json(result);
    return 0;
  }
  for (const core::Value& f : result.at("files").as_array())
    print(core::printable(f.at("file").as_string()) + ": " + f.at("state").as_string() + ", " + std::to_string(f.at("bytes").as_int()) +
          " bytes, sha256 " + f.at("sha256").as_string() + "\n");
  print(std::to_string(result.at("files").size()) + " files in " + core::printable(options.out) + ", " +
        std::to_string(result.at("bytes_fetched").as_int()) + " bytes fetched\n");
  return 0;
}

}  // namespace assay::cli::data_command
