#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/reference_environment.h"
#include "assay/lab/devices.h"
#include "assay/lab/executor.h"
#include "stand_in.h"

using namespace assay::lab;
using assay::lab_tests::StandIn;

namespace {

std::vector<Ending> wait_all(LocalExecutor& executor) {
  std::vector<Ending> all;
  while (executor.running() > 0)
    for (Ending& e : executor.wait(5)) all.push_back(e);
  std::sort(all.begin(), all.end(), [](const Ending& a, const Ending& b) { return a.name < b.name; });
  return all;
}

Words shell(const std::string& text) { return {"/bin/sh", "-c", text}; }

// True once a process is gone, waiting for that as long as it takes (the test's own limit ends a wait for ever).
bool gone(pid_t pid) {
  while (::kill(pid, 0) == 0) ::usleep(10000);
  return true;
}

}  // namespace

TEST_CASE("children end with their exit code or signal, and what they print is in their log") {
  const StandIn dir;
  LocalExecutor executor;
  executor.start("a", shell("echo out; echo err >&2; exit 3"), dir.at("a.log"));
  executor.start("b", shell("kill -SEGV $$"), dir.at("b.log"));
  executor.start("c", shell("exit 0"), dir.at("c.log"));
  CHECK(executor.running_names() == std::vector<std::string>{"a", "b", "c"});
  const auto ended = wait_all(executor);
  REQUIRE(ended.size() == 3);
  CHECK(ended[0].exit_code == 3);
  CHECK(ended[1].signal == SIGSEGV);
  CHECK(ended[2].exit_code == 0);
  CHECK(dir.read("a.log") == "out\nerr\n");
  CHECK(signal_text(SIGSEGV).rfind("SIGSEGV", 0) == 0);
}

TEST_CASE("a program that cannot run ends with 127 and says why") {
  const StandIn dir;
  LocalExecutor executor;
  executor.start("a", {dir.at("absent"), "train"}, dir.at("a.log"));
  CHECK(wait_all(executor).at(0).exit_code == 127);
  CHECK(dir.read("a.log").find("cannot run") != std::string::npos);
  const Captured c = capture({dir.at("absent")});
  CHECK(c.ending.exit_code == 127);
  CHECK(c.err.find("No such file") != std::string::npos);
}

TEST_CASE("a log that cannot be opened is an error and starts nothing") {
  const StandIn dir;
  LocalExecutor executor;
  CHECK_THROWS_AS(executor.start("a", shell("exit 0"), dir.at("absent/a.log")), assay::core::ResourceError);
  CHECK(executor.running() == 0);
}

TEST_CASE("the first signal asks all children to stop, the second kills them") {
  const StandIn dir;
  LocalExecutor executor;
  executor.start("polite", shell("trap 'exit 6' TERM; touch " + dir.at("p") + "; while :; do sleep 0.02; done"), dir.at("a.log"));
  executor.start("deaf", shell("trap '' TERM; touch " + dir.at("d") + "; while :; do sleep 0.02; done"), dir.at("b.log"));
  while (!dir.exists("p") || !dir.exists("d")) executor.wait(0.01);
  ::kill(::getpid(), SIGTERM);
  std::vector<Ending> ended;
  while (executor.running() > 1)
    for (Ending& e : executor.wait(5)) ended.push_back(e);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].name == "polite");
  CHECK(ended[0].exit_code == 6);
  CHECK(executor.stop_requests() == 1);
  ::kill(::getpid(), SIGINT);
  const auto rest = wait_all(executor);
  REQUIRE(rest.size() == 1);
  CHECK(rest[0].signal == SIGKILL);
  CHECK(executor.stop_requests() == 2);
}

TEST_CASE("an executor that goes away takes its children with it") {
  const StandIn dir;
  pid_t pid = 0;
  {
    LocalExecutor executor;
    executor.start("a", shell("echo $$ > " + dir.at("pid") + "; touch " + dir.at("ready") + "; exec sleep 1000"), dir.at("a.log"));
    while (!dir.exists("ready")) executor.wait(0.01);
    pid = std::stoi(dir.read("pid"));
  }
  CHECK(gone(pid));
}

TEST_CASE("children are asked to stop when the program that started them is killed") {
  const StandIn dir;
  const pid_t parent = ::fork();
  REQUIRE(parent >= 0);
  if (parent == 0) {
    LocalExecutor executor;
    executor.start("a",
                   shell("trap 'echo saved > " + dir.at("saved") + "; exit 6' TERM; echo $$ > " + dir.at("pid") + "; touch " +
                         dir.at("ready") + "; while :; do sleep 0.02; done"),
                   dir.at("a.log"));
    for (;;) executor.wait(5);
  }
  while (!dir.exists("ready")) ::usleep(10000);
  const pid_t child = std::stoi(dir.read("pid"));
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  while (!dir.exists("saved")) ::usleep(10000);
  CHECK(gone(child));
}

