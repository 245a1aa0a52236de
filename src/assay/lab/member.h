#pragma once
#include <optional>
#include <string>
#include <vector>

#include "assay/lab/executor.h"
#include "assay/lab/recipe.h"
#include "assay/results/run_directory.h"

namespace assay::lab {

// One training of one arm with one seed; its run directory is all that is known of it.
struct Member {
  const Arm* arm = nullptr;
  int64_t seed = 0;
  std::string name;       // "gpt2-s1"
  std::string directory;  // "DIR/members/gpt2-s1"
};
// Seed by seed, all arms of one before the next, so that an interrupted campaign holds whole pairs.
std::vector<Member> members_of(const Recipe& recipe, const std::string& directory);

// waiting: nothing there. unfinished: begun and without a summary, so it was killed or still runs.
enum class State { waiting, unfinished, interrupted, done, failed };
const char* name_of(State s);

struct Standing {
  State state = State::waiting;
  std::optional<results::Summary> summary;
};
Standing standing_of(const Member& m);   // an unreadable summary is a failed member with the reason, never an exception
int64_t tokens_so_far(const Member& m);  // of a running member, from its metrics; 0 where they do not say

// What all members of a campaign share, so that nothing but arm and seed can differ (kept in campaign.json).
struct Pinned {
  int64_t tokens = 0, threads = 0;          // tokens: of the control
  double seconds = 0;                       // of training, instead of tokens
  std::string product;                      // of CPU products; "" leaves it to the program
  int64_t vocab_size = 0;                   // of the data; 0: not known
  core::Value arms;                         // {name: what the arm's dry run said: parameters, training_flops_per_token, ...}
  core::Value set = core::Value::object();  // {name: {option: value}}: what was solved or tuned for the arm, over its own options
};

// Every option with which a member of the arm is trained, but its seed: the arm's, what was set for it, the budget, threads and products.
core::Value settings_of(const Arm& arm, const Pinned& pinned);
int64_t tokens_of(const Arm& arm, const Pinned& pinned);  // of a member; 0: limited by seconds

// `assay audit` for an arm, and `assay train` for a reference line on the windows of the control's first seed.
Words audit_words(const std::string& program, const Arm& arm, const std::string& level, const Pinned& pinned);
Words baseline_words(const std::string& program, const std::string& baseline, const Arm& control, int64_t seed,
                     const std::string& directory, const Pinned& pinned, int64_t tokens);

// `assay train` for this member; a directory with checkpoints goes on with the settings that it holds.
Words train_words(const std::string& program, const Member& m, const Pinned& pinned);
// The same configuration, to be checked and not run.
Words dry_run_words(const std::string& program, const Arm& arm, int64_t seed, const Pinned& pinned);

// ConfigError where the directory holds a run with another seed, or with an option that differs from the arm's: it was put there by hand.
void require_same_settings(const Member& m, const results::Summary& summary, const Pinned& pinned);

// Makes the directory ready for the next start: one without checkpoints holds nothing to go on from and is removed, a summary
// of a run that goes on is dropped. `again` is a failed member to be repeated: it goes on after a crash or a full disk, and starts
// over after anything that would only happen again.
void prepare(const Member& m, bool again);

// Sees to it that a member that ended has a summary, writing one for a process that could not write its own.
void record_ending(const Member& m, const Ending& ending, const std::string& log);
std::string ending_text(const Ending& ending);

std::string last_line(const std::string& text);  // that is not blank

}  // namespace assay::lab
