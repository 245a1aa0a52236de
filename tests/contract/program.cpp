#include "contract/program.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

#include "assay/core/file.h"

namespace assay::contract {
namespace {

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

Program::Program() : work_(folder_ / "work") { std::filesystem::create_directory(work_); }

Outcome Program::run(const std::vector<std::string>& arguments, const std::string& standard_output) const {
  const char* program = std::getenv("ASSAY_PROGRAM");
  REQUIRE_MESSAGE(program != nullptr, "ASSAY_PROGRAM names the program under test");
  std::string command = "cd " + quoted(work_) + " && " + quoted(program);
  for (const std::string& a : arguments) command += " " + quoted(a);
  const bool kept = standard_output.empty();
  command += " </dev/null >" + quoted(kept ? folder_ / "out" : standard_output) + " 2>" + quoted(folder_ / "err");
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, kept ? core::read_file(folder_ / "out") : "", core::read_file(folder_ / "err")};
}

std::vector<std::string> Program::files() const { return core::list_directory(work_); }

}  // namespace assay::contract
