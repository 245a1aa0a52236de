#include "assay/lab/campaign.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/comparison.h"
#include "assay/lab/deviations.h"
#include "assay/lab/plan.h"
#include "assay/lab/references.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr double kTick = 1.0;            // seconds between two looks at running members
constexpr double kOrphanPatience = 300;  // seconds for a member of a killed campaign to save and stop

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

void tell_ignored_environment() {
  std::vector<std::string> ignored;
  child_environment(&ignored);
  if (!ignored.empty())
    core::warn("[campaign] ignores " + joined(ignored) + " of the environment: a campaign's options come from its recipe alone");
}

bool uses_cuda(const Recipe& recipe) {
  return std::any_of(recipe.arms.begin(), recipe.arms.end(), [](const Arm& a) {
    const Value* device = a.options.find("train.device");
    return device && device->is_string() && device->as_string().rfind("cuda", 0) == 0;
  });
}

// Members on one CUDA device would only wait for each other, so that one at a time is the default there.
size_t jobs_of(const Request& request, const Recipe& recipe, const Pinned& pinned) {
  if (request.jobs > 0) return static_cast<size_t>(request.jobs);
  if (uses_cuda(recipe)) return 1;
  return static_cast<size_t>(std::max<int64_t>(1, results::usable_cores() / pinned.threads));
}

// A member whose campaign was killed is told to stop by the kernel; its directory is locked until it has saved.
void wait_until_free(const Member& m) {
  const double start = core::monotonic_seconds();
  for (bool told = false;; told = true) {
    try {
      const core::DirectoryLock lock(m.directory);
      return;
    } catch (const core::ConfigError&) {
      if (core::monotonic_seconds() - start > kOrphanPatience) throw;
    }
    if (!told) core::info("[campaign] waits for an earlier process of " + m.name + " to stop");
    SignalGate gate;  // an interruptible pause
    if (const int signal = gate.take(0.2); signal != 0 && signal != SIGCHLD)
      throw core::Interrupted("campaign", "stopped while waiting for " + m.name);
  }
}

// Audits, reference lines, then the members that the rule needs, as long as it needs any; keeps results.json up to date.
class Runner {
 public:
  Runner(const Request& request, const Recipe& recipe, std::string directory, const Pinned& pinned)
      : request_(request), recipe_(recipe), directory_(std::move(directory)), pinned_(pinned), members_(members_of(recipe, directory_)) {}

  Outcome run() {
    check_members();
    audit_arms();
    evidence_ = read_evidence(recipe_, members_, directory_);
    judge();
    run_members();
    measure_references();
    look_inside();
    const Value results = write_results();
    return {results, exit_of(results)};
  }

 private:
  void check_members() {
    for (const Member& m : members_) {
      const Standing standing = standing_of(m);
      if (standing.state == State::done) require_same_settings(m, *standing.summary, pinned_);
      if (standing.state == State::failed && request_.retry_failed) again_.insert(m.name);
      else if (standing.state != State::done && core::directory_exists(m.directory)) wait_until_free(m);
    }
  }

  // An arm that was audited when the campaign began keeps its answer: that is what its numbers were made under.
  void audit_arms() {
    if (recipe_.audit == "none") return;
    core::make_directories(core::real_files(), directory_ + "/audits");
    for (const Arm& arm : recipe_.arms) {
      if (arm.arch.starts_with("ngram") || !read_audit(directory_, arm).is_null()) continue;
      core::info("[campaign] audits " + arm.name);
      const Captured answer = capture(audit_words(request_.program, arm, recipe_.audit, pinned_));
      if (answer.ending.signal != 0 ||
          (answer.ending.exit_code != 0 && answer.ending.exit_code != static_cast<int>(core::Exit::check_failed)))
        throw core::Error(
            core::Exit::internal, "campaign",
            "the audit of arm '" + arm.name + "' did not end well: " + ending_text(answer.ending) + "; " + last_line(answer.err));
      core::parse_json(answer.out, "audit of arm '" + arm.name + "'");
      core::write_file(core::real_files(), directory_ + "/audits/" + arm.name + ".json", answer.out);
    }
  }

  // Lines to hold the losses against; a campaign does not fail for want of one.
  void measure_references() {
    for (const std::string& baseline : recipe_.baselines) {
      const std::string place = reference_directory(directory_, baseline);
      if (core::file_exists(place + "/summary.json")) continue;
      if (core::directory_exists(place)) core::real_files().remove_all(place);
      core::make_directories(core::real_files(), directory_ + "/references");
      const Captured answer =
          capture(baseline_words(request_.program, baseline, recipe_.arms[control_arm(recipe_)], recipe_.seeds.front(), place, pinned_));
      if (answer.ending.signal != 0 || answer.ending.exit_code != 0)
        core::warn("[campaign] no line for " + baseline + ": " +
                   (last_line(answer.err).empty() ? ending_text(answer.ending) : last_line(answer.err)));
    }
  }

