#include "assay/lab/pool.h"

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"

namespace assay::lab {
namespace {

constexpr double kTick = 1.0;  // seconds between two looks at running members

}  // namespace

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : ", ") + w;
  return out;
}

Pool::Pool(const Request& request, std::string directory, const Recipe& recipe, const Pinned& pinned, std::set<std::string>& again)
    : request_(request),
      directory_(std::move(directory)),
      pinned_(pinned),
      again_(again),
      places_(places_of(recipe, request, pinned.threads)) {
  core::make_directories(core::real_files(), directory_ + "/logs");
}

bool Pool::run(const Work& work) {
  if (work.next({}) == nullptr) return true;
  LocalExecutor executor(pinned_.threads, places_.devices);
  do {
    if (executor.stop_requests() == 0) fill(executor, work);
    for (const Ending& e : executor.wait(kTick)) settle(e, executor.stop_requests() > 0, work);
    if (executor.stop_requests() > 0) tell_stop(executor);
    else work.show(executor.running_names());
    if (executor.stop_requests() == 0) fill(executor, work);
  } while (executor.running() > 0);
  return executor.stop_requests() == 0;
}

void Pool::fill(LocalExecutor& executor, const Work& work) {
  while (executor.running() < places_.members) {
    std::vector<std::string> taken = executor.running_names();
    taken.insert(taken.end(), left_.begin(), left_.end());
    const Member* m = work.next(taken);
    if (m == nullptr) return;
    prepare(*m, again_.erase(m->name) > 0);
    executor.start(m->name, train_words(request_.program, *m, pinned_), log_of(*m));
    started_[m->name] = m;
    work.changed(*m);
  }
}

void Pool::settle(const Ending& ending, bool stopping, const Work& work) {
  const Member& m = *started_.at(ending.name);
  const bool interrupted = ending.exit_code == static_cast<int>(core::Exit::interrupted) || (stopping && ending.signal != 0);
  if (interrupted) {  // what it saved is where the next start goes on
    left_.insert(m.name);
  } else if (ending.signal != 0 && !standing_of(m).summary && crashed_.insert(m.name).second) {
    core::warn("[campaign] " + m.name + " was " + ending_text(ending) + "; it is started once more");
  } else {
    record_ending(m, ending, log_of(m));
    if (const Standing s = standing_of(m); s.state == State::failed) core::warn("[campaign] " + m.name + " failed: " + s.summary->error);
  }
  work.changed(m);
}

void Pool::tell_stop(const LocalExecutor& executor) {
  if (told_stop_ || executor.running() == 0) return;
  told_stop_ = true;
  core::info("[campaign] stopping: " + joined(executor.running_names()) + " save first; a second signal kills them");
}

}  // namespace assay::lab
