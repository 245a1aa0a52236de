#include "assay/results/run_query.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "assay/core/error.h"
#include "assay/core/options.h"

namespace assay::results {
namespace {

using core::ConfigError;
using core::Value;

// A condition as it is written, split at its operator.
struct Condition {
  std::string text, name, op, value;
};

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t"), last = text.find_last_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

Condition split(const std::string& text) {
  const size_t at = text.find_first_of("=!<>~");
  for (const char* op : {"==", "!=", "<=", ">=", "=", "<", ">", "~"})
    if (at != std::string::npos && text.compare(at, std::string_view(op).size(), op) == 0) {
      Condition c{text, trimmed(text.substr(0, at)), op, trimmed(text.substr(at + std::string_view(op).size()))};
      if (c.op == "==") c.op = "=";
      if (!c.name.empty()) return c;
    }
  throw ConfigError("runs",
                    "condition '" + core::printable(text, 80) + "': wanted NAME OP VALUE with one of = != < <= > >= ~, such as val_loss<3");
}

[[noreturn]] void bad(const Condition& c, const std::string& wanted) {
  throw ConfigError("runs", "condition '" + core::printable(c.text, 80) + "': " + wanted);
}

// A finite number that is all of the text: an integer where it is written as one.
std::optional<Value> number_in(const std::string& text) {
  const char* end = text.data() + text.size();
  int64_t whole = 0;
  if (const auto r = std::from_chars(text.data(), end, whole); r.ec == std::errc() && r.ptr == end) return Value(whole);
  double number = 0;
  const auto r = std::from_chars(text.data(), end, number);
  if (r.ec != std::errc() || r.ptr != end || !std::isfinite(number)) return std::nullopt;
  return Value(number);
}

Value truth_in(const Condition& c) {
  for (const char* yes : {"true", "yes", "1"})
    if (c.value == yes) return true;
  for (const char* no : {"false", "no", "0"})
    if (c.value == no) return false;
  bad(c, c.name + " is true or false");
}

// What a name means: a piece of SQL that is made of our own words and numbered parameters alone.
struct Field {
  std::string name, sql;
  std::optional<ColumnKind> kind;
};

class Builder {
 public:
  explicit Builder(const RunIndex& index) : index_(index) {
    Statement all(index.database(), "SELECT DISTINCT option FROM options ORDER BY option");
    while (all.step()) options_.push_back(all.column(0).as_string());
  }

  Field field(const std::string& name) {
    for (const Column& c : run_columns())
      if (name == c.name) return {name, name == "path" ? shown_path() : std::string("runs.") + c.name, c.kind};
    const std::string option = option_named(name);
    return {option, "(SELECT value FROM options WHERE run = runs.id AND option = " + parameter(option) + ")", std::nullopt};
  }

  void add_condition(const std::string& text) {
    const Condition c = split(text);
    const Field f = field(c.name);
    conditions_.push_back(c.value == "null" ? unknown(c, f) : f.kind ? of_column(c, f) : of_option(c, f));
  }

  void add_places(const std::vector<std::string>& within) {
    std::string any;
    for (const std::string& place : within) {
      if (place.empty()) return;  // the root itself holds everything
      const std::string here = parameter(place), below = parameter(place + "/");
      any +=
          (any.empty() ? "" : " OR ") + std::string("runs.path = ") + here + " OR substr(runs.path, 1, length(" + below + ")) = " + below;
    }
    if (!any.empty()) conditions_.push_back("(" + any + ")");
  }

  std::string where() const {
    std::string out;
    for (const std::string& c : conditions_) out += (out.empty() ? " WHERE " : " AND ") + c;
    return out;
  }

  std::string order(const std::string& sort) {
    if (sort.empty()) return " ORDER BY runs.path";
    const bool falling = sort.front() == '-';
    const std::string key = field(falling ? sort.substr(1) : sort).sql;
    return " ORDER BY " + key + " IS NULL, " + key + (falling ? " DESC" : "") + ", runs.path";
  }

  Statement prepare(const std::string& sql) const {
    Statement s(index_.database(), sql);
    for (int n = 1; n <= s.parameters(); ++n) s.bind(n, parameters_[static_cast<size_t>(n) - 1]);
    return s;
  }

  std::string parameter(Value v) {
    parameters_.push_back(std::move(v));
    return "?" + std::to_string(parameters_.size());
  }

