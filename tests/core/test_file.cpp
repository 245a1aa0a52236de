#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
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

bool accept_all(std::string_view) { return true; }

void put(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

int open_descriptors() { return static_cast<int>(list_directory("/proc/self/fd").size()); }

}  // namespace

TEST_CASE("write_file makes a file and replaces it as a whole") {
  const Scratch dir;
  write_file(real_files(), dir / "x", "first");
  CHECK(read_file(dir / "x") == "first");
  write_file(real_files(), dir / "x", "");
  CHECK(read_file(dir / "x").empty());
  const std::string_view pieces[] = {"a", "", "bc"};
  write_file(real_files(), dir / "x", pieces);
  CHECK(read_file(dir / "x") == "abc");
  CHECK(list_directory(dir.path()) == Names{"x"});
}

TEST_CASE("write_file takes a bare name in the working directory") {
  const Scratch dir;
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(dir.path());
  write_file(real_files(), "x", "here");
  std::filesystem::current_path(before);
  CHECK(read_file(dir / "x") == "here");
}

TEST_CASE("whichever call of write_file fails, the file is old or new as a whole and no temporary file remains") {
  const auto write = [](FileSystem& fs, const Scratch& dir) {
    const std::string_view pieces[] = {"new ", "content"};
    write_file(fs, dir / "x", pieces);
  };
  const auto check = [](const Scratch& dir, const std::string& message) {
    const bool replaced = message.empty() || contains(message, "written, but it may not survive a power failure");
    CHECK(read_file(dir / "x") == (replaced ? "new content" : "old"));
    CHECK(list_directory(dir.path()) == Names{"x"});
  };
  // create, write, write, sync, close, rename, sync the directory; twice for two errors
  CHECK(fail_each_call(false, [](const Scratch& dir) { put(dir / "x", "old"); }, write, check) == 14);
}

TEST_CASE("a failed write_file leaves nothing where there was nothing") {
  const auto write = [](FileSystem& fs, const Scratch& dir) { write_file(fs, dir / "x", "new"); };
  const auto check = [](const Scratch& dir, const std::string& message) {
    const bool written = message.empty() || contains(message, "written, but");
    CHECK(list_directory(dir.path()) == (written ? Names{"x"} : Names{}));
  };
  CHECK(fail_each_call(false, [](const Scratch&) {}, write, check) == 12);
}

TEST_CASE("a disk that stays broken keeps the old content too") {
  const auto write = [](FileSystem& fs, const Scratch& dir) { write_file(fs, dir / "x", "new content"); };
  const auto check = [](const Scratch& dir, const std::string& message) {
    const bool replaced = message.empty() || contains(message, "written, but");
    CHECK(read_file(dir / "x") == (replaced ? "new content" : "old"));
  };
  fail_each_call(true, [](const Scratch& dir) { put(dir / "x", "old"); }, write, check);
}

TEST_CASE("a failed sync is not tried again on the same file") {
  const Scratch dir;
  FailingFiles files(3, EIO);  // create, write, sync
  CHECK_THROWS_AS(write_file(files, dir / "x", "new"), ResourceError);
  CHECK(files.calls() == 5);  // then close and remove, nothing else
  CHECK(list_directory(dir.path()).empty());
}

TEST_CASE("a failing write may leave half of its bytes, or none") {
  const Scratch dir;
  for (const bool half : {true, false}) {
    FailingFiles files(2, ENOSPC, false, half);
    const std::string path = dir / (half ? "half" : "none");
    const int fd = files.create(path);
    CHECK_THROWS_AS(files.write(fd, "abcd", 4, path), ResourceError);
    files.close(fd, path);
    CHECK(read_file(path) == (half ? "ab" : ""));
  }
}

TEST_CASE("failures leak no descriptors") {
  const int before = open_descriptors();
  for (int64_t n = 1; n < 12; ++n) {
    const Scratch dir;
    FailingFiles files(n, EIO);
    refusal<ResourceError>([&] { write_file(files, dir / "x", "new"); });
    FailingFiles log_files(n, EIO);
    refusal<ResourceError>([&] { LineLog(log_files, dir / "log", accept_all).append("a"); });
  }
  CHECK(open_descriptors() == before);
}

TEST_CASE("the real file system names path and reason") {
  const Scratch dir;
  const std::string message = refusal<ResourceError>([&] { write_file(real_files(), dir / "no/such/x", "a"); });
  CHECK(contains(message, dir / "no/such/x"));
  CHECK(contains(message, "ENOENT"));
  CHECK(contains(refusal<ResourceError>([&] { real_files().make_directory(dir.path()); }), "EEXIST"));
  put(dir / "x", "");
  CHECK(contains(refusal<ResourceError>([&] { real_files().create(dir / "x"); }), "EEXIST"));
  CHECK(contains(refusal<ResourceError>([&] { real_files().sync_directory(dir / "x"); }), "ENOTDIR"));
  CHECK(contains(refusal<ResourceError>([&] { write_file(real_files(), dir.path(), "a"); }), "EISDIR"));
}

TEST_CASE("a full device is a resource error with its reason") {
  const int fd = real_files().open_append("/dev/full");
  const std::string message = refusal<ResourceError>([&] { real_files().write(fd, "abc", 3, "/dev/full"); });
  real_files().close(fd, "/dev/full");
  CHECK(contains(message, "/dev/full: cannot write"));
  CHECK(contains(message, "ENOSPC"));
}

TEST_CASE("commit_directory puts a filled directory in place, nested files included") {
  const Scratch dir;
  commit_directory(real_files(), dir / "step-1/", [](const std::string& staging) {
    std::filesystem::create_directory(staging + "/deep");
    put(staging + "/deep/a", "1");
    write_file(real_files(), staging + "/b", "2");
  });
  CHECK(list_directory(dir.path()) == Names{"step-1"});
  CHECK(read_file(dir / "step-1/deep/a") == "1");
  CHECK(read_file(dir / "step-1/b") == "2");
}

