#pragma once
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/value.h"
#include "core/redirected.h"
#include "data/files.h"

// Runs `assay data ...` inside of a test, with what it prints.
namespace assay::test {

using Arguments = std::vector<std::string>;

struct Result {
  int code = 0;
  std::string out, error;
};

// Runs `assay data ...` as the program does: errors become exit codes.
inline Result run(const Arguments& args) {
  const Scratch scratch;
  Result r;
  std::fflush(stdout);
  {
    const Redirected out(STDOUT_FILENO, scratch / "out"), error(STDERR_FILENO, scratch / "error");
    try {
      r.code = cli::run_data(args);
    } catch (const core::Error& e) {
      r.code = static_cast<int>(e.code());
      r.error = e.what();
    }
    std::fflush(stdout);
    std::fflush(stderr);
  }
  r.out = read(scratch / "out");
  r.error += read(scratch / "error");
  return r;
}

inline core::Value json(Arguments args) {
  args.push_back("--json");
  const Result r = run(args);
  REQUIRE_MESSAGE(r.code == 0, r.error);
  return core::parse_json(r.out, "stdout");
}

inline std::vector<std::string> keys(const core::Value& v) {
  std::vector<std::string> out;
  for (const auto& member : v.as_object()) out.push_back(member.first);
  return out;
}

inline void check_refused(const Arguments& args, const std::vector<std::string>& parts) {
  const Result r = run(args);
  CHECK_MESSAGE(r.code == 2, r.error);
  for (const std::string& part : parts) CHECK_MESSAGE(contains(r.error, part), r.error);
}

}  // namespace assay::test
