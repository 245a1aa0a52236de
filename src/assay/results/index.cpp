#include "assay/results/index.h"

#include <filesystem>
#include <map>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/results/find_runs.h"
#include "assay/results/run_row.h"

namespace assay::results {
namespace {

using core::Value;

constexpr uint64_t kLargest = uint64_t{1} << 30;  // bytes of an index; SQLite keeps no larger database in memory
constexpr std::string_view kMagic("SQLite format 3\0", 16);
constexpr size_t kHeader = 100, kUserVersion = 60, kApplicationId = 68;  // places in the header of a database file

uint32_t big_endian(std::string_view bytes, size_t at) {
  uint32_t out = 0;
  for (size_t i = at; i < at + 4; ++i) out = out << 8 | static_cast<unsigned char>(bytes[i]);
  return out;
}

bool is_ours(std::string_view bytes) {
  return bytes.size() >= kHeader && bytes.starts_with(kMagic) && big_endian(bytes, kApplicationId) == RunIndex::kApplication;
}

const char* sql_type(ColumnKind kind) { return kind == ColumnKind::text ? "TEXT" : kind == ColumnKind::number ? "REAL" : "INTEGER"; }

void create_tables(Database& db) {
  std::string runs = "CREATE TABLE runs(id INTEGER PRIMARY KEY, stamp TEXT NOT NULL";
  for (const Column& c : run_columns()) runs += std::string(", ") + c.name + " " + sql_type(c.kind);
  db.run(runs + ")");
  db.run("CREATE TABLE options(run INTEGER NOT NULL, option TEXT NOT NULL, value, PRIMARY KEY(run, option)) WITHOUT ROWID");
  db.run("CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID");
  db.run("PRAGMA application_id = " + std::to_string(RunIndex::kApplication));
  db.run("PRAGMA user_version = " + std::to_string(RunIndex::kVersion));
}

// All values of a query's rows, each with its kind and length, so that no two tables give one text.
uint64_t hash_of(const Database& db, const char* query, uint64_t hash) {
  Statement all(db, query);
  std::string row;
  while (all.step()) {
    row.clear();
    for (int i = 0; i < all.columns(); ++i) {
      const Value v = all.column(i);
      const std::string text = v.is_string() ? v.as_string() : core::to_json(v);
      row += v.kind() + std::to_string(text.size()) + ":" + text;
    }
    hash = core::hash64(row, hash);
  }
  return hash;
}

// SQLite's own check sees a page out of place, not a loss in which a bit has changed.
std::string digest(const Database& db) {
  return core::hex64(hash_of(db, "SELECT * FROM options ORDER BY run, option", hash_of(db, "SELECT * FROM runs ORDER BY id", 0)));
}

std::string one_text(const Database& db, const char* query) {
  Statement s(db, query);
  return s.step() && s.column(0).is_string() ? s.column(0).as_string() : "";
}

std::string tables_of(const Database& db) { return one_text(db, "SELECT group_concat(name || ':' || sql, ';') FROM sqlite_master"); }

// What is wrong with the tables, "" where nothing is.
std::string damage_of(const Database& db) {
  if (const std::string check = one_text(db, "PRAGMA quick_check(1)"); check != "ok") return check;
  Database model;
  create_tables(model);
  if (tables_of(db) != tables_of(model)) return "its tables are not those of an index";
  return one_text(db, "SELECT value FROM meta WHERE key = 'digest'") == digest(db) ? "" : "its content does not match its digest";
}

struct Known {
  int64_t id = 0;
  std::string stamp;
};

std::map<std::string, Known> known_runs(const Database& db) {
  std::map<std::string, Known> out;
  Statement all(db, "SELECT path, id, stamp FROM runs");
  while (all.step()) out[all.column(0).as_string()] = {all.column(1).as_int(), all.column(2).as_string()};
  return out;
}

// Changes of the two tables, prepared once.
class Writer {
 public:
  explicit Writer(const Database& db)
      : drop_run_(db, "DELETE FROM runs WHERE id = ?1"),
        drop_options_(db, "DELETE FROM options WHERE run = ?1"),
        add_run_(db, insertion()),
        add_option_(db, "INSERT INTO options(run, option, value) VALUES(?1, ?2, ?3)") {
    Statement last(db, "SELECT coalesce(max(id), 0) FROM runs");
    last.step();
    next_ = last.column(0).as_int() + 1;
  }

