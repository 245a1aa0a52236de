#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <functional>

#include "assay/cli/command_line.h"
#include "assay/core/file.h"
#include "core/redirected.h"
#include "core/refusal.h"
#include "core/scratch.h"

using namespace assay;
using test::contains;

namespace {

using Words = std::vector<std::string>;

// A command with one of everything.
struct Train {
  std::string arch = "gpt2", out, name;
  int64_t steps = 7;
  double limit = 1;
  bool resume = false;
  Words files, assignments;
  cli::CommandLine line{"train", "One run"};

  Train() {
    line.option("--arch", arch, "architecture");
    line.option("--out", out, "directory of the run");
    line.option("--steps", steps, "number of steps");
    line.option("--limit", limit, "hours");
    line.flag("--resume", resume, "go on");
    line.positional("name", name, "name of the run");
    line.rest("files", files, "files to read", false);
    line.assignments(assignments, "sets any option");
    line.epilog("optim:\n  lr  number");
  }
};

std::string fault(const Words& words) {
  Train t;
  return test::refusal<core::ConfigError>([&] { t.line.parse(words); });
}

// What `f` writes to stdout.
std::string stdout_of(const std::function<void()>& f) {
  const test::Scratch scratch;
  std::fflush(stdout);
  {
    const test::Redirected away(STDOUT_FILENO, scratch / "out");
    f();
    std::fflush(stdout);
  }
  return core::read_file(scratch / "out");
}

}  // namespace

TEST_CASE("options, flags and words may come in any order") {
  Train t;
  CHECK(t.line.parse({"--steps", "12", "demo", "--arch=v8", "a.txt", "--limit", "-1.5e2", "--resume", "b.txt", "--json", "--quiet"}));
  CHECK(t.steps == 12);
  CHECK(t.arch == "v8");
  CHECK(t.limit == -150);
  CHECK(t.resume);
  CHECK(t.name == "demo");
  CHECK(t.files == Words{"a.txt", "b.txt"});
  CHECK(t.line.json);
  CHECK(t.line.quiet);
}

TEST_CASE("what is not given keeps its value, and the command can tell") {
  Train t;
  CHECK(t.line.parse({"demo", "--steps", "7"}));
  CHECK(t.arch == "gpt2");
  CHECK_FALSE(t.resume);
  CHECK_FALSE(t.line.json);
  CHECK(t.line.given("--steps"));
  CHECK_FALSE(t.line.given("--arch"));
}

TEST_CASE("assignments are taken from anywhere, values of options that look like one are not") {
  Train t;
  CHECK(t.line.parse({"optim.lr=0.1", "demo", "--out", "a=b", "model.bands=1,2", "note==", "--arch=x=y"}));
  CHECK(t.assignments == Words{"optim.lr=0.1", "model.bands=1,2", "note=="});
  CHECK(t.out == "a=b");
  CHECK(t.arch == "x=y");
  CHECK(t.name == "demo");
}

TEST_CASE("paths and everything behind two dashes are words, even with an equals sign") {
  Train t;
  CHECK(t.line.parse({"demo", "./a=b.txt", "=", "--", "c=d", "--resume"}));
  CHECK(t.assignments.empty());
  CHECK_FALSE(t.resume);
  CHECK(t.files == Words{"./a=b.txt", "=", "c=d", "--resume"});
}

TEST_CASE("without assignments, words with an equals sign are plain words") {
  std::string name;
  cli::CommandLine line("show", "One architecture");
  line.positional("name", name, "architecture");
  CHECK(line.parse({"a=b"}));
  CHECK(name == "a=b");
}

TEST_CASE("an unknown flag is answered with the nearest, before whatever else is amiss") {
  CHECK(contains(fault({"--stpes", "5"}), "[train] unknown flag '--stpes'; did you mean '--steps'?"));
  CHECK(contains(fault({"--stpes=5", "demo"}), "did you mean '--steps'?"));
  CHECK(contains(fault({"demo", "-x"}), "unknown flag '-x'; known: --help, --json, --quiet, --arch"));
}

TEST_CASE("a missing word, a missing value and a word too many are told") {
  CHECK(contains(fault({}), "[train] name is required"));
  CHECK(contains(fault({"demo", "--steps"}), "--steps"));
  CHECK(contains(fault({"demo", "--out", "--resume"}), "--out: a value is missing before '--resume'"));
  std::string name;
  cli::CommandLine line("show", "One architecture");
  line.positional("name", name, "architecture");
  CHECK(contains(test::refusal<core::ConfigError>([&] { line.parse({"gpt2", "v8"}); }), "'v8' is a word too many"));
}

TEST_CASE("a value that is no number is told with its flag") {
  CHECK(contains(fault({"demo", "--steps", "5.5"}), "--steps: '5.5' came; an integer was wanted"));
  CHECK(contains(fault({"demo", "--limit=soon"}), "--limit: 'soon' came; a number was wanted"));
  for (const char* value : {"", "1e3", "0x10", "99999999999999999999", "1 2"})
    CHECK_FALSE(fault({"demo", "--steps=" + std::string(value)}).empty());
  CHECK_FALSE(fault({"demo", "--limit", "nan"}).empty());
  CHECK_FALSE(fault({"demo", "--steps", "1", "--steps", "2"}).empty());
  CHECK_FALSE(fault({"demo", "--resume=maybe"}).empty());
}

TEST_CASE("a leading zero does not make a number octal") {
  Train t;
  CHECK(t.line.parse({"demo", "--steps", "010"}));
  CHECK(t.steps == 10);
}

TEST_CASE("a message about the command line holds no control character") {
  const std::string message = fault({"--\x1b[2J", "\x07"});
  REQUIRE_FALSE(message.empty());
  for (const char c : message) CHECK(static_cast<unsigned char>(c) >= 0x20);
}

TEST_CASE("help lists everything, ends with the epilog and asks for nothing") {
  bool go_on = true;
  const std::string help = stdout_of([&] { go_on = Train().line.parse({"--help"}); });
  CHECK_FALSE(go_on);
  for (const char* part : {"One run", "assay train", "--arch", "architecture", "--steps INTEGER", "--limit NUMBER", "--resume", "--json",
                           "--quiet", "name of the run", "files to read", "KEY=VALUE: sets any option", "optim:\n  lr  number"})
    CHECK_MESSAGE(contains(help, part), std::string(part));
}

TEST_CASE("an option that may be given many times keeps every value, in order") {
  cli::CommandLine line("list", "Lists");
  Words where;
  line.options("--where", where, "condition");
  CHECK(line.parse({"--where", "a=1", "--where=-b", "--where", "-c"}));
  CHECK(where == Words{"a=1", "-b", "-c"});
}