  // One sentence through each arm's first model, for the report: [{title, html}].
  void look_inside() {
    if (core::file_exists(directory_ + "/lens.json")) return;
    Value pages = Value::array();
    for (size_t i = 0; i < std::min(members_.size(), recipe_.arms.size()); ++i) {
      const Member& m = members_[i];
      if (standing_of(m).state != State::done || !results::has_checkpoints(m.directory)) continue;
      const Captured answer = capture({request_.program, "inspect", m.directory, "--format", "fragment", "--quiet"});
      if (answer.ending.signal != 0 || answer.ending.exit_code != 0) {
        core::warn("[campaign] no register lens of " + m.name + ": " + last_line(answer.err));
        continue;
      }
      Value page = Value::object();
      page["title"] = m.arm->name;
      page["html"] = answer.out;
      pages.push_back(page);
    }
    if (pages.size() > 0) core::write_file(core::real_files(), directory_ + "/lens.json", core::to_json(pages) + "\n");
  }

  void judge() {
    Standings standings = standings_of(recipe_, evidence_.rows, evidence_.audits, pinned_);
    for (size_t i = 0; i < members_.size(); ++i)  // a member that is repeated has not ended
      if (again_.count(members_[i].name) != 0) standings.scores[i % recipe_.arms.size()][i / recipe_.arms.size()] = {};
    rule_ = apply_rule(recipe_, standings);
    refused_ = standings.refused;
  }

  // The first member, seed by seed, that the rule needs and that can be started now.
  const Member* next(const LocalExecutor& executor) const {
    const std::vector<std::string> running = executor.running_names();
    for (size_t i = 0; i < members_.size(); ++i) {
      const Member& m = members_[i];
      const size_t arm = i % recipe_.arms.size(), seed = i / recipe_.arms.size();
      const State state = evidence_.rows[i].standing.state;
      const bool over = state == State::done || (state == State::failed && again_.count(m.name) == 0) || left_.count(m.name) != 0;
      if (over || !refused_[arm].empty() || !rule_->wanted(arm, seed)) continue;
      if (std::find(running.begin(), running.end(), m.name) == running.end()) return &m;
    }
    return nullptr;
  }

  void run_members() {
    core::make_directories(core::real_files(), directory_ + "/members");
    core::make_directories(core::real_files(), directory_ + "/logs");
    const size_t jobs = jobs_of(request_, recipe_, pinned_);
    LocalExecutor executor(pinned_.threads);
    if (next(executor) == nullptr) return;
    progress_.emplace(recipe_.name, static_cast<int64_t>(members_.size()) * recipe_.tokens);
    while (executor.running() > 0 || (executor.stop_requests() == 0 && next(executor) != nullptr)) {
      if (executor.stop_requests() == 0) fill(executor, jobs);
      for (const Ending& e : executor.wait(kTick)) settle(e, executor.stop_requests() > 0);
      if (executor.stop_requests() > 0) tell_stop(executor);
      else show_progress(executor);
    }
    progress_.reset();
    if (executor.stop_requests() > 0) stop();
  }

  void fill(LocalExecutor& executor, size_t jobs) {
    while (executor.running() < jobs) {
      const Member* m = next(executor);
      if (m == nullptr) return;
      prepare(*m, again_.erase(m->name) > 0);
      executor.start(m->name, train_words(request_.program, *m, pinned_), log_of(*m));
      refresh(*m);
    }
  }

  void refresh(const Member& m) { evidence_.rows[static_cast<size_t>(&m - members_.data())] = row_of(m, recipe_.metric); }

  void settle(const Ending& ending, bool stopping) {
    const Member& m = *std::find_if(members_.begin(), members_.end(), [&](const Member& x) { return x.name == ending.name; });
    const bool interrupted = ending.exit_code == static_cast<int>(core::Exit::interrupted) || (stopping && ending.signal != 0);
    if (interrupted) {  // what it saved is where the next start goes on
      left_.insert(m.name);
    } else if (ending.signal != 0 && !standing_of(m).summary && crashed_.insert(m.name).second) {
      core::warn("[campaign] " + m.name + " was " + ending_text(ending) + "; it is started once more");
    } else {
      record_ending(m, ending, log_of(m));
      if (const Standing s = standing_of(m); s.state == State::failed) core::warn("[campaign] " + m.name + " failed: " + s.summary->error);
    }
    refresh(m);
    tell_news();
  }

  // Judges anew and says which arms have stopped.
  void tell_news() {
    std::vector<std::string> before;
    for (size_t a = 0; a < recipe_.arms.size(); ++a) before.emplace_back(rule_->word(a));
    judge();
    for (size_t a = 0; a < recipe_.arms.size(); ++a)
      if (before[a] != rule_->word(a))
        core::info("[campaign] " + recipe_.arms[a].name + ": " + rule_->word(a) + " after " + std::to_string(rule_->rounds()) + " seeds");
  }

