#include "assay/lab/plan.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/core/options.h"
#include "assay/lab/budget.h"
#include "assay/lab/devices.h"
#include "assay/lab/dry_run.h"
#include "assay/lab/rule.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr uint64_t kCampaignLimit = uint64_t{16} << 20;

std::string campaign_path(const std::string& directory) { return directory + "/campaign.json"; }

// Refuses a recipe whose seeds cannot lead to a verdict.
void require_decidable(const Recipe& recipe) try {
  apply_rule(recipe,
             {std::vector(recipe.arms.size(), std::vector<Score>(recipe.seeds.size())), std::vector<std::string>(recipe.arms.size()), {}});
} catch (const core::ConfigError& e) {
  throw core::ConfigError("recipe", recipe.at({compared_arms(recipe).empty() ? "arm" : "seeds"}) + ": " + e.what());
}

}  // namespace

Pinned plan(const Recipe& recipe, const Request& request) {
  require_decidable(recipe);
  Pinned pinned;
  pinned.tokens = recipe.tokens;
  pinned.seconds = recipe.seconds;
  pinned.threads = threads_of(recipe, request);
  pinned.product = recipe.product == "auto" ? "" : recipe.product;
  pinned.arms = Value::object();
  std::string chosen;
  const std::vector<Value> answers = dry_runs(recipe, request, pinned);
  for (size_t a = 0; a < recipe.arms.size(); ++a) {
    const Arm& arm = recipe.arms[a];
    const Value& answer = answers[a];
    const Value backend = said(answer, "product_backend"), vocab = said(answer, "vocab_size");
    if (chosen.empty() && backend.is_string()) chosen = backend.as_string();
    if (vocab.is_int()) pinned.vocab_size = std::max(pinned.vocab_size, vocab.as_int());
    pinned.arms[arm.name] = answer;
  }
  if (pinned.product.empty()) pinned.product = chosen;
  match_budgets(recipe, request, pinned);
  return pinned;
}

bool holds_campaign(const std::string& directory) { return core::file_exists(campaign_path(directory)); }

void require_unused(const std::string& directory) {
  if (core::file_exists(directory)) throw core::ConfigError("campaign", directory + ": is a file; wanted a directory");
  if (!core::directory_exists(directory)) return;
  for (const std::string& name : core::list_directory(directory))
    if (name != ".lock" && name.rfind("recipe.toml", 0) != 0 && name.rfind("campaign.json.", 0) != 0)
      throw core::ConfigError("campaign", directory + ": holds '" + name + "' and no campaign; choose another directory with --out");
}

void write_campaign(const std::string& directory, const Recipe& recipe, const Pinned& pinned) {
  const Value document = recipe.document();
  Value v = Value::object();
  v["name"] = recipe.name;
  v["recipe_hash"] = core::hash128_hex(core::to_json(document));
  v["threads"] = pinned.threads;
  v["product_backend"] = pinned.product;
  v["vocab_size"] = pinned.vocab_size;
  v["arms"] = pinned.arms;
  v["set"] = pinned.set;
  v["created"] = core::utc_now();
  v["recipe"] = document;
  core::write_file(core::real_files(), directory + "/recipe.toml", recipe.text);
  core::write_file(core::real_files(), campaign_path(directory), core::to_json(v, 2) + "\n");
}

Begun read_campaign(const std::string& directory) {
  const std::string path = campaign_path(directory);
  const Value v = core::parse_json(core::read_file(path, kCampaignLimit), path, {.bytes = kCampaignLimit});
  Recipe recipe = read_recipe(directory + "/recipe.toml");
  const Value edits = core::difference(v.at("recipe"), core::parse_json(core::to_json(recipe.document()), path, {.bytes = kCampaignLimit}));
  if (edits.size() > 0) {
    const std::string option = edits.as_array().front().at("option").as_string();
    throw core::ConfigError("campaign",
                            recipe.at_option(option) + ": " + option + " is not what campaign.json froze; this copy must stay as it is");
  }
  Pinned pinned{recipe.tokens, v.at("threads").as_int(), recipe.seconds, v.at("product_backend").as_string(), v.at("vocab_size").as_int(),
                v.at("arms")};
  if (const Value* set = v.find("set")) pinned.set = *set;
  return {std::move(recipe), pinned};
}

}  // namespace assay::lab
