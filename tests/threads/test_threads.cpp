#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "core/refusal.h"
#include "core/scratch.h"

namespace assay::core {
namespace {

constexpr int kThreads = 4;
constexpr int kTurns = 25;

template <class F>
void in_threads(F&& body) {
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) threads.emplace_back([&body, t] { body(t); });
  for (std::thread& thread : threads) thread.join();
}

struct FileLog {
  explicit FileLog(const std::string& file) {
    set_log_level(Level::info);
    log_to_file(file);
  }
  ~FileLog() { log_to_file(""); }
};

TEST_CASE("messages from several threads and a progress line between them all arrive whole") {
  const test::Scratch scratch;
  const std::string file = scratch / "log.txt";
  {
    const FileLog log(file);
    Progress progress("threads", kTurns, 1e9);
    in_threads([&](int t) {
      for (int i = 0; i < kTurns; ++i) {
        info("message " + std::to_string(t) + "/" + std::to_string(i) + " end");
        if (t == 0) progress.update(i, "note");
      }
    });
  }
  const std::string text = read_file(file);
  for (int t = 0; t < kThreads; ++t) {
    for (int i = 0; i < kTurns; ++i) CHECK(test::contains(text, "message " + std::to_string(t) + "/" + std::to_string(i) + " end\n"));
  }
}

TEST_CASE("threads that replace one file leave one of their contents, whole, and nothing else") {
  const test::Scratch scratch;
  const std::string path = scratch / "file";
  in_threads([&](int t) {
    for (int i = 0; i < kTurns; ++i) write_file(real_files(), path, std::string(1000 + t, static_cast<char>('a' + t)));
  });
  const std::string text = read_file(path);
  REQUIRE(text.size() >= 1000);
  CHECK(text == std::string(text.size(), static_cast<char>('a' + (text.size() - 1000))));
  CHECK(list_directory(scratch.path()) == std::vector<std::string>{"file"});
}

TEST_CASE("a stream of random numbers can be read from several threads") {
  const Stream stream(7, "threads");
  std::vector<std::vector<uint32_t>> seen(kThreads);
  in_threads([&](int t) {
    for (int i = 0; i < kTurns; ++i) seen[t].push_back(stream.bits(i));
  });
  CHECK(std::all_of(seen.begin(), seen.end(), [&](const auto& s) { return s == seen[0]; }));
}

}  // namespace
}  // namespace assay::core
