#pragma once
#include "assay/core/value.h"

namespace assay::cli {

// What the modes of `assay bench` show to people; each takes what it prints with --json.
void print_updates(const core::Value& v);
void print_profile(const core::Value& v);
void print_generation(const core::Value& v);
void print_comparison(const core::Value& v);
void print_banded(const core::Value& v);
void print_ops(const core::Value& v);
void print_suite(const core::Value& v);

}  // namespace assay::cli
