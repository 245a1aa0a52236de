#pragma once
#include <string>

#include "assay/lab/campaign.h"
#include "assay/lab/member.h"
#include "assay/lab/recipe.h"

namespace assay::lab {

// What is fixed when a campaign begins. Nothing here starts a training.

// Checks every arm by a dry run of the program and decides what all members share. ConfigError naming the arm.
Pinned plan(const Recipe& recipe, const Request& request);

bool holds_campaign(const std::string& directory);
// ConfigError where the directory holds anything but the beginnings of a campaign.
void require_unused(const std::string& directory);
// Writes recipe.toml, then campaign.json, which makes the directory a campaign.
void write_campaign(const std::string& directory, const Recipe& recipe, const Pinned& pinned);
// A campaign as it was begun. ConfigError where recipe.toml is no longer what campaign.json froze.
struct Begun {
  Recipe recipe;
  Pinned pinned;
};
Begun read_campaign(const std::string& directory);

}  // namespace assay::lab
