#pragma once
#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/value.h"
#include "data/files.h"

// Runs `assay data ...` inside of a test, with what it prints.
namespace assay::test {

using Arguments = std::vector<std::string>;

struct Result {
  int code = 0;
  std::string out, error;
};

// Sends what is written to a descriptor into a file, for as long as it lives.
class Redirected {
 public:
  Redirected(int descriptor, const std::string& path) : descriptor_(descriptor), saved_(::dup(descriptor)) {
    const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    ::dup2(file, descriptor_);
    ::close(file);
  }
  ~Redirected() {
    ::dup2(saved_, descriptor_);
    ::close(saved_);
  }
  Redirected(const Redirected&) = delete;
  Redirected& operator=(const Redirected&) = delete;

 private:
  int descriptor_, saved_;
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
