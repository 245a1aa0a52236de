#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/results/index.h"
#include "assay/results/run_row.h"

namespace assay::results {

// A question to the index. A name is a column (run_columns) or an option of the runs, "optim.lr" or, where one section alone has it, "lr".
struct RunQuery {
  std::vector<std::string> within;  // only runs in these directories, relative to the root; empty: all
  std::vector<std::string> where;   // "NAME OP VALUE", all of them: = == != < <= > >= ~ (a pattern with * ? [..]); VALUE null: not measured
  std::vector<std::string> columns;  // names, in this order
  std::string sort;                  // name, "-name": falling; "": by path. What is not known comes last.
  std::optional<int64_t> limit;
};

struct RunListing {
  struct Heading {
    std::string name;                // of a column, or the whole name of an option
    std::optional<ColumnKind> kind;  // none: an option, whose values may be of any kind
  };
  std::vector<Heading> headings;
  std::vector<std::vector<core::Value>> rows;
  int64_t matched = 0;  // before the limit
};

// ConfigError: a name that is neither (with the nearest one), a condition that cannot be read or does not fit the column's kind.
RunListing query_runs(const RunIndex& index, const RunQuery& query);

}  // namespace assay::results
