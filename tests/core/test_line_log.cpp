#include <doctest/doctest.h>

#include <fstream>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "failing.h"
#include "refusal.h"
#include "scratch.h"

using namespace assay::core;
using assay::test::contains;
using assay::test::fail_each_call;
using assay::test::refusal;
using assay::test::Scratch;

namespace {

using Names = std::vector<std::string>;

bool accept_every_line(std::string_view) { return true; }

void put_lines(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

}  // namespace

TEST_CASE("a line log appends lines and finds them again") {
  const Scratch dir;
  {
    LineLog log(real_files(), dir / "log", accept_every_line);
    log.append("one");
    log.append("");
    log.sync();
  }
  LineLog(real_files(), dir / "log", accept_every_line).append("three");
  CHECK(read_file(dir / "log") == "one\n\nthree\n");
}

TEST_CASE("a line log drops what follows the last complete line that is accepted") {
  const Scratch dir;
  const auto reopened = [&](const std::string& content) {
    put_lines(dir / "log", content);
    LineLog(real_files(), dir / "log", [](std::string_view line) { return line.starts_with("ok"); }).append("ok new");
    return read_file(dir / "log");
  };
  CHECK(reopened("") == "ok new\n");
  CHECK(reopened("ok 1\nok 2\n") == "ok 1\nok 2\nok new\n");
  CHECK(reopened("ok 1\nok 2") == "ok 1\nok new\n");
  CHECK(reopened("ok 1\nbad\nok 2\n") == "ok 1\nok new\n");
  CHECK(reopened("bad\n") == "ok new\n");
  CHECK(reopened("ok") == "ok new\n");
}

TEST_CASE("a line with a line break is refused") {
  const Scratch dir;
  LineLog log(real_files(), dir / "log", accept_every_line);
  CHECK_THROWS_AS(log.append("a\nb"), ConfigError);
  CHECK(read_file(dir / "log").empty());
}

TEST_CASE("whichever call of a line log fails, every line that was accepted is there and whole") {
  Names accepted;
  const auto prepare = [&](const Scratch& dir) {
    accepted.clear();
    put_lines(dir / "log", "old line\ntorn");
  };
  const auto run = [&](FileSystem& fs, const Scratch& dir) {
    LineLog log(fs, dir / "log", accept_every_line);
    std::string first_error;
    for (const char* line : {"first new line", "second new line", "third new line"}) {
      const std::string error = refusal<ResourceError>([&] {
        log.append(line);
        accepted.push_back(line);
      });
      first_error = first_error.empty() ? error : first_error;
    }
    log.sync();
    if (!first_error.empty()) {
      throw_file_error(dir / "log", "append", contains(first_error, "ENOSPC") ? ENOSPC : EIO);
    }
  };
  const auto check = [&](const Scratch& dir, const std::string&) {
    std::string wanted = "old line\n";
    for (const std::string& line : accepted) {
      wanted += line + "\n";
    }
    const std::string content = read_file(dir / "log");
    CHECK((content == wanted || (accepted.empty() && content == "old line\ntorn")));
  };
  CHECK(fail_each_call(false, prepare, run, check) >= 12);
}

TEST_CASE("a torn line that could not be taken back at once is taken back later or at the next start") {
  const Scratch dir;
  FailingFiles files(3, ENOSPC, true);  // open, sync the directory, write, and all after it
  {
    LineLog log(files, dir / "log", accept_every_line);
    CHECK_THROWS_AS(log.append("0123456789"), ResourceError);
    CHECK_THROWS_AS(log.append("0123456789"), ResourceError);
  }
  CHECK(read_file(dir / "log") == "01234");
  LineLog(real_files(), dir / "log", accept_every_line).append("a");
  CHECK(read_file(dir / "log") == "a\n");
}

TEST_CASE("after a failed sync a line log accepts nothing more") {
  const Scratch dir;
  FailingFiles files(4, EIO);  // open, sync the directory, write, sync
  LineLog log(files, dir / "log", accept_every_line);
  log.append("a");
  CHECK_THROWS_AS(log.sync(), ResourceError);
  CHECK(contains(refusal<ResourceError>([&] { log.sync(); }), "earlier sync failed"));
  CHECK_THROWS_AS(log.append("b"), ResourceError);
  CHECK(files.calls() == 4);
}
