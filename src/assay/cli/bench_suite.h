#pragma once
#include <functional>
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::cli {

struct SuiteOptions {
  std::string device = "cpu";
  std::vector<std::string> passed_on;  // words for every row of an architecture, such as --threads 2
  bool quick = false;                  // small sizes: tries everything once
};

// One row: `assay bench` with these words.
struct SuiteRow {
  std::string name;
  std::vector<std::string> words;
};

// The models and shapes for which docs/performance.md states figures, those of the CPU or those of a GPU, then the ops alone.
std::vector<SuiteRow> suite_rows(const SuiteOptions& options);

// How a row's process ended and what it wrote.
struct SuiteAnswer {
  int exit_code = 0;  // 128 + n: by signal n
  std::string out, err;
};
using AskRow = std::function<SuiteAnswer(const std::vector<std::string>& words)>;  // the words after the program's name
SuiteAnswer ask_this_program(const std::vector<std::string>& words);

// Runs one row after the other, each as a process of its own, so that memory is a row's own and no end of one ends the others: {"device", "quick",
// "rows": [{"name", "command", "exit_code", "error", "seconds", "result"}]} where result is the document of that command, or null. DeviceError
// where the first row finds no such device: there is none for the others either.
core::Value run_suite(const SuiteOptions& options, const AskRow& ask = ask_this_program);

}  // namespace assay::cli
