#include "assay/lab/campaign.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/comparison.h"
#include "assay/lab/plan.h"

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

// Starts what is missing, judges what ended, keeps results.json up to date.
class Runner {
 public:
  Runner(const Request& request, const Recipe& recipe, std::string directory, const Pinned& pinned)
      : request_(request), recipe_(recipe), directory_(std::move(directory)), pinned_(pinned), members_(members_of(recipe, directory_)) {}

  Outcome run() {
    choose();
    if (!queue_.empty()) run_queue();
    const Value results = write_results();
    return {results, exit_of(results)};
  }

 private:
  void choose() {
    for (const Member& m : members_) {
      const Standing standing = standing_of(m);
      if (standing.state == State::done) require_same_settings(m, *standing.summary, pinned_);
      const bool again = standing.state == State::failed && request_.retry_failed;
      if (again) again_.insert(m.name);
      if (again || (standing.state != State::done && standing.state != State::failed)) queue_.push_back(&m);
    }
    for (const Member* m : queue_)
      if (core::directory_exists(m->directory)) wait_until_free(*m);
  }

  void run_queue() {
    core::make_directories(core::real_files(), directory_ + "/members");
    core::make_directories(core::real_files(), directory_ + "/logs");
    for (const Member* m : queue_) tokens_before_[m->name] = tokens_so_far(*m);
    progress_.emplace(recipe_.name, tokens_to_train());
    const size_t jobs = jobs_of(request_, recipe_, pinned_);
    LocalExecutor executor;
    while (executor.running() > 0 || (executor.stop_requests() == 0 && !queue_.empty())) {
      if (executor.stop_requests() == 0) fill(executor, jobs);
      for (const Ending& e : executor.wait(kTick)) settle(e, executor.stop_requests() > 0);
      if (executor.stop_requests() > 0) tell_stop(executor);
      else show_progress(executor);
    }
    progress_.reset();
    if (executor.stop_requests() > 0) stop();
  }

  void fill(LocalExecutor& executor, size_t jobs) {
    while (executor.running() < jobs && !queue_.empty()) {
      const Member& m = *queue_.front();
      queue_.pop_front();
      prepare(m, again_.erase(m.name) > 0);
      executor.start(m.name, train_words(request_.program, m, pinned_), log_of(m));
    }
  }

  void settle(const Ending& ending, bool stopping) {
    const Member& m = *std::find_if(members_.begin(), members_.end(), [&](const Member& x) { return x.name == ending.name; });
    const bool interrupted = ending.exit_code == static_cast<int>(core::Exit::interrupted) || (stopping && ending.signal != 0);
    if (interrupted) return;  // what it saved is where the next start goes on
    if (ending.signal != 0 && !standing_of(m).summary && crashed_.insert(m.name).second) {
      core::warn("[campaign] " + m.name + " was " + ending_text(ending) + "; it is started once more");
      queue_.push_front(&m);
      return;
    }
    record_ending(m, ending, log_of(m));
    ended_.insert(m.name);
    if (const Standing s = standing_of(m); s.state == State::failed) core::warn("[campaign] " + m.name + " failed: " + s.summary->error);
    write_results();
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

  int64_t to_train(const std::string& name) const { return std::max<int64_t>(0, recipe_.tokens - tokens_before_.at(name)); }

  int64_t tokens_to_train() const {
    int64_t sum = 0;
    for (const auto& [name, before] : tokens_before_) sum += to_train(name);
    return sum;
  }

  void show_progress(const LocalExecutor& executor) {
    int64_t trained = 0;
    for (const std::string& name : ended_) trained += to_train(name);
    const std::vector<std::string> running = executor.running_names();
    for (const Member& m : members_)
      if (std::find(running.begin(), running.end(), m.name) != running.end())
        trained += std::clamp<int64_t>(tokens_so_far(m) - tokens_before_.at(m.name), 0, to_train(m.name));
    const size_t ended = members_.size() - tokens_before_.size() + ended_.size();
    progress_->update(trained, std::to_string(ended) + " of " + std::to_string(members_.size()) + " members, running " + joined(running));
  }

  std::string log_of(const Member& m) const { return directory_ + "/logs/" + m.name + ".txt"; }

  Value write_results() {
    Value results = compare(recipe_, members_, pinned_);
    core::write_file(core::real_files(), directory_ + "/results.json", core::to_json(results, 2) + "\n");
    return results;
  }

  static core::Exit exit_of(const Value& results) {
    if (results.at("unfinished").as_int() > 0) return core::Exit::interrupted;
    return results.at("failed").as_int() > 0 ? core::Exit::partial : core::Exit::ok;
  }

  const Request& request_;
  const Recipe& recipe_;
  const std::string directory_;
  const Pinned pinned_;
  const std::vector<Member> members_;
  std::deque<const Member*> queue_;
  std::set<std::string> again_, crashed_, ended_;
  std::map<std::string, int64_t> tokens_before_;
  std::optional<core::Progress> progress_;
  bool told_stop_ = false;
};

}  // namespace

Outcome run_campaign(const Request& request) {
  const Recipe recipe = read_recipe(request.recipe);
  const std::string directory = request.directory.empty() ? "runs/" + recipe.name : request.directory;
  tell_ignored_environment();
  const bool begun = holds_campaign(directory);
  Pinned pinned;
  if (begun) pinned = read_campaign(directory, recipe);
  else {
    require_unused(directory);
    pinned = plan(recipe, request);
    core::make_directories(core::real_files(), directory);
  }
  const core::DirectoryLock lock(directory);
  if (!begun && holds_campaign(directory)) pinned = read_campaign(directory, recipe);  // another process began it meanwhile
  else if (!begun) write_campaign(directory, recipe, pinned);
  return Runner(request, recipe, directory, pinned).run();
}

core::Value campaign_status(const std::string& directory) {
  if (!holds_campaign(directory))
    throw core::ConfigError("campaign", directory + ": holds no campaign.json; wanted the directory of a campaign");
  const Recipe recipe = read_recipe(directory + "/recipe.toml");
  const Pinned pinned = read_campaign(directory, recipe);
  return compare(recipe, members_of(recipe, directory), pinned);
}

}  // namespace assay::lab
