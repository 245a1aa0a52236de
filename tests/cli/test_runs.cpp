#include <doctest/doctest.h>
#include <sys/stat.h>

#include "assay/cli/csv.h"
#include "cli/command.h"
#include "results/run_files.h"

using namespace assay;
using namespace assay::test;

namespace {

struct Root : Scratch {
  Root() {
    write_run(*this / "a", summary("gpt2", 1, 2.5), 0.003);
    write_campaign(*this / "demo", "the demo");
    write_run(*this / "demo/members/v8-s1", summary("v8_lowrank_vv", 1, 2.25), 0.01);
    results::Summary failed = summary("gpt2", 3, 9);
    failed.status = "failed";
    failed.error = "=HYPERLINK(\"x\"), \"quoted\"\nand\x1b[31m more";
    failed.val_loss = std::nullopt;
    write_run(*this / "failed", failed);
  }
};

Ran runs(const Root& root, std::vector<std::string> args) {
  args.insert(args.begin(), {"--root", root.path()});
  return ran(&cli::run_runs, args);
}

core::Value runs_json(const Root& root, std::vector<std::string> args) {
  args.insert(args.begin(), {"--root", root.path()});
  return json_of(&cli::run_runs, args);
}

void refused(const Root& root, const std::vector<std::string>& args, const std::string& part) {
  const Ran r = runs(root, args);
  CHECK_MESSAGE(r.code == 2, r.error);
  CHECK(r.out.empty());
  CHECK_MESSAGE(contains(r.error, part), r.error);
}

}  // namespace

TEST_CASE("runs lists a table, filtered, sorted and limited") {
  const Root root;
  const Ran all = runs(root, {});
  CHECK(all.code == 0);
  CHECK_MESSAGE(all.error.empty(), all.error);
  CHECK(contains(all.out, "arch"));
  CHECK(contains(all.out, root / "demo/members/v8-s1"));
  const Ran some = runs(root, {"--where", "arch=gpt2", "--where=val_loss<3", "--columns", "path,val_loss,lr"});
  CHECK(contains(some.out, "optim.lr"));
  CHECK(contains(some.out, root / "a"));
  CHECK(contains(some.out, "0.003"));
  CHECK_FALSE(contains(some.out, "failed"));
  const Ran best = runs(root, {"--sort", "-val_loss", "--limit", "1", "--columns", "val_loss"});
  CHECK(best.out == "val_loss\n     2.5\n1 of 3 runs\n");
  CHECK(runs(root, {"--where", "arch=none"}).out == "none of 3 runs\n");
}

TEST_CASE("a table is printable whatever the files say") {
  const Root root;
  const Ran r = runs(root, {"--columns", "error,path"});
  CHECK_FALSE(contains(r.out, "\x1b"));
  CHECK(contains(r.out, "\\x1B[31m"));
}

TEST_CASE("the JSON document holds all columns, or those asked for") {
  const Root root;
  const core::Value v = runs_json(root, {"--sort", "path"});
  CHECK(keys_of(v) == std::vector<std::string>{"root", "index", "total", "matched", "gone", "runs"});
  CHECK(v.at("total") == core::Value(3));
  CHECK(v.at("index").as_string() == root / "index.sqlite");
  REQUIRE(v.at("runs").size() == 3);
  const core::Value& first = v.at("runs").as_array()[0];
  CHECK(keys_of(first) == std::vector<std::string>{"path",       "name",        "campaign",   "arm",      "arch",
                                                   "seed",       "status",      "exit_code",  "error",    "steps",
                                                   "tokens",     "parameters",  "train_loss", "val_loss", "val_bits_per_byte",
                                                   "accuracy",   "entropy",     "leak",       "seconds",  "tokens_per_s",
                                                   "peak_bytes", "device",      "precision",  "threads",  "product_backend",
                                                   "step",       "fingerprint", "data_hash",  "created"});
  CHECK(first.at("val_loss") == core::Value(2.5));
  CHECK(first.at("leak").is_null());
  const core::Value narrow = runs_json(root, {"--columns", "optim.lr,seed", "--where", "optim.lr<0.005"});
  CHECK(keys_of(narrow.at("runs").as_array()[0]) == std::vector<std::string>{"optim.lr", "seed"});
  CHECK(narrow.at("matched") == core::Value(1));
}

