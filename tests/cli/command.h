#pragma once
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/value.h"
#include "core/redirected.h"
#include "core/refusal.h"
#include "core/scratch.h"

// Runs a command inside of a test, with what it prints.
namespace assay::test {

struct Ran {
  int code = 0;
  std::string out, error;
};

// Errors become exit codes, as in the program.
inline Ran ran(int (*command)(const std::vector<std::string>&), const std::vector<std::string>& args) {
  const Scratch scratch;
  const auto text = [&](const char* name) {
    std::ifstream in(scratch / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  Ran r;
  std::fflush(stdout);
  {
    const Redirected out(STDOUT_FILENO, scratch / "out"), error(STDERR_FILENO, scratch / "error");
    try {
      r.code = command(args);
    } catch (const core::Error& e) {
      r.code = static_cast<int>(e.code());
      r.error = std::string(e.what()) + "\n";
    }
    std::fflush(stdout);
    std::fflush(stderr);
  }
  r.out = text("out");
  r.error += text("error");
  return r;
}

inline core::Value json_of(int (*command)(const std::vector<std::string>&), std::vector<std::string> args) {
  args.emplace_back("--json");
  const Ran r = ran(command, args);
  REQUIRE_MESSAGE(r.code == 0, r.error);
  return core::parse_json(r.out, "stdout");
}

inline std::vector<std::string> keys_of(const core::Value& v) {
  std::vector<std::string> out;
  for (const auto& member : v.as_object()) out.push_back(member.first);
  return out;
}

}  // namespace assay::test
