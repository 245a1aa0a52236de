#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "assay/core/error.h"
#include "assay/results/run_query.h"
#include "results/run_files.h"

using namespace assay;
using namespace assay::results;
using namespace assay::test;
namespace fs = std::filesystem;

namespace {

// All that an index says, so that two of them can be compared.
core::Value everything(const RunIndex& index) {
  RunQuery query;
  for (const Column& c : run_columns()) query.columns.emplace_back(c.name);
  for (const char* option : {"optim.lr", "model.mask", "model.widths", "model.layers", "optim.kind"}) query.columns.emplace_back(option);
  core::Value out = core::Value::array();
  for (const auto& row : query_runs(index, query).rows) out.push_back(core::Value(core::Value::Array(row.begin(), row.end())));
  return out;
}

core::Value one(const RunIndex& index, const std::string& path, const std::string& column) {
  const RunListing l = query_runs(index, {.where = {"path=" + index.root() + "/" + path}, .columns = {column}});
  REQUIRE(l.rows.size() == 1);
  return l.rows[0][0];
}

std::string notes(const RunIndex& index) {
  std::string out;
  for (const std::string& note : index.notes()) out += note + "\n";
  return out;
}

// A root with a run, a campaign of two members and a reference line, and a run that was only begun.
struct Root : Scratch {
  Root() {
    write_run(*this / "single", summary("gpt2", 1, 2.5));
    write_campaign(*this / "demo", "the demo");
    write_run(*this / "demo/members/gpt2-s1", summary("gpt2", 1, 2.25));
    write_run(*this / "demo/members/my-arm.2-s12", summary("v8_lowrank_vv", 12, 2.0), 0.003);
    write_run(*this / "demo/references/ngram-5", summary("ngram", 1, 3.0));
    write_text(*this / "begun/config.toml", config("gpt2", 9, 0.01));
    write_text(*this / "begun/metrics.jsonl", "{\"step\": 10, \"kind\": \"train\", \"tokens\": 640}\n{\"step\": 11, \"ki");
    write_text(*this / "demo/logs/gpt2-s1.txt", "text");
    write_text(*this / "notes/readme.txt", "text");
  }
};

// The child's exit code after `f`; -1 where a signal ended it.
template <class F>
pid_t in_child(F&& f) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int code = 0;
  try {
    f();
  } catch (...) {
    code = 1;
  }
  ::_exit(code);
}

int ending(pid_t child) {
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void check_rebuilt(const Root& root, const core::Value& expected, const std::string& said) {
  const RunIndex index(root.path());
  CHECK_MESSAGE(contains(notes(index), said), notes(index));
  CHECK(index.read() == 5);
  CHECK(everything(index) == expected);
  const RunIndex again(root.path());
  CHECK_MESSAGE(again.notes().empty(), notes(again));
  CHECK(again.read() == 0);
  CHECK(everything(again) == expected);
}

}  // namespace

TEST_CASE("runs, members and reference lines are found, with their campaign and arm") {
  const Root root;
  const RunIndex index(root.path());
  CHECK(index.runs() == 5);
  CHECK(index.read() == 5);
  CHECK(index.stored());
  CHECK(index.notes().empty());
  CHECK(one(index, "single", "campaign").is_null());
  CHECK(one(index, "demo/members/gpt2-s1", "campaign").as_string() == "the demo");
  CHECK(one(index, "demo/members/gpt2-s1", "arm").as_string() == "gpt2");
  CHECK(one(index, "demo/members/my-arm.2-s12", "arm").as_string() == "my-arm.2");
  CHECK(one(index, "demo/references/ngram-5", "campaign").as_string() == "the demo");
  CHECK(one(index, "demo/references/ngram-5", "arm").is_null());
}

