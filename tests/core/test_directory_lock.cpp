#include <doctest/doctest.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "refusal.h"
#include "scratch.h"

using namespace assay::core;
using assay::test::contains;
using assay::test::refusal;
using assay::test::Scratch;

TEST_CASE("a second lock on a directory is refused, names the holder and passes when the first is gone") {
  const Scratch dir;
  {
    const DirectoryLock first(dir.path());
    const std::string message = refusal<ConfigError>([&] { DirectoryLock second(dir.path()); });
    CHECK(contains(message, dir.path()));
    CHECK(contains(message, "process " + std::to_string(::getpid()) + ", since 20"));
  }
  CHECK(refusal<Error>([&] { DirectoryLock again(dir.path()); }).empty());
}

TEST_CASE("the lock of a killed process is free") {
  const Scratch dir;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const DirectoryLock lock(dir.path());
    if (::write(ready[1], "x", 1) == 1) {
      for (;;) ::pause();
    }
    ::_exit(1);
  }
  char byte = 0;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  CHECK(contains(refusal<ConfigError>([&] { DirectoryLock second(dir.path()); }), std::to_string(child)));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(refusal<Error>([&] { DirectoryLock second(dir.path()); }).empty());
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_CASE("a lock needs a directory") {
  const Scratch dir;
  CHECK_THROWS_AS(DirectoryLock(dir / "absent"), ConfigError);
  CHECK(list_directory(dir.path()).empty());
}