TEST_CASE("whichever call of commit_directory fails, all is old or all is new and nothing else remains") {
  const auto prepare = [](const Scratch& dir) {
    std::filesystem::create_directory(dir / "step");
    put(dir / "step/old", "old");
  };
  const auto commit = [](FileSystem& fs, const Scratch& dir) {
    commit_directory(fs, dir / "step", [&fs](const std::string& staging) {
      write_file(fs, staging + "/a", "1");
      fs.make_directory(staging + "/deep");
      write_file(fs, staging + "/deep/b", "2");
    });
  };
  const auto check = [](const Scratch& dir, const std::string& message) {
    CHECK(list_directory(dir.path()) == Names{"step"});
    CHECK(list_directory(dir / "step") == (message.empty() ? Names{"a", "deep"} : Names{"old"}));
  };
  CHECK(fail_each_call(false, prepare, commit, check) > 40);
}

TEST_CASE("a failed first commit leaves nothing behind") {
  const auto commit = [](FileSystem& fs, const Scratch& dir) {
    commit_directory(fs, dir / "step", [&fs](const std::string& staging) { write_file(fs, staging + "/a", "1"); });
  };
  const auto check = [](const Scratch& dir, const std::string& message) {
    CHECK(list_directory(dir.path()) == (message.empty() ? Names{"step"} : Names{}));
  };
  CHECK(fail_each_call(false, [](const Scratch&) {}, commit, check) > 20);
}

TEST_CASE("a disk that breaks for good during a commit keeps a whole copy of the old directory") {
  const auto prepare = [](const Scratch& dir) {
    std::filesystem::create_directory(dir / "step");
    put(dir / "step/old", "old");
  };
  const auto commit = [](FileSystem& fs, const Scratch& dir) {
    commit_directory(fs, dir / "step", [&fs](const std::string& staging) { write_file(fs, staging + "/a", "1"); });
  };
  const auto check = [](const Scratch& dir, const std::string& message) {
    bool old_kept = false;
    for (const std::string& name : list_directory(dir.path())) {
      old_kept = old_kept || file_exists(dir / (name + "/old"));
    }
    const bool committed = file_exists(dir / "step/a");
    CHECK((old_kept || (committed && message.empty())));
  };
  fail_each_call(true, prepare, commit, check);
}

TEST_CASE("an error of the filler itself passes through and leaves nothing behind") {
  const Scratch dir;
  CHECK_THROWS_AS(commit_directory(real_files(), dir / "step", [](const std::string&) { throw DataError("test", "no"); }), DataError);
  CHECK(list_directory(dir.path()).empty());
}

TEST_CASE("what a dead process of the same number left does not stand in the way") {
  const Scratch dir;
  const std::string pid = std::to_string(::getpid());
  std::filesystem::create_directories(dir / ("step.tmp-" + pid) + "/junk");
  std::filesystem::create_directories(dir / ("step.old-" + pid) + "/junk");
  std::filesystem::create_directory(dir / "step");
  commit_directory(real_files(), dir / "step", [](const std::string& staging) { put(staging + "/a", "1"); });
  CHECK(list_directory(dir.path()) == Names{"step"});
  CHECK(list_directory(dir / "step") == Names{"a"});
}

TEST_CASE("read_file says what is wrong") {
  const Scratch dir;
  CHECK(contains(refusal<DataError>([&] { read_file(dir / "absent"); }), "No such file"));
  CHECK(contains(refusal<DataError>([&] { read_file(dir.path()); }), "is a directory"));
  put(dir / "x", "12345");
  CHECK(read_file(dir / "x", 5) == "12345");
  const std::string message = refusal<DataError>([&] { read_file(dir / "x", 4); });
  CHECK(contains(message, "holds 5 bytes"));
  CHECK(contains(message, "at most 4"));
}

TEST_CASE("a named pipe is refused without waiting for a writer") {
  const Scratch dir;
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK(contains(refusal<DataError>([&] { read_file(dir / "pipe"); }), "not a regular file"));
}

TEST_CASE("a loop of links is a data error") {
  const Scratch dir;
  std::filesystem::create_symlink(dir / "b", dir / "a");
  std::filesystem::create_symlink(dir / "a", dir / "b");
  CHECK_THROWS_AS(read_file(dir / "a"), DataError);
  CHECK_FALSE(file_exists(dir / "a"));
}

TEST_CASE("files and directories are told apart and listed in order") {
  const Scratch dir;
  put(dir / "b", "12");
  put(dir / "a", "");
  std::filesystem::create_directory(dir / "c");
  CHECK(file_exists(dir / "b"));
  CHECK_FALSE(file_exists(dir / "c"));
  CHECK(directory_exists(dir / "c"));
  CHECK_FALSE(directory_exists(dir / "b"));
  CHECK(file_size(dir / "b") == 2);
  CHECK_THROWS_AS(file_size(dir / "absent"), DataError);
  CHECK(list_directory(dir.path()) == Names{"a", "b", "c"});
  CHECK_THROWS_AS(list_directory(dir / "absent"), DataError);
}

TEST_CASE("make_directories makes what is missing") {
  const Scratch dir;
  make_directories(real_files(), dir / "a/b/c/");
  make_directories(real_files(), dir / "a/b/c");
  CHECK(directory_exists(dir / "a/b/c"));
  put(dir / "x", "");
  CHECK_THROWS_AS(make_directories(real_files(), dir / "x/y"), ResourceError);
}
