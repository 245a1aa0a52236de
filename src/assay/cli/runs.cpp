#include <filesystem>

#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/cli/csv.h"
#include "assay/cli/text_table.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/results/run_query.h"

namespace assay::cli {
namespace {

using core::ConfigError;
using core::Value;
using results::RunIndex;
using results::RunListing;
namespace fs = std::filesystem;

constexpr size_t kNamed = 5;  // paths of a list that people are told

const char* const table_columns[] = {"arch", "seed", "status", "tokens", "val_loss", "val_bits_per_byte", "leak", "created", "path"};

struct Options {
  std::string root = "runs", columns;
  std::vector<std::string> directories;
  int64_t limit = 0;
  bool csv = false, rebuild = false;
};

// DIR relative to the root, by name or, where links are in between, by where it really is.
std::string within(const std::string& root, const std::string& directory) {
  if (!core::directory_exists(directory)) throw ConfigError("runs", directory + ": is not a directory");
  for (const bool real : {false, true}) {
    const fs::path base = real ? fs::canonical(root) : fs::absolute(root).lexically_normal() / "";
    const fs::path place = real ? fs::canonical(directory) : fs::absolute(directory).lexically_normal();
    std::string relative = place.lexically_relative(base).string();
    while (relative.ends_with('/')) relative.pop_back();
    if (relative == ".") return "";
    if (!relative.empty() && relative != ".." && !relative.starts_with("../")) return relative;
  }
  throw ConfigError("runs", directory + ": lies outside of " + root + "; --root names the directory whose runs are listed");
}

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= list.size();) {
    const size_t end = std::min(list.find(',', start), list.size());
    if (end == start) throw ConfigError("runs", "--columns '" + core::printable(list, 80) + "': wanted names between commas");
    out.push_back(list.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

std::vector<std::string> chosen_columns(const Options& o, bool table) {
  if (!o.columns.empty()) return names_in(o.columns);
  if (table) return {std::begin(table_columns), std::end(table_columns)};
  std::vector<std::string> out;
  for (const results::Column& c : results::run_columns()) out.emplace_back(c.name);
  return out;
}

void tell(const RunIndex& index) {
  for (const std::string& note : index.notes()) core::warn("[index] " + note);
  const std::vector<std::string>& gone = index.gone();
  if (gone.empty()) return;
  std::string text = "[index] " + std::to_string(gone.size()) + (gone.size() == 1 ? " run is" : " runs are") + " no longer there:";
  for (size_t i = 0; i < std::min(gone.size(), kNamed); ++i) text += (i > 0 ? ", " : " ") + index.root() + "/" + gone[i];
  core::info(text + (gone.size() > kNamed ? ", ..." : ""));
}

// A table has no room for why a run cannot be read.
void tell_unreadable(const RunIndex& index, results::RunQuery query) {
  query.where.emplace_back("status=unreadable");
  query.columns = {"path", "error"};
  query.limit = 1;
  const RunListing found = results::query_runs(index, query);
  if (found.matched == 0) return;
  core::warn("[runs] " + std::to_string(found.matched) + (found.matched == 1 ? " run" : " runs") + " cannot be read; the first is " +
             found.rows[0][0].as_string() + ": " + found.rows[0][1].as_string());
}

std::string table_of(const RunListing& listing) {
  std::vector<std::string> names;
  std::vector<TextTable::Side> sides;
  for (const RunListing::Heading& h : listing.headings) {
    names.push_back(h.name);
    sides.push_back(h.kind == results::ColumnKind::text ? TextTable::Side::left : TextTable::Side::right);
  }
  TextTable table(names, sides);
  for (const auto& row : listing.rows) {
    std::vector<std::string> cells;
    for (const Value& v : row) cells.push_back(cell(v));
    table.add(cells);
  }
  return table.text();
}

std::string csv_of(const RunListing& listing) {
  std::vector<Value> names;
  for (const RunListing::Heading& h : listing.headings) names.emplace_back(h.name);
  std::string out = csv_line(names);
  for (const auto& row : listing.rows) out += csv_line(row);
  return out;
}

Value document_of(const RunIndex& index, const RunListing& listing) {
  Value v = Value::object();
  v["root"] = index.root();
  v["index"] = index.stored() ? Value(index.file()) : Value();
  v["total"] = index.runs();
  v["matched"] = listing.matched;
  v["gone"] = Value::array();
  for (const std::string& path : index.gone()) v["gone"].push_back(index.root() + "/" + path);
  v["runs"] = Value::array();
  for (const auto& row : listing.rows) {
    Value run = Value::object();
    for (size_t i = 0; i < row.size(); ++i) run[listing.headings[i].name] = row[i];
    v["runs"].push_back(run);
  }
  return v;
}

std::string text_of(const RunIndex& index, const RunListing& listing) {
  if (listing.rows.empty())
    return index.runs() == 0 ? "no runs in " + core::printable(index.root()) + "\n" : "none of " + std::to_string(index.runs()) + " runs\n";
  std::string out = table_of(listing);
  const auto shown = static_cast<int64_t>(listing.rows.size());
  if (shown < listing.matched) out += std::to_string(shown) + " of " + std::to_string(listing.matched) + " runs\n";
  return out;
}

void declare(CommandLine& line, Options& o, results::RunQuery& query) {
  line.rest("DIR", o.directories, "only runs in these directories: a campaign, a run ...", false);
  line.option("--root", o.root, "directory whose runs are listed; its index is index.sqlite in it (runs)");
  line.options("--where", query.where, "condition such as arch=gpt2, val_loss<3, optim.lr=0.003; all of them must hold");
  line.option("--sort", query.sort, "column, or -column: falling (path)");
  line.option("--columns", o.columns, "names between commas: columns and options such as optim.lr");
  line.option("--limit", o.limit, "at most so many");
  line.flag("--csv", o.csv, "comma-separated values, as RFC 4180 has them");
  line.flag("--rebuild", o.rebuild, "build the index anew from the run directories");
  std::string names;
  for (const results::Column& c : results::run_columns()) names += (names.empty() ? "" : " ") + std::string(c.name);
  line.epilog("Columns: " + names +
              "\nand every option of the runs' configurations. Conditions: = != < <= > >=, ~ with a pattern (name~gpt2*), null for what is "
              "not known (val_loss!=null).");
}

}  // namespace

int run_runs(const std::vector<std::string>& args) {
  CommandLine line("runs", "List runs: what was trained, how it ended, what it measured. Starts nothing.");
  Options o;
  results::RunQuery query;
  declare(line, o, query);
  if (!line.parse(args)) return 0;
  if (o.csv && line.json) throw ConfigError("runs", "--csv and --json: wanted one of them");
  if (line.given("--limit") && o.limit < 1) throw ConfigError("runs", "--limit is " + std::to_string(o.limit) + "; wanted at least 1");
  if (line.given("--limit")) query.limit = o.limit;
  query.columns = chosen_columns(o, !o.csv && !line.json);
  const RunIndex index(o.root, o.rebuild);
  tell(index);
  for (const std::string& directory : o.directories) query.within.push_back(within(o.root, directory));
  const RunListing listing = results::query_runs(index, query);
  tell_unreadable(index, query);
  print(line.json ? core::to_json(document_of(index, listing), 2) + "\n" : o.csv ? csv_of(listing) : text_of(index, listing));
  return 0;
}

}  // namespace assay::cli
