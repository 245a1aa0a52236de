#include "assay/lab/plan.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/core/options.h"
#include "assay/lab/rule.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr uint64_t kCampaignLimit = uint64_t{16} << 20;

std::string campaign_path(const std::string& directory) { return directory + "/campaign.json"; }

// As it reads back from a file, so that a number is compared with what its text says.
Value as_stored(const Value& v) { return core::parse_json(core::to_json(v), "recipe", {.bytes = kCampaignLimit}); }

int64_t threads_of(const Recipe& recipe, const Request& request) {
  if (recipe.threads > 0) return recipe.threads;
  const auto members = static_cast<int64_t>(recipe.arms.size() * recipe.seeds.size());
  const int64_t at_a_time = request.jobs > 0 ? std::min(request.jobs, members) : members;
  return std::max<int64_t>(1, results::usable_cores() / at_a_time);
}

[[noreturn]] void refuse(const Arm& arm, const Captured& answer) {
  std::string reason = last_line(answer.err);
  if (reason.empty()) reason = "the dry run was " + ending_text(answer.ending);
  const std::string message = "arm '" + arm.name + "': " + reason;
  if (answer.ending.exit_code == static_cast<int>(core::Exit::device)) throw core::DeviceError("campaign", message);
  if (answer.ending.exit_code == static_cast<int>(core::Exit::resource)) throw core::ResourceError("campaign", message);
  throw core::ConfigError("campaign", message);
}

Value dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned) {
  const Captured answer = capture(dry_run_words(request.program, arm, recipe.seeds.front(), pinned));
  if (answer.ending.signal != 0 || answer.ending.exit_code != 0) refuse(arm, answer);
  return core::parse_json(answer.out, "dry run of arm '" + arm.name + "'");
}

std::string difference_text(const Value& row) {
  const auto side = [](const Value& v) { return v.is_null() ? std::string("absent") : core::to_json(v); };
  return row.at("option").as_string() + " is " + side(row.at("a")) + " there and " + side(row.at("b")) + " here";
}

void require_same_recipe(const std::string& directory, const Value& frozen, const Recipe& recipe) {
  const Value rows = core::difference(frozen, as_stored(recipe.document()));
  if (rows.size() == 0) return;
  const std::string more = rows.size() > 1 ? " (and " + std::to_string(rows.size() - 1) + " more)" : "";
  throw core::ConfigError("campaign", directory + ": was begun with another recipe: " + difference_text(rows.as_array().front()) + more +
                                          "; give a changed recipe its own directory with --out");
}

// Nothing known of any member.
Standings unbegun(const Recipe& recipe) {
  return {std::vector(recipe.arms.size(), std::vector<Score>(recipe.seeds.size())), std::vector<std::string>(recipe.arms.size()), {}};
}

}  // namespace

Pinned plan(const Recipe& recipe, const Request& request) {
  apply_rule(recipe, unbegun(recipe));  // refuses a recipe that cannot lead to a verdict

  Pinned pinned{recipe.tokens, threads_of(recipe, request), recipe.product == "auto" ? "" : recipe.product, 0, Value::object()};
  std::string chosen;
  for (const Arm& arm : recipe.arms) {
    const Value answer = dry_run(recipe, arm, request, pinned);
    const Value* backend = answer.is_object() ? answer.find("product_backend") : nullptr;
    if (chosen.empty() && backend && backend->is_string()) chosen = backend->as_string();
    const Value* vocab = answer.is_object() ? answer.find("vocab_size") : nullptr;
    if (vocab && vocab->is_int()) pinned.vocab_size = std::max(pinned.vocab_size, vocab->as_int());
    pinned.arms[arm.name] = answer;
  }
  if (pinned.product.empty()) pinned.product = chosen;
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
  v["created"] = core::utc_now();
  v["recipe"] = document;
  core::write_file(core::real_files(), directory + "/recipe.toml", recipe.text);
  core::write_file(core::real_files(), campaign_path(directory), core::to_json(v, 2) + "\n");
}

Pinned read_campaign(const std::string& directory, const Recipe& recipe) {
  const std::string path = campaign_path(directory);
  const Value v = core::parse_json(core::read_file(path, kCampaignLimit), path, {.bytes = kCampaignLimit});
  require_same_recipe(directory, v.at("recipe"), recipe);
  return {recipe.tokens, v.at("threads").as_int(), v.at("product_backend").as_string(), v.at("vocab_size").as_int(), v.at("arms")};
}

}  // namespace assay::lab
