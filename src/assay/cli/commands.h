#pragma once
#include <span>
#include <string>
#include <vector>

namespace assay::cli {

// A command gets the words after its name and returns the exit code; errors are thrown (core/error.h) and turned into exit codes by main.
struct Command {
  const char* name;
  const char* summary;
  int (*run)(const std::vector<std::string>& args);
};
std::span<const Command> commands();  // in the order of help

int run_list(const std::vector<std::string>& args);
int run_show(const std::vector<std::string>& args);
int run_data(const std::vector<std::string>& args);
int run_train(const std::vector<std::string>& args);
int run_eval(const std::vector<std::string>& args);
int run_generate(const std::vector<std::string>& args);
int run_audit(const std::vector<std::string>& args);
int run_inspect(const std::vector<std::string>& args);
int run_parity(const std::vector<std::string>& args);
int run_bench(const std::vector<std::string>& args);
int run_calibrate(const std::vector<std::string>& args);
int run_plan(const std::vector<std::string>& args);
int run_campaign(const std::vector<std::string>& args);
int run_export(const std::vector<std::string>& args);
int run_import(const std::vector<std::string>& args);
int run_report(const std::vector<std::string>& args);
int run_verdict(const std::vector<std::string>& args);
int run_compare(const std::vector<std::string>& args);
int run_runs(const std::vector<std::string>& args);

}  // namespace assay::cli
