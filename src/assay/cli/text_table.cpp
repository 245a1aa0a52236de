#include "assay/cli/text_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "assay/core/error.h"

namespace assay::cli {
namespace {

using core::Value;

constexpr size_t kGap = 2;

// Characters, not bytes: every one of them but the second and later bytes of UTF-8.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](unsigned char c) { return (c & 0xC0) != 0x80; }));
}

std::string end_of(const Value& v) { return v.is_number() ? fmt::format("{:+.6g}", v.as_double()) : "..."; }

}  // namespace

TextTable::TextTable(std::vector<std::string> heading, std::vector<Side> sides) : sides_(std::move(sides)) { add(std::move(heading)); }

void TextTable::add(std::vector<std::string> row) {
  for (std::string& text : row) text = core::printable(text, 1000);
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  std::vector<size_t> widths(sides_.size());
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string space(widths[i] - width_of(row[i]), ' ');
      if (i > 0) line += std::string(kGap, ' ');
      line += sides_[i] == Side::right ? space + row[i] : row[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string cell(const Value& v) {
  if (v.is_null()) return "-";
  if (v.is_string()) return v.as_string();
  if (v.is_bool()) return v.as_bool() ? "yes" : "no";
  if (v.is_int()) return std::to_string(v.as_int());
  return v.is_number() ? fmt::format("{:.6g}", v.as_double()) : core::to_json(v);
}

std::string signed_cell(const Value& v) { return v.is_number() ? fmt::format("{:+.6g}", v.as_double()) : cell(v); }

std::string interval_cell(const Value& v) {
  if (!v.is_array() || v.size() != 2) return "-";
  return "[" + end_of(v.as_array()[0]) + ", " + end_of(v.as_array()[1]) + "]";
}

void print(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace assay::cli
