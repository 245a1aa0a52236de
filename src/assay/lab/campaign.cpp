#include "assay/lab/campaign.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/comparison.h"
#include "assay/lab/deviations.h"
#include "assay/lab/devices.h"
#include "assay/lab/plan.h"
#include "assay/lab/pool.h"
#include "assay/lab/references.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr double kOrphanPatience = 300;  // seconds for a member of a killed campaign to save and stop

void tell_ignored_environment() {
  std::vector<std::string> ignored;
  child_environment(&ignored);
  if (!ignored.empty())
    core::warn("[campaign] ignores " + joined(ignored) + " of the environment: a campaign's options come from its recipe alone");
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
      : request_(request),
        recipe_(recipe),
        directory_(std::move(directory)),
        pinned_(pinned),
        trials_(trials_of(recipe, directory_)),
        members_(members_of(recipe, directory_)) {}

  Outcome run() {
    set_chosen(recipe_, read_tuning(recipe_, trials_, pinned_), pinned_);  // of an earlier start
    check_members();
    audit_arms();
    tune();
    evidence_ = read_evidence(recipe_, members_, directory_, pinned_);
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
    std::vector<const Arm*> arms;
    std::vector<Words> programs;
    for (const Arm& arm : recipe_.arms) {
      if (arm.arch.starts_with("ngram") || !read_audit(directory_, arm).is_null()) continue;
      arms.push_back(&arm);
      programs.push_back(audit_words(request_.program, arm, recipe_.audit, pinned_));
    }
    if (arms.empty()) return;
    std::vector<std::string> names;
    for (const Arm* arm : arms) names.push_back(arm->name);
    core::info("[campaign] audits " + joined(names));
    const Places places = places_of(recipe_, request_, pinned_.threads);
    const std::vector<Captured> answers = capture_all(programs, places.members, places.devices);
    for (size_t i = 0; i < arms.size(); ++i) keep_audit(*arms[i], answers[i]);
  }

  void keep_audit(const Arm& arm, const Captured& answer) const {
    if (answer.ending.signal != 0 ||
        (answer.ending.exit_code != 0 && answer.ending.exit_code != static_cast<int>(core::Exit::check_failed)))
      throw core::Error(
          core::Exit::internal, "campaign",
          "the audit of arm '" + arm.name + "' did not end well: " + ending_text(answer.ending) + "; " + last_line(answer.err));
    core::parse_json(answer.out, "audit of arm '" + arm.name + "'");
    core::write_file(core::real_files(), directory_ + "/audits/" + arm.name + ".json", answer.out);
  }

  // Trains what is missing of the trials of every arm that passed its audit, and takes the best values.
  void tune() {
    const Pinned of_trials = pinned_of_trials(recipe_, pinned_);
    std::vector<const Member*> wanted;
    for (const Trial& t : trials_)
      for (const Member& m : t.members) {
        const Standing standing = standing_of(m);
        if (standing.state == State::done) require_same_settings(m, *standing.summary, of_trials);
        if (standing.state == State::failed && request_.retry_failed) again_.insert(m.name);
        const bool over = standing.state == State::done || (standing.state == State::failed && again_.count(m.name) == 0);
        if (!over && refusal_by_audit(read_audit(directory_, recipe_.arms[t.arm])).empty()) wanted.push_back(&m);
      }
    if (wanted.empty()) return;
    core::make_directories(core::real_files(), directory_ + "/tune");
    core::Progress progress(recipe_.name + " tuning", static_cast<int64_t>(wanted.size()));
    const auto next = [&](const std::vector<std::string>& taken) -> const Member* {
      for (const Member* m : wanted)
        if (!is_over(*m) && std::find(taken.begin(), taken.end(), m->name) == taken.end()) return m;
      return nullptr;
    };
    const auto show = [&](const std::vector<std::string>& running) {
      const auto done = std::count_if(wanted.begin(), wanted.end(), [&](const Member* m) { return is_over(*m); });
      progress.update(done, std::to_string(done) + " of " + std::to_string(wanted.size()) + " trials trained, running " + joined(running));
    };
    const bool finished = Pool(request_, directory_, recipe_, of_trials, again_).run({next, [](const Member&) {}, show});
    if (!finished || !std::all_of(wanted.begin(), wanted.end(), [&](const Member* m) { return is_over(*m); })) {
      evidence_ = read_evidence(recipe_, members_, directory_, pinned_);
      stop();
    }
    set_chosen(recipe_, read_tuning(recipe_, trials_, pinned_), pinned_);
  }

  bool is_over(const Member& m) const {
    const State state = standing_of(m).state;
    return state == State::done || (state == State::failed && again_.count(m.name) == 0);
  }

  // Lines to hold the losses against; a campaign does not fail for want of one.
  void measure_references() {
    const size_t control = control_of(recipe_, 0);
    const Row& first = evidence_.rows[control];
    const int64_t tokens = pinned_.tokens > 0 ? pinned_.tokens : first.standing.summary ? first.standing.summary->tokens : 0;
    if (tokens == 0) return;
    for (const std::string& baseline : recipe_.baselines) {
      const std::string place = reference_directory(directory_, baseline);
      if (core::file_exists(place + "/summary.json")) continue;
      if (core::directory_exists(place)) core::real_files().remove_all(place);
      core::make_directories(core::real_files(), directory_ + "/references");
      const Captured answer =
          capture(baseline_words(request_.program, baseline, recipe_.arms[control], recipe_.seeds.front(), place, pinned_, tokens));
      if (answer.ending.signal != 0 || answer.ending.exit_code != 0)
        core::warn("[campaign] no line for " + baseline + ": " +
                   (last_line(answer.err).empty() ? ending_text(answer.ending) : last_line(answer.err)));
    }
  }

  // One sentence through each arm's first model, for the report: [{title, html}].
  void look_inside() {
    if (!request_.look_inside || core::file_exists(directory_ + "/lens.json")) return;
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
    Standings standings = standings_of(recipe_, evidence_.rows, evidence_.audits, evidence_.tuned, pinned_);
    for (size_t i = 0; i < members_.size(); ++i)  // a member that is repeated has not ended
      if (again_.count(members_[i].name) != 0) standings.scores[i % recipe_.arms.size()][i / recipe_.arms.size()] = {};
    rule_ = apply_rule(recipe_, standings);
    refused_ = standings.refused;
  }

  // The first member, seed by seed, that the rule needs and that can be started now.
  const Member* next(const std::vector<std::string>& taken) const {
    for (size_t i = 0; i < members_.size(); ++i) {
      const Member& m = members_[i];
      const size_t arm = i % recipe_.arms.size(), seed = i / recipe_.arms.size();
      const State state = evidence_.rows[i].standing.state;
      const bool over = state == State::done || (state == State::failed && again_.count(m.name) == 0);
      if (over || !refused_[arm].empty() || !rule_->wanted(arm, seed)) continue;
      if (std::find(taken.begin(), taken.end(), m.name) == taken.end()) return &m;
    }
    return nullptr;
  }

  void run_members() {
    if (next({}) == nullptr) return;
    core::make_directories(core::real_files(), directory_ + "/members");
    Pool pool(request_, directory_, recipe_, pinned_, again_);
    progress_.emplace(recipe_.name, total_share());
    const bool finished = pool.run({[&](const auto& taken) { return next(taken); }, [&](const Member& m) { changed(m); },
                                    [&](const auto& running) { show_progress(running); }});
    progress_.reset();
    if (!finished) stop();
  }

  void changed(const Member& m) {
    const auto i = static_cast<size_t>(&m - members_.data());
    const State before = evidence_.rows[i].standing.state;
    evidence_.rows[i] = row_of(m, recipe_.metric);
    if (evidence_.rows[i].standing.state != before) tell_news();
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

  [[noreturn]] void stop() {
    const Value results = write_results();
    throw core::Interrupted("campaign", "stopped with " + std::to_string(results.at("done").as_int()) + " of " +
                                            std::to_string(members_.size()) + " members done; the same command goes on");
  }

  // What a member adds to the progress: its tokens, or one where it is time that limits it.
  int64_t share_of(const Member& m) const { return std::max<int64_t>(1, tokens_of(*m.arm, pinned_)); }
  int64_t total_share() const {
    int64_t total = 0;
    for (const Member& m : members_) total += share_of(m);
    return total;
  }

  void show_progress(const std::vector<std::string>& running) {
    int64_t trained = 0;
    size_t done = 0;
    for (size_t i = 0; i < members_.size(); ++i) {
      const bool over = evidence_.rows[i].standing.state == State::done || evidence_.rows[i].standing.state == State::failed;
      done += over ? 1 : 0;
      if (over) trained += share_of(members_[i]);
      else if (std::find(running.begin(), running.end(), members_[i].name) != running.end())
        trained += std::clamp<int64_t>(tokens_so_far(members_[i]), 0, share_of(members_[i]));
    }
    const std::string rounds = std::to_string(rule_->rounds()) + " of at most " + std::to_string(recipe_.seeds.size()) + " seeds judged, ";
    progress_->update(trained, rounds + std::to_string(done) + " members done, running " + joined(running));
  }

  Value write_results() {
    Value results = compare(recipe_, read_evidence(recipe_, members_, directory_, pinned_), pinned_);
    core::write_file(core::real_files(), directory_ + "/results.json", core::to_json(results, 2) + "\n");
    return results;
  }

  static core::Exit exit_of(const Value& results) {
    if (results.at("unfinished").as_int() > 0) return core::Exit::interrupted;
    if (results.at("failed").as_int() > 0) return core::Exit::partial;
    for (const Value& arm : results.at("arms").as_array())  // without its control a campaign has no answer
      if (arm.at("verdict") == Value("control") && arm.find("reason") && !arm.at("reason").as_string().empty())
        return core::Exit::check_failed;
    return core::Exit::ok;
  }

  const Request& request_;
  const Recipe& recipe_;
  const std::string directory_;
  Pinned pinned_;  // with what was tuned
  const std::vector<Trial> trials_;
  const std::vector<Member> members_;  // seed by seed, all arms of one before the next
  Evidence evidence_;
  std::unique_ptr<Rule> rule_;
  std::vector<std::string> refused_;
  std::set<std::string> again_;
  std::optional<core::Progress> progress_;
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
  return compare(begun.recipe, read_evidence(begun.recipe, members_of(begun.recipe, directory), directory, begun.pinned), begun.pinned);
}

}  // namespace assay::lab
