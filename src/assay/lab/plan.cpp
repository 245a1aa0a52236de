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

int64_t threads_of(const Recipe& recipe, const Request& request) {
  if (recipe.threads > 0) return recipe.threads;
  const auto members = static_cast<int64_t>(recipe.arms.size() * recipe.seeds.size());
  const int64_t at_a_time = request.jobs > 0 ? std::min(request.jobs, members) : members;
  return std::max<int64_t>(1, results::usable_cores() / at_a_time);
}

// Where the recipe says what a dry run objects to: its budget, the option that the message names, else the arm.
std::string place_of(const Recipe& recipe, const Arm& arm, const std::string& message) {
  if (message.find("train.tokens") != std::string::npos) return recipe.at({"tokens"});
  const std::string of_arm = "arm." + arm.name + ".";
  for (const auto& [option, value] : arm.options.as_object())
    if (message.find(option) != std::string::npos) return recipe.at_option(of_arm + option);
  return recipe.at_option(of_arm + "arch");
}

[[noreturn]] void refuse(const Recipe& recipe, const Arm& arm, const Captured& answer) {
  std::string reason = last_line(answer.err);
  if (reason.empty()) reason = "the dry run was " + ending_text(answer.ending);
  const std::string message = place_of(recipe, arm, reason) + ": arm '" + arm.name + "': " + reason;
  if (answer.ending.exit_code == static_cast<int>(core::Exit::device)) throw core::DeviceError("campaign", message);
  if (answer.ending.exit_code == static_cast<int>(core::Exit::resource)) throw core::ResourceError("campaign", message);
  throw core::ConfigError("campaign", message);
}

// A dry run says what its run will measure.
void require_metric(const Recipe& recipe, const Arm& arm, const Value& plan) {
  const Value* measures = plan.is_object() ? plan.find("measures") : nullptr;
  if (!measures || !measures->is_array()) return;
  std::string all;
  for (const Value& m : measures->as_array()) {
    if (m == Value(recipe.metric)) return;
    all += (all.empty() ? "" : ", ") + m.as_string();
  }
  throw core::ConfigError("recipe", recipe.at({"metric"}) + ": 'metric' is " + recipe.metric + ", which no run of arm '" + arm.name +
                                        "' measures; it measures " + all);
}

Value dry_run(const Recipe& recipe, const Arm& arm, const Request& request, const Pinned& pinned) {
  const Captured answer = capture(dry_run_words(request.program, arm, recipe.seeds.front(), pinned));
  if (answer.ending.signal != 0 || answer.ending.exit_code != 0) refuse(recipe, arm, answer);
  Value plan = core::parse_json(answer.out, "dry run of arm '" + arm.name + "'");
  require_metric(recipe, arm, plan);
  return plan;
}

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
  const Pinned pinned{recipe.tokens, v.at("threads").as_int(), v.at("product_backend").as_string(), v.at("vocab_size").as_int(),
                      v.at("arms")};
  return {std::move(recipe), pinned};
}

}  // namespace assay::lab
