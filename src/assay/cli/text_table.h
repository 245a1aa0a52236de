#pragma once
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::cli {

// Rows under a heading, in columns as wide as their widest cell, two spaces between them; the last column is not padded. Cells are made
// printable, so that no text of a file can drive a terminal.
class TextTable {
 public:
  enum class Side { left, right };
  TextTable(std::vector<std::string> heading, std::vector<Side> sides);
  void add(std::vector<std::string> row);  // as many cells as the heading
  std::string text() const;

 private:
  std::vector<Side> sides_;
  std::vector<std::vector<std::string>> rows_;
};

// A value for people: "-" for null, 6 digits of a number, yes and no.
std::string cell(const core::Value& v);
std::string signed_cell(const core::Value& v);    // a number with its sign
std::string interval_cell(const core::Value& v);  // "[-0.1, +0.2]" of two numbers, an open end as "..."

void print(const std::string& text);  // to stdout, NULs and all

}  // namespace assay::cli