TEST_CASE("a row says what the summary and the configuration say") {
  const Root root;
  Summary s = summary("gpt2", 7, 2.0 / 3.0);
  s.entropy = {100, 10.0, 250.0};
  s.val_bits_per_byte = 1.0 / 7.0;
  write_run(root / "leaky", s);
  const RunIndex index(root.path());
  const core::Value document = s.to_value();
  for (const auto& field : document.as_object()) {
    INFO(field.first);
    if (field.first != "entropy") CHECK(one(index, "leaky", field.first) == field.second);
  }
  CHECK(one(index, "leaky", "entropy") == core::Value(2.5));
  CHECK(one(index, "leaky", "leak") == core::Value(true));
  CHECK(one(index, "single", "leak").is_null());
  CHECK(one(index, "leaky", "created").as_string().size() == 20);
  CHECK(one(index, "leaky", "optim.lr") == core::Value(0.01));
  CHECK(one(index, "leaky", "mask") == core::Value("true"));
  CHECK(one(index, "leaky", "widths") == core::Value("[1,2]"));
}

TEST_CASE("a run that was only begun says how far it is, and is looked at again when it moves and when it ends") {
  const Root root;
  {
    const RunIndex index(root.path());
    CHECK(one(index, "begun", "status").as_string() == "unfinished");
    CHECK(one(index, "begun", "arch").as_string() == "gpt2");
    CHECK(one(index, "begun", "seed") == core::Value(9));
    CHECK(one(index, "begun", "steps") == core::Value(10));
    CHECK(one(index, "begun", "tokens") == core::Value(640));
    CHECK(one(index, "begun", "val_loss").is_null());
  }
  write_text(root / "begun/metrics.jsonl", "{\"step\": 250, \"kind\": \"train\", \"tokens\": 16000}\n");
  {
    const RunIndex index(root.path());
    CHECK(index.read() == 1);
    CHECK(one(index, "begun", "tokens") == core::Value(16000));
  }
  write_summary(root / "begun", summary("gpt2", 9, 1.5));
  const RunIndex index(root.path());
  CHECK(index.read() == 1);
  CHECK(one(index, "begun", "status").as_string() == "done");
  CHECK(one(index, "begun", "val_loss") == core::Value(1.5));
}

TEST_CASE("only what has changed is read again, and the result is that of building anew") {
  const Root root;
  const RunIndex first(root.path());
  const std::string image = read_text(first.file());
  const RunIndex second(root.path());
  CHECK(second.read() == 0);
  CHECK(read_text(second.file()) == image);
  write_summary(root / "single", summary("gpt2", 1, 2.25));  // of the same size
  const RunIndex third(root.path());
  CHECK(third.read() == 1);
  CHECK(one(third, "single", "val_loss") == core::Value(2.25));
  const RunIndex anew(root.path(), true);
  CHECK(anew.read() == 5);
  CHECK(everything(anew) == everything(third));
}

TEST_CASE("directories that are gone vanish from the index and are named once") {
  const Root root;
  const RunIndex first(root.path());
  fs::remove_all(root / "demo/members");
  const RunIndex second(root.path());
  CHECK(second.gone() == std::vector<std::string>{"demo/members/gpt2-s1", "demo/members/my-arm.2-s12"});
  CHECK(second.runs() == 3);
  const RunIndex third(root.path());
  CHECK(third.gone().empty());
  CHECK(everything(third).size() == 3);
  Statement options(third.database(), "SELECT count(DISTINCT run) FROM options");
  REQUIRE(options.step());
  CHECK(options.column(0) == core::Value(3));
}

TEST_CASE("files that cannot be read are rows with the reason, and become whole again") {
  const Root root;
  write_text(root / "single/summary.json", "{\"status\": \"do");
  write_text(root / "demo/members/gpt2-s1/config.toml", "arch = ");
  {
    const RunIndex index(root.path());
    CHECK(one(index, "single", "status").as_string() == "unreadable");
    CHECK(contains(one(index, "single", "error").as_string(), "summary.json"));
    CHECK(one(index, "single", "arch").as_string() == "gpt2");
    CHECK(one(index, "demo/members/gpt2-s1", "status").as_string() == "done");
    CHECK(contains(one(index, "demo/members/gpt2-s1", "error").as_string(), "config.toml"));
    CHECK(one(index, "demo/members/gpt2-s1", "val_loss") == core::Value(2.25));
  }
  write_run(root / "single", summary("gpt2", 1, 2.5));
  CHECK(one(RunIndex(root.path()), "single", "status").as_string() == "done");
}

