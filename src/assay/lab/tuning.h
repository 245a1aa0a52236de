#pragma once
#include <memory>
#include <string>
#include <vector>

#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// Fair tuning: every arm, the control too, trains the same number of trials, on seeds that the comparison never uses. An arm whose best
// trial lies at the edge of its grid is refused: what it can do is not known.

// One combination of the values of an arm's grids.
struct Trial {
  size_t arm = 0;                   // of the recipe
  core::Value values;               // {option: value}
  std::unique_ptr<Arm> configured;  // the arm with these values
  std::vector<Member> members;      // one for each seed of [tune]: DIR/tune/<arm>-t<trial>-s<seed>
};
std::vector<Trial> trials_of(const Recipe& recipe, const std::string& directory);  // arm by arm; none where nothing is tuned
Pinned pinned_of_trials(const Recipe& recipe, const Pinned& pinned);

// What the trials of one arm say; nothing where they are not all there.
struct Tuned {
  bool complete = false;
  core::Value trials = core::Value::array();   // [{values, scores[], mean}]; a diverged run scores the cap
  core::Value chosen = core::Value::object();  // of the lowest mean
  std::string refusal;                         // "tuned at the edge of its grid: ...", or ""
};
std::vector<Tuned> read_tuning(const Recipe& recipe, const std::vector<Trial>& trials, const Pinned& pinned);  // by arm

// Takes the chosen values into what is set for the arms.
void set_chosen(const Recipe& recipe, const std::vector<Tuned>& tuned, Pinned& pinned);

}  // namespace assay::lab
