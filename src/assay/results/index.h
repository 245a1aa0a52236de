#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/core/file.h"
#include "assay/results/database.h"

namespace assay::results {

// All run directories below one root as a table, kept in <root>/index.sqlite (docs/run-directory.md). The file is derived data: it is read
// as a whole, brought up to date with the directories in memory, and replaced as a whole where anything has changed. So nothing that
// happens to it - a kill at any moment, two processes at once, damage, a place that cannot be written - makes an answer wrong: what cannot
// be trusted is built anew, and of two writers one wins with a file that the next reader brings up to date.
//
// Tables: runs (id, stamp, then run_columns), options (run, option, value), meta (digest of the other two).
class RunIndex {
 public:
  static constexpr uint32_t kApplication = 0x41535952;  // "ASYR", PRAGMA application_id
  static constexpr uint32_t kVersion = 3;               // of the tables, PRAGMA user_version

  // Reads the index and every run directory that has changed since. `rebuild`: reads every one. ConfigError where root is no directory.
  explicit RunIndex(std::string root, bool rebuild = false, core::FileSystem& files = core::real_files());

  const Database& database() const { return database_; }
  const std::string& root() const { return root_; }
  std::string file() const { return root_ + "/index.sqlite"; }
  bool stored() const { return stored_; }  // false: the file could not be written; the answers come from memory
  int64_t runs() const { return runs_; }
  int64_t read() const { return read_; }                            // directories that were read, because they are new or have changed
  const std::vector<std::string>& gone() const { return gone_; }    // paths that the index had and that are no longer there
  const std::vector<std::string>& notes() const { return notes_; }  // for people: damage found, a place that cannot be written

 private:
  bool load();
  void note(const std::string& what) { notes_.push_back(file() + ": " + what); }
  void set_aside();
  bool refresh();
  void store();

  std::string root_;
  core::FileSystem& files_;
  Database database_;
  bool stored_ = true;
  int64_t runs_ = 0, read_ = 0;
  std::vector<std::string> gone_, notes_;
};

}  // namespace assay::results
