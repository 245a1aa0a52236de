#include "assay/lab/references.h"

#include <algorithm>
#include <numbers>

#include "assay/core/error.h"
#include "assay/lab/comparison.h"
#include "assay/results/run_directory.h"

namespace assay::lab {
namespace {

using core::Value;

Value line(const std::string& name, const char* kind, double value) {
  Value v = Value::object();
  v["name"] = name;
  v["kind"] = kind;
  v["value"] = value;
  return v;
}

std::optional<double> entropy_of(const Recipe& recipe, const Evidence& evidence) {
  for (const Row& row : evidence.rows) {
    if (row.standing.state != State::done || !row.standing.summary->entropy) continue;
    const results::Summary& s = *row.standing.summary;
    if (recipe.metric != "val_bits_per_byte") return s.entropy->entropy();
    if (s.val_bits_per_byte && s.val_loss && *s.val_loss > 0) return s.entropy->entropy() * *s.val_bits_per_byte / *s.val_loss;
  }
  return std::nullopt;
}

std::optional<double> baseline_of(const Recipe& recipe, const std::string& directory) try {
  const std::optional<results::Summary> s = results::read_summary(directory);
  if (!s || s->status != "done") return std::nullopt;
  return recipe.metric == "val_bits_per_byte" ? s->val_bits_per_byte : s->val_loss;
} catch (const core::Error&) {
  return std::nullopt;  // a line less in a picture; the members are what counts
}

}  // namespace

std::string reference_directory(const std::string& directory, const std::string& baseline) {
  std::string name = baseline;
  std::replace(name.begin(), name.end(), ':', '-');
  return directory + "/references/" + name;
}

Value references_of(const Recipe& recipe, const Evidence& evidence) {
  Value out = Value::array();
  if (const auto entropy = entropy_of(recipe, evidence)) out.push_back(line("entropy", "entropy", *entropy));
  for (const std::string& baseline : recipe.baselines)
    if (const auto value = baseline_of(recipe, reference_directory(evidence.directory, baseline)))
      out.push_back(line(baseline, "ngram", *value));
  return out;
}

}  // namespace assay::lab
