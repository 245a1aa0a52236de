#include "assay/lab/member.h"

#include <algorithm>
#include <filesystem>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/results/run_directory.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr size_t kLogTail = 16 << 10;

void add_options(Words& words, const Arm& arm, const Pinned& pinned) {
  const Value settings = settings_of(arm, pinned);  // the temporary must outlive the loop
  for (const auto& [path, value] : settings.as_object()) words.push_back(path + "=" + option_text(value));
}

bool same_path(const std::string& a, const std::string& b) {
  std::error_code ignored;
  return std::filesystem::absolute(a, ignored).lexically_normal() == std::filesystem::absolute(b, ignored).lexically_normal();
}

bool same_value(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return a.as_double() == b.as_double();
  if (a.is_string() && b.is_string()) return a.as_string() == b.as_string() || same_path(a.as_string(), b.as_string());
  return a == b;
}

// The value of "section.key" in a run's config.toml; null where it does not say.
Value configured(const Value& config, const std::string& path) {
  const size_t dot = path.find('.');
  const Value* section = config.find(path.substr(0, dot));
  const Value* v = section && section->is_object() ? section->find(path.substr(dot + 1)) : nullptr;
  return v ? *v : Value();
}

void require_option(const Member& m, const Value& config, const std::string& path, const Value& wanted) {
  const Value found = configured(config, path);
  if (found.is_null() || same_value(found, wanted)) return;
  throw core::ConfigError("campaign", m.directory + ": holds a run with " + path + " = " + core::to_json(found) + ", the recipe says " +
                                          core::to_json(wanted) + "; move it away");
}

Standing unreadable(const core::Error& e) {
  results::Summary s;
  s.status = "failed";
  s.exit_code = static_cast<int>(e.code());
  s.error = e.what();
  return {State::failed, s};
}

results::Summary failed_summary(const Member& m, const Ending& ending, const std::string& error) {
  results::Summary s;
  s.status = "failed";
  s.exit_code = ending.signal ? 128 + ending.signal : ending.exit_code;
  s.error = error;
  s.arch = m.arm->arch;
  s.name = m.name;
  s.seed = m.seed;
  return s;
}

// Exit codes after which the same start can end otherwise: the machine was at fault, not the configuration.
bool worth_going_on(int exit_code) { return exit_code > 128 || exit_code == static_cast<int>(core::Exit::resource); }

}  // namespace

std::vector<Member> members_of(const Recipe& recipe, const std::string& directory) {
  std::vector<Member> out;
  for (int64_t seed : recipe.seeds)
    for (const Arm& arm : recipe.arms) {
      const std::string name = arm.name + "-s" + std::to_string(seed);
      out.push_back({&arm, seed, name, directory + "/members/" + name});
    }
  return out;
}

Value settings_of(const Arm& arm, const Pinned& pinned) {
  Value out = arm.options;
  if (pinned.tokens > 0) out["train.tokens"] = pinned.tokens;
  if (pinned.seconds > 0) out["train.seconds"] = pinned.seconds;
  out["train.threads"] = pinned.threads;
  if (!pinned.product.empty()) out["train.product"] = pinned.product;
  if (const Value* set = pinned.set.find(arm.name))
    for (const auto& [path, value] : set->as_object()) out[path] = value;
  return out;
}

int64_t tokens_of(const Arm& arm, const Pinned& pinned) {
  const Value settings = settings_of(arm, pinned);
  const Value* tokens = settings.find("train.tokens");
  return tokens ? tokens->as_int() : 0;
}

const char* name_of(State s) {
  static constexpr const char* names[] = {"waiting", "unfinished", "interrupted", "done", "failed"};
  return names[static_cast<int>(s)];
}

Standing standing_of(const Member& m) try {
  if (!core::directory_exists(m.directory)) return {};
  std::optional<results::Summary> summary = results::read_summary(m.directory);
  if (!summary) return {State::unfinished, std::nullopt};
  const State state = summary->status == "done" ? State::done : summary->status == "failed" ? State::failed : State::interrupted;
  return {state, std::move(summary)};
} catch (const core::Error& e) {
  return unreadable(e);
}

