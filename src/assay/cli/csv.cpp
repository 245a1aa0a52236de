#include "assay/cli/csv.h"

namespace assay::cli {
namespace {

using core::Value;

std::string field(const Value& v) {
  if (v.is_null()) return "";
  if (!v.is_string()) return core::to_json(v);
  std::string text = v.as_string();
  if (text.find_first_of("=+-@\t\r\n") == 0) text.insert(0, 1, '\'');
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::string csv_line(const std::vector<Value>& row) {
  std::string out;
  for (size_t i = 0; i < row.size(); ++i) out += (i > 0 ? "," : "") + field(row[i]);
  return out + "\r\n";
}

}  // namespace assay::cli
