#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "core/refusal.h"
#include "core/scratch.h"
#include "report/fixture.h"

using namespace assay;
using namespace assay::test;

namespace {

// What the command prints on stdout.
std::string printed(const std::vector<std::string>& args) {
  const Scratch scratch;
  std::fflush(stdout);
  const int saved = ::dup(STDOUT_FILENO), file = ::open((scratch / "out").c_str(), O_CREAT | O_WRONLY, 0600);
  ::dup2(file, STDOUT_FILENO);
  const int code = cli::run_report(args);
  std::fflush(stdout);
  ::dup2(saved, STDOUT_FILENO);
  ::close(file);
  ::close(saved);
  CHECK(code == 0);
  return core::read_file(scratch / "out");
}

// Sets a variable of the environment for as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

}  // namespace

TEST_CASE("the command writes each format where it belongs or where --out says, and prints the path") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 24});
  CHECK(printed({dir.path()}) == dir / "report.html\n");
  CHECK(printed({dir.path() + "/", "--format", "markdown"}) == dir / "report.md\n");
  CHECK(printed({dir.path(), "--format", "latex", "--out", dir / "tables.tex"}) == dir / "tables.tex\n");
  for (const char* file : {"report.html", "report.md", "tables.tex"}) CHECK(core::file_exists(dir / file));
}

TEST_CASE("--json prints one document with the verdicts and tables of the report") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 24});
  const core::Value v = core::parse_json(printed({dir.path(), "--json"}), "stdout");
  CHECK(v.at("format").as_string() == "html");
  CHECK(v.at("files").as_array().at(0).as_string() == dir / "report.html");
  CHECK(v.at("verdicts").size() == 7);
  CHECK(v.at("verdicts").as_array().at(1).at("verdict").as_string() == "better");
  CHECK(v.at("tables").size() > 10);
}

TEST_CASE("without a Python for pictures the specs are there, and the error says what is missing") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 24});
  const Variable none("ASSAY_CHARTS_PYTHON", dir / "no-python");
  const std::string message =
      refusal<core::ResourceError>([&] { cli::run_report({dir.path(), "--format", "svg", "--out", dir / "pictures"}); });
  CHECK(contains(message, "no-python cannot be started; wanted a Python with vl-convert-python: run scripts/setup"));
  const core::Value spec = core::parse_json(core::read_file(dir / "pictures/effects.vl.json"), "effects");
  CHECK(spec.at("width").as_int() == 720);
  CHECK(spec.at("data").at("values").size() == 7);
}

TEST_CASE("pictures show the arms by name") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 24});
  CHECK(contains(printed({dir.path(), "--format", "svg"}), dir / "figures/effects.svg\n"));
  for (const char* name : {"effects", "validation", "training", "agreement"}) {
    INFO(std::string(name));
    const std::string svg = core::read_file(dir / ("figures/" + std::string(name) + ".svg"));
    CHECK(svg.starts_with("<svg"));
    CHECK(contains(svg, "lowrank_vv"));
  }
  CHECK(contains(core::read_file(dir / "figures/effects.svg"), ">refused<"));
  CHECK(contains(core::read_file(dir / "figures/validation.svg"), "entropy 1.2143"));
}
