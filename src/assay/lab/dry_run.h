#pragma once
#include <optional>

#include "assay/lab/campaign.h"
#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// What `assay train --dry-run` says of an arm: its configuration, parameters, floating-point operations, data; nothing is trained.

// ConfigError (or the program's own kind) where the arm cannot be trained as it is, showing the place in the recipe.
core::Value dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned);
// Of every arm, as many at a time as there is room for; the error is that of the first arm in the recipe.
std::vector<core::Value> dry_runs(const Recipe& recipe, const Request& request, const Pinned& pinned);

// The same, without a value where the program refuses the arm's options.
std::optional<core::Value> try_dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned);

// A member of a dry run's document, null where it does not say.
core::Value said(const core::Value& plan, const std::string& key);
// "section.option" of the configuration in it; null where it does not say.
core::Value configured(const core::Value& plan, const std::string& option);

}  // namespace assay::lab