TEST_CASE("the index can be moved with its runs, and paths are told with the root that was asked for") {
  const Root root;
  { const RunIndex index(root.path()); }
  const Scratch other;
  fs::rename(root.path(), other / "moved");
  const RunIndex index(other / "moved/");
  CHECK(index.read() == 0);
  CHECK(one(index, "single", "path").as_string() == other / "moved/single");
  fs::rename(other / "moved", root.path());
}

TEST_CASE("a root that is a run itself, links, hidden and staging directories") {
  const Root root;
  CHECK(query_runs(RunIndex(root / "single"), {.columns = {"path"}}).rows == std::vector<std::vector<core::Value>>{{root / "single"}});
  fs::remove(root / "single/index.sqlite");
  write_run(root / ".hidden/run", summary("gpt2", 1, 2));
  write_run(root / "run.tmp-123", summary("gpt2", 1, 2));
  fs::create_directory_symlink(root.path(), root / "circle");
  fs::create_directory_symlink(root / "single", root / "a_link");
  fs::create_directory_symlink(root / "nowhere", root / "broken");
  const Scratch elsewhere;
  write_run(elsewhere / "far", summary("gpt2", 1, 2));
  fs::create_directory_symlink(elsewhere.path(), root / "linked");
  const RunIndex index(root.path());
  CHECK(index.runs() == 6);
  CHECK(one(index, "linked/far", "arch").as_string() == "gpt2");
  CHECK(one(index, "single", "arch").as_string() == "gpt2");
}

TEST_CASE("no directory is refused, an empty one has no runs") {
  const Scratch scratch;
  CHECK_THROWS_WITH_AS(RunIndex(scratch / "absent"), doctest::Contains("absent"), core::ConfigError);
  CHECK(RunIndex(scratch.path()).runs() == 0);
}

TEST_CASE("an index that was cut off anywhere is reported and built anew") {
  const Root root;
  const RunIndex whole(root.path());
  const core::Value expected = everything(whole);
  const std::string image = read_text(whole.file());
  REQUIRE(image.size() >= 3 * 4096);
  for (const size_t size : {size_t{100}, size_t{512}, size_t{4096}, size_t{6000}, image.size() - 4096, image.size() - 1}) {
    INFO(size);
    write_text(whole.file(), image.substr(0, size));
    check_rebuilt(root, expected, "is damaged and is built anew");
  }
  write_text(whole.file(), "");
  check_rebuilt(root, expected, "");
}

TEST_CASE("a changed bit anywhere in the index is never believed") {
  const Root root;
  const RunIndex whole(root.path());
  const core::Value expected = everything(whole);
  const std::string image = read_text(whole.file());
  size_t noticed = 0;
  for (size_t at = 0; at < image.size(); at += 61) {
    std::string damaged = image;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    write_text(whole.file(), damaged);
    const RunIndex index(root.path());
    noticed += index.notes().empty() ? 0 : 1;
    INFO(at);
    CHECK(everything(index) == expected);
  }
  CHECK(noticed > 20);  // most places of a page hold nothing
}

TEST_CASE("random bytes and other files in the index's place are moved aside, never lost") {
  const Root root;
  const RunIndex whole(root.path());
  const core::Value expected = everything(whole);
  std::string noise;
  for (int i = 0; i < 20000; ++i) noise += static_cast<char>((i * 2654435761u) >> 13);
  write_text(whole.file(), noise);
  check_rebuilt(root, expected, "is no index of runs; it was moved to " + whole.file() + ".set-aside");
  CHECK(read_text(whole.file() + ".set-aside") == noise);
  Database foreign;
  foreign.run("CREATE TABLE runs(id INTEGER PRIMARY KEY, path TEXT)");
  foreign.run("INSERT INTO runs VALUES(1, 'mine')");
  write_text(whole.file(), foreign.image());
  check_rebuilt(root, expected, "set-aside-2");
  CHECK(read_text(whole.file() + ".set-aside-2") == foreign.image());
  write_text(whole.file(), "short");
  check_rebuilt(root, expected, "set-aside-3");
}