TEST_CASE("captured output is whole, also where both streams are long") {
  const Captured c =
      capture(shell("i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789; echo x >&2; i=$((i+1)); done; exit 9"));
  CHECK(c.ending.exit_code == 9);
  CHECK(c.out.size() == 3000 * 41);
  CHECK(c.err.size() == 6000);
}

TEST_CASE("several programs are captured in their order, as many at once as is allowed, each on the next device") {
  const StandIn dir;
  // Each says how many run beside it, waiting until both of a pair are there.
  const std::string both =
      "touch " + dir.at("$0") + "; while [ ! -e " + dir.at("$1") + " ]; do sleep 0.01; done; echo $0 $CUDA_VISIBLE_DEVICES";
  const auto one = [&](const std::string& own, const std::string& other) { return Words{"/bin/sh", "-c", both, own, other}; };
  const auto all =
      capture_all({one("a", "b"), one("b", "a"), shell("echo $CUDA_VISIBLE_DEVICES >&2; exit 4"), {dir.at("absent")}}, 2, {"5", "7"});
  REQUIRE(all.size() == 4);
  CHECK(all[0].out == "a 5\n");
  CHECK(all[1].out == "b 7\n");
  CHECK(all[2].ending.exit_code == 4);
  CHECK((all[2].err == "5\n" || all[2].err == "7\n"));
  CHECK(all[3].ending.exit_code == 127);
  CHECK(capture_all({}, 3).empty());
}

TEST_CASE("children are dealt to devices in turn, and each sees its own alone") {
  const StandIn dir;
  ::setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3", 1);
  LocalExecutor executor(0, {"1", "GPU-a"});
  for (const char* name : {"a", "b", "c"}) executor.start(name, shell("echo $CUDA_VISIBLE_DEVICES"), dir.at(name));
  LocalExecutor plain;
  plain.start("d", shell("echo $CUDA_VISIBLE_DEVICES"), dir.at("d"));
  wait_all(executor);
  wait_all(plain);
  ::unsetenv("CUDA_VISIBLE_DEVICES");
  CHECK(dir.read("a") == "1\n");
  CHECK(dir.read("b") == "GPU-a\n");
  CHECK(dir.read("c") == "1\n");
  CHECK(dir.read("d") == "0,1,2,3\n");
}

TEST_CASE("the visible devices are those that the variable names, up to the first word that names none") {
  const auto devices = [](const char* value) {
    ::setenv("CUDA_VISIBLE_DEVICES", value, 1);
    const auto all = visible_cuda_devices();
    ::unsetenv("CUDA_VISIBLE_DEVICES");
    return all;
  };
  CHECK(devices("2, 5") == std::vector<std::string>{"2", "5"});
  CHECK(devices("GPU-1,GPU-2") == std::vector<std::string>{"GPU-1", "GPU-2"});
  CHECK(devices("1,-1,0") == std::vector<std::string>{"1"});
  CHECK(devices("").empty());
}

TEST_CASE("the environment of children lacks the names that configure reference implementations") {
  ::setenv("MODEL_VERSION", "v1", 1);
  ::setenv("interaction_rank", "4", 1);
  ::setenv("ASSAY_TEST_KEPT", "yes", 1);
  std::vector<std::string> ignored;
  const auto kept = child_environment(&ignored);
  const Captured c = capture(shell("env"));
  for (const char* name : {"MODEL_VERSION", "interaction_rank", "ASSAY_TEST_KEPT"}) ::unsetenv(name);
  CHECK(std::find(ignored.begin(), ignored.end(), "MODEL_VERSION") != ignored.end());
  CHECK(std::find(ignored.begin(), ignored.end(), "interaction_rank") != ignored.end());
  CHECK(std::find(kept.begin(), kept.end(), "ASSAY_TEST_KEPT=yes") != kept.end());
  CHECK(c.out.find("ASSAY_TEST_KEPT=yes") != std::string::npos);
  CHECK(c.out.find("MODEL_VERSION") == std::string::npos);
  CHECK(c.out.find("interaction_rank") == std::string::npos);
  CHECK(assay::core::is_known_environment_name("lr"));
  CHECK_FALSE(assay::core::is_known_environment_name("PATH"));
}

TEST_CASE("every environment name that an option declares is kept from children") {
  int names = 0;
  for (const auto& file : std::filesystem::recursive_directory_iterator(ASSAY_SOURCE_DIR "/src/assay")) {
    if (file.path().extension() != ".cpp") continue;
    std::ostringstream text;
    text << std::ifstream(file.path()).rdbuf();
    const std::string source = text.str(), mark = ".env(\"";
    for (size_t at = source.find(mark); at != std::string::npos; at = source.find(mark, at + 1)) {
      const size_t start = at + mark.size();
      const std::string name = source.substr(start, source.find('"', start) - start);
      INFO(file.path().string(), ": ", name);
      CHECK(assay::core::is_known_environment_name(name));
      ++names;
    }
  }
  CHECK(names > 0);
}

TEST_CASE("signals are as they were after a gate is gone") {
  sigset_t before, after;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
  { SignalGate gate; }
  ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int s : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) CHECK(::sigismember(&before, s) == ::sigismember(&after, s));
}