 private:
  std::string shown_path() {
    const std::string root = parameter(index_.root());
    return "(CASE WHEN runs.path = '' THEN " + root + " ELSE " + root + " || '/' || runs.path END)";
  }

  std::string option_named(const std::string& name) const {
    std::vector<std::string> found;
    for (const std::string& option : options_)
      if (option == name || (option.size() > name.size() && option.ends_with("." + name))) found.push_back(option);
    if (std::find(found.begin(), found.end(), name) != found.end() || (options_.empty() && name.find('.') != std::string::npos))
      return name;
    if (found.size() == 1) return found.front();
    if (found.size() > 1) throw ConfigError("runs", "'" + name + "' could be " + found[0] + " or " + found[1] + "; write its section too");
    std::vector<std::string> known;
    for (const Column& c : run_columns()) known.emplace_back(c.name);
    known.insert(known.end(), options_.begin(), options_.end());
    throw ConfigError("runs", core::unknown_name("column", name, known));
  }

  static std::string unknown(const Condition& c, const Field& f) {
    if (c.op == "=") return f.sql + " IS NULL";
    if (c.op == "!=") return f.sql + " IS NOT NULL";
    bad(c, "null goes with = and != alone");
  }

  // A value that is not known differs from every value.
  static std::string compared(const std::string& sql, const std::string& op, const std::string& with) {
    return sql + (op == "=" ? " IS " : op == "!=" ? " IS NOT " : op == "~" ? " GLOB " : " " + op + " ") + with;
  }

  std::string of_column(const Condition& c, const Field& f) {
    if (*f.kind == ColumnKind::text) return compared(f.sql, c.op, parameter(c.value));
    if (c.op == "~") bad(c, "~ goes with text; " + c.name + " is none");
    if (*f.kind == ColumnKind::boolean) {
      if (c.op != "=" && c.op != "!=") bad(c, c.name + " goes with = and != alone");
      return compared(f.sql, c.op, parameter(truth_in(c)));
    }
    const std::optional<Value> number = number_in(c.value);
    if (!number) bad(c, c.name + " is a number; '" + core::printable(c.value, 40) + "' is none");
    return compared(f.sql, c.op, parameter(*number));
  }

  // An option's values may be numbers in one run and text in another.
  std::string of_option(const Condition& c, const Field& f) {
    const std::optional<Value> number = number_in(c.value);
    const std::string as_text = compared(f.sql, c.op, parameter(c.value));
    if (c.op == "~") return as_text;
    if (c.op == "=" || c.op == "!=") {
      if (!number) return as_text;
      return "(" + as_text + (c.op == "=" ? " OR " : " AND ") + compared(f.sql, c.op, parameter(*number)) + ")";
    }
    if (!number) bad(c, "options are ordered by number; '" + core::printable(c.value, 40) + "' is none");
    return "(typeof(" + f.sql + ") IN ('integer', 'real') AND " + compared(f.sql, c.op, parameter(*number)) + ")";
  }

  const RunIndex& index_;
  std::vector<std::string> options_, conditions_;
  std::vector<Value> parameters_;
};

std::vector<Value> row_of(const Statement& s, const std::vector<RunListing::Heading>& headings) {
  std::vector<Value> out;
  for (size_t i = 0; i < headings.size(); ++i) {
    const Value v = s.column(static_cast<int>(i));
    out.push_back(headings[i].kind == ColumnKind::boolean && v.is_int() ? Value(v.as_int() != 0) : v);
  }
  return out;
}

}  // namespace

RunListing query_runs(const RunIndex& index, const RunQuery& query) {
  Builder builder(index);
  RunListing out;
  std::string selected;
  for (const std::string& name : query.columns) {
    const Field f = builder.field(name);
    selected += (selected.empty() ? "" : ", ") + f.sql;
    out.headings.push_back({f.name, f.kind});
  }
  builder.add_places(query.within);
  for (const std::string& condition : query.where) builder.add_condition(condition);
  Statement count = builder.prepare("SELECT count(*) FROM runs" + builder.where());
  count.step();
  out.matched = count.column(0).as_int();
  std::string sql = "SELECT " + selected + " FROM runs" + builder.where() + builder.order(query.sort);
  if (query.limit) sql += " LIMIT " + builder.parameter(*query.limit);
  Statement rows = builder.prepare(sql);
  while (rows.step()) out.rows.push_back(row_of(rows, out.headings));
  return out;
}

}  // namespace assay::results