TEST_CASE("tables of another version and an index with other tables are built anew") {
  const Root root;
  const RunIndex whole(root.path());
  const core::Value expected = everything(whole);
  const std::string image = read_text(whole.file());
  Database other(image);
  other.run("PRAGMA user_version = 7");
  write_text(whole.file(), other.image());
  check_rebuilt(root, expected, "has tables of version 7");
  for (const char* sql : {"CREATE TABLE more(x)", "UPDATE runs SET val_loss = 0.5", "DELETE FROM meta", "DELETE FROM options WHERE run = 1",
                          "CREATE TRIGGER t AFTER INSERT ON runs BEGIN DELETE FROM runs; END"}) {
    INFO(sql);
    Database changed(image);
    changed.run(sql);
    write_text(whole.file(), changed.image());
    check_rebuilt(root, expected, "is damaged and is built anew");
  }
}

TEST_CASE("a place that cannot be written is said, and the answers come from memory") {
  const Root root;
  const core::Value expected = everything(RunIndex(root.path()));
  write_summary(root / "single", summary("gpt2", 1, 1.0));
  core::FailingFiles full(1, ENOSPC, true);
  const RunIndex index(root.path(), false, full);
  CHECK_FALSE(index.stored());
  CHECK_MESSAGE(contains(notes(index), "cannot be written, so the answers come from memory alone"), notes(index));
  CHECK(one(index, "single", "val_loss") == core::Value(1.0));
  const RunIndex later(root.path());
  CHECK(later.read() == 1);
  CHECK(later.stored());
  fs::remove(later.file());
  fs::create_directory(later.file());
  const RunIndex blocked(root.path());
  CHECK_FALSE(blocked.stored());
  CHECK(blocked.runs() == 5);
  CHECK_FALSE(blocked.notes().empty());
}

TEST_CASE("whichever call of writing the index fails, the old one stays or the new one is whole") {
  const Root root;
  { const RunIndex index(root.path()); }
  core::FailingFiles counting(0, EIO);
  write_summary(root / "single", summary("gpt2", 1, 10.0));
  { const RunIndex index(root.path(), false, counting); }
  REQUIRE(counting.calls() > 3);
  for (int64_t n = 1; n <= counting.calls(); ++n) {
    write_summary(root / "single", summary("gpt2", 1, static_cast<double>(n)));
    core::FailingFiles failing(n, EIO);
    const RunIndex index(root.path(), false, failing);
    CHECK(one(index, "single", "val_loss") == core::Value(static_cast<double>(n)));
    const RunIndex after(root.path());
    INFO(n);
    CHECK_MESSAGE(after.notes().empty(), notes(after));
    CHECK(one(after, "single", "val_loss") == core::Value(static_cast<double>(n)));
  }
}

TEST_CASE("processes that use one index at once while runs come and go all answer, and what is left is right") {
  const Root root;
  std::vector<pid_t> children;
  for (int child = 0; child < 3; ++child)
    children.push_back(in_child([&] {
      for (int i = 0; i < 25; ++i) {
        const RunIndex index(root.path(), i % 10 == 9);
        if (!index.notes().empty()) throw 1;
        if (everything(index).size() < 5) throw 2;
        if (one(index, "demo/members/gpt2-s1", "val_loss") != core::Value(2.25)) throw 3;
      }
    }));
  for (int i = 0; i < 40; ++i) {
    write_run(root / ("new" + std::to_string(i % 7)), summary("gpt2", i, 2.0 + i));
    if (i % 3 == 2) fs::remove_all(root / ("new" + std::to_string((i - 1) % 7)));
    ::usleep(2000);
  }
  for (const pid_t child : children) CHECK(ending(child) == 0);
  const RunIndex after(root.path());
  CHECK_MESSAGE(after.notes().empty(), notes(after));
  CHECK(everything(after) == everything(RunIndex(root.path(), true)));
}

TEST_CASE("a process killed while it writes leaves an index that is whole") {
  const Root root;
  const core::Value expected = everything(RunIndex(root.path()));
  for (int i = 0; i < 12; ++i) {
    const pid_t child = in_child([&] {
      for (;;) const RunIndex index(root.path(), true);
    });
    ::usleep(3000 + 1700 * static_cast<unsigned>(i));
    ::kill(child, SIGKILL);
    CHECK(ending(child) == -1);
    const RunIndex index(root.path());
    CHECK_MESSAGE(index.notes().empty(), notes(index));
    CHECK(everything(index) == expected);
  }
}
