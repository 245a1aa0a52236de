#pragma once
#include <string>
#include <vector>

namespace assay::results {

// A run directory as it was found: one with summary.json or config.toml.
struct FoundRun {
  std::string path;       // relative to the root; "" is the root itself
  std::string directory;  // to open
  std::string campaign;   // directory of the campaign that it belongs to, "" where to none
  std::string arm;        // of a campaign's member, "" else
  // Says whether what the directory holds has changed: time, size and inode of config.toml and summary.json and, as long as the run has
  // no summary, of metrics.jsonl.
  std::string stamp;
};

// Every run directory at or below `root`, sorted by path. Run directories are not looked into; names that begin with a dot and what
// an unfinished write left are passed over; links to directories are followed after all else, so that a run has one path, its own where it can.
std::vector<FoundRun> find_runs(const std::string& root);

}  // namespace assay::results
