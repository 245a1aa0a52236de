#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "assay/cli/command_line.h"
#include "assay/core/value.h"
#include "assay/data/tokenizer.h"

// What the files of `assay data` share.
namespace assay::cli::data_command {

using Arguments = std::vector<std::string>;

int run_baseline(const Arguments& args);
int run_fetch(const Arguments& args);
int run_info(const Arguments& args);
int run_overlap(const Arguments& args);
int run_verify(const Arguments& args);

// stdout
void print(const std::string& text);
void print_json(const core::Value& v);
void print_lines(const core::Value& object, const std::string& indent);  // members on lines of their own, those of lists indented

// ConfigError "[data] --flag: wanted ..., found ..."
void check_range(const char* flag, int64_t value, int64_t least, int64_t most);
void check_given(const CommandLine& line, const char* flag, const char* what);

}  // namespace assay::cli::data_command