int64_t tokens_so_far(const Member& m) try {
  const Value line = results::last_metrics(m.directory);
  const Value* tokens = line.is_object() ? line.find("tokens") : nullptr;
  return tokens && tokens->is_int() ? tokens->as_int() : 0;
} catch (const core::Error&) {
  return 0;  // progress is for people; a line that cannot be read must not end a campaign
}

Words train_words(const std::string& program, const Member& m, const Pinned& pinned) {
  if (results::has_checkpoints(m.directory)) return {program, "train", "--resume", m.directory, "--quiet"};
  Words words = {program, "train", "--arch", m.arm->arch, "--seed", std::to_string(m.seed), "--out", m.directory, "--quiet"};
  add_options(words, *m.arm, pinned);
  return words;
}

Words audit_words(const std::string& program, const Arm& arm, const std::string& level, const Pinned& pinned) {
  Words words = {program, "audit", arm.arch, "--level", level, "--json", "--quiet"};
  add_options(words, arm, pinned);
  return words;
}

Words baseline_words(const std::string& program, const std::string& baseline, const Arm& control, int64_t seed,
                     const std::string& directory, const Pinned& pinned, int64_t tokens) {
  Words words = {program, "train", "--arch", baseline, "--seed", std::to_string(seed), "--out", directory, "--quiet"};
  Value settings = settings_of(control, pinned);
  for (const char* own : {"train.tokens", "train.seconds", "train.threads", "train.product", "train.device"}) settings.erase(own);
  for (const auto& [path, value] : settings.as_object())
    if (path.starts_with("data.") || path.starts_with("train.")) words.push_back(path + "=" + option_text(value));
  words.push_back("train.tokens=" + std::to_string(tokens));
  words.push_back("train.device=cpu");
  return words;
}

Words dry_run_words(const std::string& program, const Arm& arm, int64_t seed, const Pinned& pinned) {
  Words words = {program, "train", "--arch", arm.arch, "--seed", std::to_string(seed), "--dry-run", "--json"};
  add_options(words, arm, pinned);
  return words;
}

void require_same_settings(const Member& m, const results::Summary& summary, const Pinned& pinned) {
  if (summary.seed != m.seed)
    throw core::ConfigError("campaign", m.directory + ": holds a run with seed " + std::to_string(summary.seed) + ", wanted " +
                                            std::to_string(m.seed) + "; move it away");
  const std::string path = m.directory + "/config.toml";
  if (!core::file_exists(path)) return;
  const Value config = core::parse_toml(core::read_file(path, results::kConfigLimit), path);
  Value settings = settings_of(*m.arm, pinned);
  settings.erase("train.product");  // a word of the machine, which the summary has
  for (const auto& [option, value] : settings.as_object()) require_option(m, config, option, value);
}

void prepare(const Member& m, bool again) {
  if (!core::directory_exists(m.directory)) return;
  core::FileSystem& fs = core::real_files();
  const Standing standing = standing_of(m);
  const bool start_over = again && !(standing.summary && worth_going_on(standing.summary->exit_code));
  if (start_over || !results::has_checkpoints(m.directory)) return fs.remove_all(m.directory);
  if (standing.summary) fs.remove_all(m.directory + "/summary.json");
}

void record_ending(const Member& m, const Ending& ending, const std::string& log) {
  if (standing_of(m).summary) return;
  std::string error = ending_text(ending);
  if (ending.signal == 0 && ending.exit_code != 0) {
    const std::string said = last_line(results::tail_of(log, kLogTail));
    if (!said.empty()) error = core::printable(said);
  }
  core::make_directories(core::real_files(), m.directory);
  results::write_summary(m.directory, failed_summary(m, ending, error));
}

std::string ending_text(const Ending& ending) {
  if (ending.signal) return "killed by " + signal_text(ending.signal);
  if (ending.exit_code == 0) return "exited with 0 and left no summary.json";
  return "exited with " + std::to_string(ending.exit_code);
}

std::string last_line(const std::string& text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  if (end == std::string::npos) return "";
  const size_t before = text.find_last_of('\n', end);
  const size_t start = before == std::string::npos ? 0 : before + 1;
  return text.substr(start, end - start + 1);
}

}  // namespace assay::lab