  void tell_stop(const LocalExecutor& executor) {
    if (told_stop_ || executor.running() == 0) return;
    told_stop_ = true;
    core::info("[campaign] stopping: " + joined(executor.running_names()) + " save first; a second signal kills them");
  }

  [[noreturn]] void stop() {
    const Value results = write_results();
    throw core::Interrupted("campaign", "stopped with " + std::to_string(results.at("done").as_int()) + " of " +
                                            std::to_string(members_.size()) + " members done; the same command goes on");
  }

  void show_progress(const LocalExecutor& executor) {
    int64_t trained = 0;
    size_t done = 0;
    const std::vector<std::string> running = executor.running_names();
    for (size_t i = 0; i < members_.size(); ++i) {
      const bool over = evidence_.rows[i].standing.state == State::done || evidence_.rows[i].standing.state == State::failed;
      done += over ? 1 : 0;
      if (over) trained += recipe_.tokens;
      else if (std::find(running.begin(), running.end(), members_[i].name) != running.end())
        trained += std::clamp<int64_t>(tokens_so_far(members_[i]), 0, recipe_.tokens);
    }
    const std::string rounds = std::to_string(rule_->rounds()) + " of at most " + std::to_string(recipe_.seeds.size()) + " seeds judged, ";
    progress_->update(trained, rounds + std::to_string(done) + " members done, running " + joined(running));
  }

  std::string log_of(const Member& m) const { return directory_ + "/logs/" + m.name + ".txt"; }

  Value write_results() {
    Value results = compare(recipe_, read_evidence(recipe_, members_, directory_), pinned_);
    core::write_file(core::real_files(), directory_ + "/results.json", core::to_json(results, 2) + "\n");
    return results;
  }

  static core::Exit exit_of(const Value& results) {
    if (results.at("unfinished").as_int() > 0) return core::Exit::interrupted;
    if (results.at("failed").as_int() > 0) return core::Exit::partial;
    for (const Value& arm : results.at("arms").as_array())  // without its control a campaign has no answer
      if (arm.at("name") == results.at("control") && arm.find("reason") && !arm.at("reason").as_string().empty())
        return core::Exit::check_failed;
    return core::Exit::ok;
  }

  const Request& request_;
  const Recipe& recipe_;
  const std::string directory_;
  const Pinned pinned_;
  const std::vector<Member> members_;  // seed by seed, all arms of one before the next
  Evidence evidence_;
  std::unique_ptr<Rule> rule_;
  std::vector<std::string> refused_;
  std::set<std::string> again_, crashed_, left_;
  std::optional<core::Progress> progress_;
  bool told_stop_ = false;
};

}  // namespace

namespace {

// The campaign of the directory, where the recipe that was given still says what was frozen, or its edits are accepted.
Begun go_on(const Request& request, const std::string& directory, const Recipe& asked) {
  Begun begun = read_campaign(directory);
  const Value recorded = read_deviations(directory), rows = new_deviations(begun.recipe, asked, recorded);
  if (rows.size() > 0) {
    if (!request.accept_deviations) refuse_deviations(directory, asked, rows);
    const std::vector<Member> members = members_of(begun.recipe, directory);
    const auto done = std::count_if(members.begin(), members.end(), [](const Member& m) { return standing_of(m).state == State::done; });
    record_deviations(directory, recorded, rows, done);
  }
  follow(begun.recipe, read_deviations(directory));
  return begun;
}

void begin(const Request& request, const std::string& directory, const Recipe& recipe) {
  require_unused(directory);
  const Pinned pinned = plan(recipe, request);
  core::make_directories(core::real_files(), directory);
  const core::DirectoryLock lock(directory);
  if (!holds_campaign(directory)) write_campaign(directory, recipe, pinned);  // else another process began it meanwhile
}

}  // namespace

Outcome run_campaign(const Request& request) {
  const Recipe asked = read_recipe(request.recipe);
  const std::string directory = request.directory.empty() ? "runs/" + asked.name : request.directory;
  tell_ignored_environment();
  if (!holds_campaign(directory)) begin(request, directory, asked);
  const core::DirectoryLock lock(directory);
  const Begun begun = go_on(request, directory, asked);
  return Runner(request, begun.recipe, directory, begun.pinned).run();
}

core::Value campaign_status(const std::string& directory) {
  if (!holds_campaign(directory))
    throw core::ConfigError("campaign", directory + ": holds no campaign.json; wanted the directory of a campaign");
  Begun begun = read_campaign(directory);
  follow(begun.recipe, read_deviations(directory));
  return compare(begun.recipe, read_evidence(begun.recipe, members_of(begun.recipe, directory), directory), begun.pinned);
}

}  // namespace assay::lab
