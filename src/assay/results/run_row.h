#pragma once
#include <span>
#include <string>

#include "assay/core/value.h"
#include "assay/results/find_runs.h"

namespace assay::results {

enum class ColumnKind { text, integer, number, boolean };

struct Column {
  const char* name;
  ColumnKind kind;
};
// What is known of each run, in this order (docs/run-directory.md). The first is path.
std::span<const Column> run_columns();

struct RunRow {
  core::Value columns;  // {name of a column: value or null} without path
  core::Value options;  // {"optim.lr": 0.003, ...}: null, integer, number or text ("true", "false"; lists as JSON)
};
// Never throws for what the directory holds: a file that cannot be read makes status "unreadable", with the reason as error.
RunRow read_run(const FoundRun& run);

}  // namespace assay::results