  void drop(int64_t id) {
    execute(drop_run_, {id});
    execute(drop_options_, {id});
  }

  void add(const FoundRun& run) {
    const RunRow row = read_run(run);
    std::vector<Value> values = {next_, run.stamp, run.path};
    for (const Column& c : run_columns().subspan(1)) values.push_back(row.columns.at(c.name));
    execute(add_run_, values);
    for (const auto& [option, value] : row.options.as_object()) execute(add_option_, {next_, option, value});
    ++next_;
  }

 private:
  static std::string insertion() {
    std::string names = "id, stamp", places = "?1, ?2";
    int n = 2;
    for (const Column& c : run_columns()) {
      names += std::string(", ") + c.name;
      places += ", ?" + std::to_string(++n);
    }
    return "INSERT INTO runs(" + names + ") VALUES(" + places + ")";
  }

  static void execute(Statement& s, const std::vector<Value>& values) {
    s.reset();
    for (size_t i = 0; i < values.size(); ++i) s.bind(static_cast<int>(i) + 1, values[i]);
    s.step();
  }

  Statement drop_run_, drop_options_, add_run_, add_option_;
  int64_t next_ = 1;
};

std::string without_slashes(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

RunIndex::RunIndex(std::string root, bool rebuild, core::FileSystem& files) : root_(without_slashes(std::move(root))), files_(files) {
  if (!core::directory_exists(root_)) throw core::ConfigError("runs", root_ + ": is not a directory; wanted the one that holds the runs");
  const bool loaded = !rebuild && load();
  if (!loaded) {
    database_ = Database();
    create_tables(database_);
  }
  if (refresh() || !loaded) store();
}

// True where the file's tables were taken over; else it says why not, where people should know.
bool RunIndex::load() {
  if (!core::file_exists(file())) return false;
  std::string bytes;
  try {
    bytes = core::read_file(file(), kLargest);
  } catch (const core::DataError& e) {
    note(std::string("cannot be read, so it is built anew: ") + e.what());
    return false;
  }
  if (bytes.empty()) return false;
  if (!is_ours(bytes)) {
    set_aside();
    return false;
  }
  if (const uint32_t version = big_endian(bytes, kUserVersion); version != kVersion) {
    note("has tables of version " + std::to_string(version) + ", and this program's are of version " + std::to_string(kVersion) +
         "; it is built anew");
    return false;
  }
  try {
    database_ = Database(bytes);
    const std::string damage = damage_of(database_);
    if (damage.empty()) return true;
    note("is damaged and is built anew: " + damage);
  } catch (const core::Error& e) {
    note(std::string("is damaged and is built anew: ") + e.what());
  }
  return false;
}

// What is no index may be somebody's only copy of something.
void RunIndex::set_aside() {
  std::string place = file() + ".set-aside";
  for (int n = 2; core::file_exists(place); ++n) place = file() + ".set-aside-" + std::to_string(n);
  try {
    files_.rename(file(), place);
    note("is no index of runs; it was moved to " + place + " and the index is built anew");
  } catch (const core::ResourceError& e) {
    note(std::string("is no index of runs and cannot be moved out of the way: ") + e.what());
    stored_ = false;
  }
}

// True where the tables had to change.
bool RunIndex::refresh() {
  std::map<std::string, Known> known = known_runs(database_);
  const std::vector<FoundRun> found = find_runs(root_);
  database_.run("BEGIN");
  Writer writer(database_);
  for (const FoundRun& run : found) {
    const auto at = known.find(run.path);
    const bool same = at != known.end() && at->second.stamp == run.stamp;
    if (at != known.end() && !same) writer.drop(at->second.id);
    if (at != known.end()) known.erase(at);
    if (same) continue;
    writer.add(run);
    ++read_;
  }
  for (const auto& [path, run] : known) {
    writer.drop(run.id);
    gone_.push_back(path);
  }
  runs_ = static_cast<int64_t>(found.size());
  if (read_ > 0 || !gone_.empty()) database_.run("INSERT OR REPLACE INTO meta VALUES('digest', '" + digest(database_) + "')");
  database_.run("COMMIT");
  return read_ > 0 || !gone_.empty();
}

void RunIndex::store() {
  if (!stored_) return;
  try {
    core::write_file(files_, file(), database_.image());
  } catch (const core::ResourceError& e) {
    note(std::string("cannot be written, so the answers come from memory alone: ") + e.what());
    stored_ = false;
  }
}

}  // namespace assay::results
