// Header-only use: distributions ship the library in two forms, and a program linked to the shared one does not move between them.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_UNRELEASED_FEATURES 0
// The library's parser meets its own assertions on some malformed texts ("[(a]" in 3.3), which would stop a debug build and let a
// release build run on. Here they are checked in every build and end the parse.
namespace assay::core {
namespace {
struct BrokenAssumption {};
[[noreturn]] void broken_assumption() { throw BrokenAssumption{}; }
}  // namespace
}  // namespace assay::core
#define TOML_ASSERT(expr) ((expr) ? void() : ::assay::core::broken_assumption())
#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

#include <algorithm>
#include <iterator>
#include <string>
#include <tuple>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/text_position.h"
#include "assay/core/toml_places.h"
#include "assay/core/toml_scan.h"
#include "assay/core/value.h"

namespace assay::core {

namespace {

[[noreturn]] void fail(std::string_view where, const std::string& position, const std::string& what) {
  throw DataError("toml", printable(where, 120) + " at " + position + ": " + what);
}

std::string position(const toml::source_region& region) {
  return "line " + std::to_string(region.begin.line) + ", column " + std::to_string(region.begin.column);
}

// Members in the order of the text; the library keeps them sorted by key.
std::vector<std::pair<const toml::key*, const toml::node*>> in_order(const toml::table& table) {
  std::vector<std::pair<const toml::key*, const toml::node*>> out;
  for (const auto& [key, node] : table) out.emplace_back(&key, &node);
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    const auto &x = a.first->source().begin, &y = b.first->source().begin;
    return std::tie(x.line, x.column) < std::tie(y.line, y.column);
  });
  return out;
}

class Converter {
 public:
  Converter(std::string_view where, int limit) : where_(where), limit_(limit) {}

  Value value(const toml::node& node, int depth) const {
    if (const auto* v = node.as_boolean()) return v->get();
    if (const auto* v = node.as_integer()) return v->get();
    if (const auto* v = node.as_floating_point()) return v->get();
    if (const auto* v = node.as_string()) return v->get();
    if (depth > limit_) fail(where_, position(node.source()), "nested deeper than " + std::to_string(limit_) + " levels");
    if (const auto* table = node.as_table()) return object(*table, depth);
    if (const auto* list = node.as_array()) return array(*list, depth);
    fail(where_, position(node.source()), "a date or time came; options take none (quote it to make it text)");
  }

 private:
  Value object(const toml::table& table, int depth) const {
    Value::Object out;
    for (const auto& [key, node] : in_order(table)) out.emplace_back(key->str(), value(*node, depth + 1));
    return out;
  }

  Value array(const toml::array& list, int depth) const {
    Value::Array out;
    for (const toml::node& node : list) out.push_back(value(node, depth + 1));
    return out;
  }

  std::string_view where_;
  int limit_;
};

void collect(const toml::node& node, TomlPlaces::Path& path, TomlPlaces& places) {
  if (const auto* table = node.as_table())
    for (const auto& [key, member] : *table) {
      path.emplace_back(key.str());
      places.add(path, position(key.source()));
      collect(member, path, places);
      path.pop_back();
    }
  if (const auto* list = node.as_array())
    for (size_t i = 0; i < list->size(); ++i) {
      path.push_back(std::to_string(i));
      places.add(path, position((*list)[i].source()));
      collect((*list)[i], path, places);
      path.pop_back();
    }
}

bool breaks_assumption(std::string_view text) {
  try {
    (void)toml::parse(text);
  } catch (const toml::parse_error&) {
  } catch (const BrokenAssumption&) {
    return true;
  }
  return false;
}

// The start of the line that broke an assumption, which carries no position: the last line of the shortest prefix that breaks one, too.
size_t broken_line(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t i = text.find('\n'); i != std::string_view::npos; i = text.find('\n', i + 1)) ends.push_back(i + 1);
  const auto end = std::partition_point(ends.begin(), ends.end(), [&](size_t e) { return !breaks_assumption(text.substr(0, e)); });
  return end == ends.begin() ? 0 : *std::prev(end);
}

Value parse(std::string_view text, std::string_view where, ParseLimits limits, TomlPlaces* places) {
  check_size(text, "toml", where, limits);
  if (const auto fault = scan_toml(text, limits.depth)) fail(where, text_position(text, fault->offset), fault->what);
  try {
    const toml::table document = toml::parse(text);
    Value v = Converter(where, limits.depth).value(document, 1);
    TomlPlaces::Path path;
    if (places) collect(document, path, *places);
    return v;
  } catch (const toml::parse_error& e) {
    fail(where, position(e.source()), std::string(e.description()));
  } catch (const BrokenAssumption&) {
    fail(where, text_position(text, broken_line(text)), "this line is not well-formed");
  }
}

}  // namespace

std::string TomlPlaces::of(Path path) const {
  for (; !path.empty(); path.pop_back())
    if (const auto at = places_.find(path); at != places_.end()) return at->second;
  return "line 1, column 1";
}

Value parse_toml(std::string_view text, std::string_view where, ParseLimits limits) { return parse(text, where, limits, nullptr); }

Value parse_toml(std::string_view text, std::string_view where, TomlPlaces& places, ParseLimits limits) {
  return parse(text, where, limits, &places);
}

}  // namespace assay::core
