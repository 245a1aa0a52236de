// Header-only use: distributions ship the library in two forms, and a program linked to the shared one does not move between them.
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_UNRELEASED_FEATURES 0
#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/text_position.h"
#include "assay/core/toml_nesting.h"
#include "assay/core/value.h"

namespace assay::core {

namespace {

[[noreturn]] void fail(std::string_view where, const std::string& position, const std::string& what) {
  throw DataError("toml", printable(where, 120) + " at " + position + ": " + what);
}

std::string position(const toml::source_region& region) {
  return "line " + std::to_string(region.begin.line) + ", column " + std::to_string(region.begin.column);
}

std::string too_deep_text(int limit) { return "nested deeper than " + std::to_string(limit) + " levels"; }

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
    if (depth > limit_) fail(where_, position(node.source()), too_deep_text(limit_));
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

}  // namespace

Value parse_toml(std::string_view text, std::string_view where, ParseLimits limits) {
  check_size(text, "toml", where, limits);
  if (const auto offset = too_deep(text, limits.depth)) fail(where, text_position(text, *offset), too_deep_text(limits.depth));
  try {
    return Converter(where, limits.depth).value(toml::parse(text), 1);
  } catch (const toml::parse_error& e) {
    fail(where, position(e.source()), std::string(e.description()));
  }
}

}  // namespace assay::core