TEST_CASE("comma-separated values follow RFC 4180 and start no formula in a spreadsheet") {
  const Root root;
  const Ran r = runs(root, {"--csv", "--columns", "error,val_loss,seed", "--sort", "path"});
  CHECK(r.out == "error,val_loss,seed\r\n,2.5,1\r\n,2.25,1\r\n\"'=HYPERLINK(\"\"x\"\"), \"\"quoted\"\"\nand\x1b[31m more\",,3\r\n");
  CHECK(cli::csv_line({-1.5, "-1.5", "+x", "@x", "\tx", "a=b", "", core::Value(), true}) == "-1.5,'-1.5,'+x,'@x,'\tx,a=b,,,true\r\n");
  CHECK(cli::csv_line({"a\r\nb", 0.1 + 0.2}) == "\"a\r\nb\",0.30000000000000004\r\n");
}

TEST_CASE("directories narrow the list: a campaign, a run, with dots and slashes; one outside is refused") {
  const Root root;
  CHECK(runs_json(root, {root / "demo"}).at("matched") == core::Value(1));
  CHECK(runs_json(root, {root / "demo/", root / "a/../failed"}).at("matched") == core::Value(2));
  CHECK(runs_json(root, {root.path()}).at("matched") == core::Value(3));
  CHECK(runs_json(root, {root.path() + "/"}).at("matched") == core::Value(3));
  refused(root, {"/"}, "lies outside of");
  refused(root, {root / "absent"}, "is not a directory");
}

TEST_CASE("what is malformed is exit 2 with what was wanted") {
  const Root root;
  refused(root, {"--sort", "vall_loss"}, "did you mean 'val_loss'");
  refused(root, {"--columns", "path,sed"}, "did you mean 'seed'");
  refused(root, {"--columns", "path,,seed"}, "names between commas");
  refused(root, {"--where", "arch"}, "NAME OP VALUE");
  refused(root, {"--limit", "0"}, "at least 1");
  refused(root, {"--csv", "--json"}, "wanted one of them");
  CHECK(ran(&cli::run_runs, {"--root", root / "absent"}).code == 2);
}

TEST_CASE("a damaged index and runs that are gone are told on stderr, and the answer is right") {
  const Root root;
  runs(root, {});
  std::filesystem::remove_all(root / "a");
  const Ran r = runs(root, {"--columns", "path"});
  CHECK(contains(r.error, "1 run is no longer there: " + root / "a"));
  CHECK_FALSE(contains(r.out, root / "a\n"));
  write_text(root / "index.sqlite", read_text(root / "index.sqlite").substr(0, 5000));
  const Ran after = runs(root, {"--columns", "path"});
  CHECK(contains(after.error, "is damaged and is built anew"));
  CHECK(after.out == r.out);
  const Ran anew = runs(root, {"--rebuild", "--columns", "path"});
  CHECK(anew.error.empty());
  CHECK(anew.out == r.out);
}

TEST_CASE("a root that may not be written is answered from memory, with a message") {
  const Root root;
  ::chmod(root.path().c_str(), 0555);
  const bool administrator = ::geteuid() == 0;  // whom no permission stops
  if (administrator) REQUIRE(::seteuid(65534) == 0);
  const Ran r = runs(root, {"--columns", "path"});
  if (administrator) REQUIRE(::seteuid(0) == 0);
  ::chmod(root.path().c_str(), 0755);
  CHECK(r.code == 0);
  CHECK_MESSAGE(contains(r.error, "cannot be written, so the answers come from memory alone"), r.error);
  CHECK(contains(r.out, root / "a"));
  CHECK_FALSE(std::filesystem::exists(root / "index.sqlite"));
}

TEST_CASE("why a run cannot be read is said beside the table") {
  const Root root;
  write_text(root / "a/summary.json", "{}");
  const Ran r = runs(root, {});
  CHECK(r.code == 0);
  CHECK_MESSAGE(contains(r.error, "1 run cannot be read; the first is " + (root / "a") + ": "), r.error);
  CHECK(contains(r.error, "field 'status': missing"));
  CHECK(runs(root, {"--where", "arch=v8_lowrank_vv"}).error.empty());
}
