#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "assay/core/log.h"
#include "core/refusal.h"
#include "core/scratch.h"

using namespace assay;
using test::contains;
using test::Scratch;

namespace {

std::string content(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// `text` with every digit as 0: what a time looks like, whatever it is.
std::string shape(std::string text) {
  for (char& c : text)
    if (c >= '0' && c <= '9') c = '0';
  return text;
}

// What `f` writes to stderr, which is no terminal meanwhile.
std::string stderr_of(const std::function<void()>& f) {
  const Scratch scratch;
  const std::string file = scratch / "stderr";
  std::fflush(stderr);
  const int before = dup(STDERR_FILENO);
  REQUIRE(before >= 0);
  std::FILE* to = std::fopen(file.c_str(), "w");
  REQUIRE(to != nullptr);
  dup2(fileno(to), STDERR_FILENO);
  f();
  std::fflush(stderr);
  dup2(before, STDERR_FILENO);
  close(before);
  std::fclose(to);
  return content(file);
}

}  // namespace

TEST_CASE("messages are plain lines in a pipe and say what is a warning") {
  CHECK(stderr_of([] {
          core::info("reading books");
          core::warn("no braces {} are filled");
          core::log(core::Level::error, "100% lost");
        }) == "reading books\nwarning: no braces {} are filled\nerror: 100% lost\n");
}

TEST_CASE("messages below the level are left out") {
  CHECK(stderr_of([] { core::log(core::Level::debug, "detail"); }) == "");
  core::set_log_level(core::Level::debug);
  CHECK(stderr_of([] { core::log(core::Level::debug, "detail"); }) == "debug: detail\n");
  core::set_log_level(core::Level::warn);
  CHECK(stderr_of([] { core::info("news"); }) == "");
  core::set_log_level(core::Level::info);
}

TEST_CASE("a message cannot drive the terminal") {
  const std::string text = stderr_of([] { core::info("\x1b[2Jcleared\r"); });
  CHECK(contains(text, "\\x1B[2Jcleared\\x0D"));
}

TEST_CASE("a log file is appended to, with the time, until it is closed") {
  const Scratch scratch;
  const std::string file = scratch / "log.txt";
  stderr_of([&] {
    for (const char* word : {"one", "two"}) {
      core::log_to_file(file);
      core::info(word);
      core::log_to_file("");
      core::info("not in the file");
    }
  });
  CHECK(shape(content(file)) == "0000-00-00T00:00:00Z one\n0000-00-00T00:00:00Z two\n");
}

TEST_CASE("a log file that cannot be opened is an error") {
  const Scratch scratch;
  const std::string directory = scratch.path();
  CHECK(contains(test::refusal<core::ResourceError>([&] { core::log_to_file(directory); }), directory));
}

TEST_CASE("progress in a pipe is a line now and then, and the last state at the end") {
  const std::string text = stderr_of([] {
    core::Progress progress("train", 500, 0);
    progress.update(120, "loss 3.21");
    progress.update(500, "loss 3.00");
  });
  CHECK(text == "train 120/500 24% loss 3.21\ntrain 500/500 100% loss 3.00\n");
  const std::string rare = stderr_of([] {
    core::Progress progress("train", 4, 1e9);
    for (int64_t i = 1; i <= 4; ++i) progress.update(i, "");
  });
  CHECK(rare == "train 1/4 25%\ntrain 4/4 100%\n");
}

TEST_CASE("progress tells the time left from the work since the first update") {
  const std::string text = stderr_of([] {
    core::Progress progress("train", 1000, 0);
    progress.update(900, "");
    progress.update(901, "");
  });
  CHECK_MESSAGE(contains(text, "train 900/1000 90%\ntrain 901/1000 90% eta "), text);
}

TEST_CASE("progress without a total counts, and its note is made printable") {
  CHECK(stderr_of([] { core::Progress("read", 0, 0).update(7, "\x1b[31m"); }) == "read 7 \\x1B[31m\n");
}

TEST_CASE("quiet progress and progress without an update say nothing") {
  CHECK(stderr_of([] { core::Progress progress("train", 5, 0); }) == "");
  core::set_quiet(true);
  CHECK(stderr_of([] { core::Progress("train", 5, 0).update(1, ""); }) == "");
  core::set_quiet(false);
}

TEST_CASE("durations read like a clock") {
  CHECK(core::duration_text(0) == "0:00");
  CHECK(core::duration_text(31.4) == "0:31");
  CHECK(core::duration_text(59.6) == "1:00");
  CHECK(core::duration_text(725) == "12:05");
  CHECK(core::duration_text(11220) == "3:07:00");
  CHECK(core::duration_text(-3) == "0:00");
  CHECK(core::duration_text(1e300) == "?");
}

TEST_CASE("times are ISO 8601 in UTC, and the monotonic clock does not go back") {
  CHECK(shape(core::utc_now()) == "0000-00-00T00:00:00Z");
  const double before = core::monotonic_seconds();
  CHECK(core::monotonic_seconds() >= before);
}
