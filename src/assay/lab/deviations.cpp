#include "assay/lab/deviations.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/core/options.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr uint64_t kLimit = uint64_t{16} << 20;

std::string path_of(const std::string& directory) { return directory + "/deviations.json"; }

// As it reads back from a file, so that a number is compared with what its text says.
Value as_stored(const Value& v) { return core::parse_json(core::to_json(v), "recipe", {.bytes = kLimit}); }

bool same_edit(const Value& x, const Value& y) {
  return x.at("option") == y.at("option") && x.at("a") == y.at("a") && x.at("b") == y.at("b");
}

bool is_shorter(const Value& seeds, const Value& frozen) {
  if (!seeds.is_array() || !frozen.is_array() || seeds.size() == 0 || seeds.size() >= frozen.size()) return false;
  return std::equal(seeds.as_array().begin(), seeds.as_array().end(), frozen.as_array().begin());
}

std::string text_of(const Value& v) { return v.is_null() ? "absent" : core::to_json(v); }

}  // namespace

Value read_deviations(const std::string& directory) {
  const std::string path = path_of(directory);
  if (!core::file_exists(path)) return Value::array();
  Value v = core::parse_json(core::read_file(path, kLimit), path, {.bytes = kLimit});
  if (!v.is_array()) throw core::DataError("campaign", path + ": wanted a list, found " + std::string(v.kind()));
  return v;
}

void follow(Recipe& frozen, const Value& deviations) {
  for (const Value& row : deviations.as_array())
    if (row.at("followed").as_bool()) frozen.stop_after = std::min(frozen.stop_after, row.at("b").size());
}

Value new_deviations(const Recipe& frozen, const Recipe& asked, const Value& recorded) {
  Value out = Value::array();
  const Value rows = core::difference(as_stored(frozen.document()), as_stored(asked.document()));
  for (const Value& row : rows.as_array()) {
    const auto& old = recorded.as_array();
    if (std::any_of(old.begin(), old.end(), [&](const Value& r) { return same_edit(r, row); })) continue;
    Value one = row;
    one["followed"] = row.at("option") == Value("seeds") && is_shorter(row.at("b"), row.at("a"));
    out.push_back(one);
  }
  return out;
}

void refuse_deviations(const std::string& directory, const Recipe& asked, const Value& rows) {
  const Value& first = rows.as_array().front();
  const std::string option = first.at("option").as_string();
  const std::string more = rows.size() > 1 ? " (and " + std::to_string(rows.size() - 1) + " more)" : "";
  throw core::ConfigError(
      "campaign", asked.at_option(option) + ": " + option + " is " + text_of(first.at("b")) + " here and " + text_of(first.at("a")) +
                      " in the recipe with which " + directory + " was begun" + more +
                      "; give a changed recipe its own directory with --out, or go on as frozen and record the edit with "
                      "--accept-deviations");
}

void record_deviations(const std::string& directory, const Value& recorded, const Value& rows, int64_t done) {
  Value all = recorded;
  for (const Value& row : rows.as_array()) {
    Value one = row;
    one["at"] = core::utc_now();
    one["done"] = done;
    all.push_back(one);
    core::warn("[campaign] " + row.at("option").as_string() + " was " + text_of(row.at("a")) + " when the campaign began and is " +
               text_of(row.at("b")) +
               " now: " + (row.at("followed").as_bool() ? std::string("it stops by hand") : std::string("recorded, not followed")));
  }
  core::write_file(core::real_files(), path_of(directory), core::to_json(all, 2) + "\n");
}

}  // namespace assay::lab
