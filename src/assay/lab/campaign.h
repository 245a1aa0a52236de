#pragma once
#include <cstdint>
#include <string>

#include "assay/core/error.h"
#include "assay/core/value.h"

namespace assay::lab {

// A campaign directory: campaign.json (the frozen recipe and what all members share), recipe.toml, members/<arm>-s<seed>/ (run
// directories), logs/ (what the members' processes printed), results.json (docs/campaign.md).

struct Request {
  std::string recipe;     // path
  std::string directory;  // "": runs/<name>
  std::string program;    // what members run: this program, or a stand-in
  int64_t jobs = 0;       // members at a time; 0: one a CUDA device where they train there, else as many as there are cores for
  bool retry_failed = false;
  bool look_inside = true;         // one sentence through each arm's first model, for the report
  bool accept_deviations = false;  // of an edited recipe: record them and go on as frozen
};

struct Outcome {
  core::Value results;  // lab/comparison.h
  core::Exit exit = core::Exit::ok;
};

// Runs what is missing and gives the results; a finished campaign starts nothing. Members that fail are rows of the results, never
// an exception. ConfigError before anything is created: a recipe or an arm that is not valid, a directory that holds something
// else, a recipe that differs from the one the directory was begun with. Interrupted: stopped by a signal after the members saved.
Outcome run_campaign(const Request& request);

// The same document for a campaign in whatever state it is; nothing is started or written.
core::Value campaign_status(const std::string& directory);

}  // namespace assay::lab
