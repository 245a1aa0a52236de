#include "assay/results/find_runs.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <deque>
#include <memory>
#include <set>
#include <utility>

#include "assay/core/error.h"

namespace assay::results {
namespace {

constexpr int kDepth = 32;  // below the root; a campaign's members are three down

struct Place {
  std::string path, directory, campaign;
  int depth = 0;
};

std::string below(const std::string& place, const std::string& name) { return place.empty() ? name : place + "/" + name; }

std::string stamp_of(const std::string& file) {
  struct stat s {};
  if (::stat(file.c_str(), &s) != 0) return "-";
  return std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec) + "/" + std::to_string(s.st_size) + "/" +
         std::to_string(s.st_ino);
}

bool holds(const std::string& directory, const char* name) {
  struct stat s {};
  return ::stat((directory + "/" + name).c_str(), &s) == 0;
}

bool passed_over(const std::string& name) {
  return name.front() == '.' || name.find(".tmp-") != std::string::npos || name.find(".old-") != std::string::npos;
}

// "gpt2" of DIR/members/gpt2-s1.
std::string arm_of(const Place& at) {
  const std::string members = at.campaign + "/members/";
  if (at.campaign.empty() || !at.directory.starts_with(members)) return "";
  const std::string name = at.directory.substr(members.size());
  const size_t mark = name.rfind("-s");
  const bool numbered =
      mark != std::string::npos && mark > 0 && mark + 2 < name.size() &&
      std::all_of(name.begin() + static_cast<std::ptrdiff_t>(mark) + 2, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return numbered && name.find('/') == std::string::npos ? name.substr(0, mark) : "";
}

class Walk {
 public:
  explicit Walk(const std::string& root) { todo_.push_back({"", root, "", 0}); }

  std::vector<FoundRun> all() {
    for (bool linked = false; !todo_.empty() || !links_.empty(); linked = true) {
      if (linked) todo_.swap(links_);
      while (!todo_.empty()) {
        const Place at = todo_.front();
        todo_.pop_front();
        visit(at);
      }
    }
    std::sort(found_.begin(), found_.end(), [](const FoundRun& a, const FoundRun& b) { return a.path < b.path; });
    return std::move(found_);
  }

 private:
  void visit(Place at) {
    struct stat s {};
    if (::stat(at.directory.c_str(), &s) != 0 || !S_ISDIR(s.st_mode) || !seen_.emplace(s.st_dev, s.st_ino).second) return;
    if (holds(at.directory, "summary.json") || holds(at.directory, "config.toml")) return add(at);
    if (holds(at.directory, "campaign.json")) at.campaign = at.directory;
    if (at.depth < kDepth) look_into(at);
  }

  void add(const Place& at) {
    std::string stamp = stamp_of(at.directory + "/config.toml") + " " + stamp_of(at.directory + "/summary.json");
    if (!holds(at.directory, "summary.json")) stamp += " " + stamp_of(at.directory + "/metrics.jsonl");
    found_.push_back({core::is_utf8(at.path) ? at.path : core::printable(at.path, 4 * at.path.size()), at.directory, at.campaign,
                      arm_of(at), std::move(stamp)});
  }

  void look_into(const Place& at) {
    const std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(at.directory.c_str()), &::closedir);
    if (!open) return;  // nobody's runs that may not be read are listed
    std::vector<std::string> names, links;
    while (const dirent* entry = ::readdir(open.get())) {
      const std::string name = entry->d_name;
      if (passed_over(name)) continue;
      struct stat s {};
      if (::lstat((at.directory + "/" + name).c_str(), &s) != 0) continue;
      if (S_ISDIR(s.st_mode)) names.push_back(name);
      else if (S_ISLNK(s.st_mode)) links.push_back(name);
    }
    queue(at, names, todo_);
    queue(at, links, links_);
  }

  static void queue(const Place& at, std::vector<std::string>& names, std::deque<Place>& to) {
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) to.push_back({below(at.path, name), at.directory + "/" + name, at.campaign, at.depth + 1});
  }

  std::deque<Place> todo_, links_;
  std::set<std::pair<dev_t, ino_t>> seen_;
  std::vector<FoundRun> found_;
};

}  // namespace

std::vector<FoundRun> find_runs(const std::string& root) { return Walk(root).all(); }

}  // namespace assay::results
