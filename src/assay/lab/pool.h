#pragma once
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "assay/lab/campaign.h"
#include "assay/lab/devices.h"
#include "assay/lab/executor.h"
#include "assay/lab/member.h"

namespace assay::lab {

// Trainings as processes, as many at a time as there is room for. A crash is tried once more; any other ending is recorded in the
// member's directory.
class Pool {
 public:
  struct Work {
    // The next member to start, none of `taken` (they run, or stopped and go on another day); nullptr: nothing for now.
    std::function<const Member*(const std::vector<std::string>& taken)> next;
    std::function<void(const Member&)> changed;                         // its directory says something new
    std::function<void(const std::vector<std::string>& running)> show;  // now and then, for people
  };

  // Logs go to DIRECTORY/logs. `again`: members that failed and are to be repeated; each is taken out when it starts.
  Pool(const Request& request, std::string directory, const Recipe& recipe, const Pinned& pinned, std::set<std::string>& again);

  // Until nothing is next and nothing runs. False: a signal asked to stop; everything that ran has saved.
  bool run(const Work& work);

 private:
  void fill(LocalExecutor& executor, const Work& work);
  void settle(const Ending& ending, bool stopping, const Work& work);
  void tell_stop(const LocalExecutor& executor);
  std::string log_of(const Member& m) const { return directory_ + "/logs/" + m.name + ".txt"; }

  const Request& request_;
  const std::string directory_;
  const Pinned& pinned_;
  std::set<std::string>& again_;
  Places places_;
  std::map<std::string, const Member*> started_;
  std::set<std::string> crashed_, left_;
  bool told_stop_ = false;
};

std::string joined(const std::vector<std::string>& words);  // "a, b"

}  // namespace assay::lab
