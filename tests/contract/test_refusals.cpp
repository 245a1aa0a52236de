#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "assay/core/file.h"
#include "assay/core/value.h"
#include "contract/program.h"
#include "core/refusal.h"

// What the program refuses, as a user meets it: exit code 2, a message that names the option and what was wanted, nothing on stdout, no files.
namespace assay::contract {
namespace {

using test::contains;
using Words = std::vector<std::string>;

std::string joined(const Words& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

void check_refused(const Program& program, const Words& words, const Words& parts) {
  const Outcome o = program.run(words);
  INFO(joined(words) << " -> " << o.code << " " << o.err);
  CHECK(o.code == 2);
  CHECK(o.out.empty());
  for (const std::string& part : parts) CHECK(contains(o.err, part));
}

core::Value document_of(const Program& program, const Words& words, int code = 0) {
  const Outcome o = program.run(words);
  INFO(joined(words) << " -> " << o.err);
  REQUIRE(o.code == code);
  core::Value v = core::parse_json(o.out, "stdout");
  CHECK(v.is_object());
  return v;
}

// A program with a small run in r1.
const Program& with_run() {
  static const Program program;
  static const Outcome trained = program.run({"train",
                                              "--arch",
                                              "v9",
                                              "--steps",
                                              "1",
                                              "--batch",
                                              "2",
                                              "--seq-len",
                                              "16",
                                              "--threads",
                                              "1",
                                              "--out",
                                              "r1",
                                              "--quiet",
                                              "train.product=aten",
                                              "model.num_steps=1",
                                              "model.state_dim=4",
                                              "model.inner_dim=8",
                                              "data.corpus_tokens=2000",
                                              "data.corpus_val_tokens=400"});
  REQUIRE_MESSAGE(trained.code == 0, trained.err);
  return program;
}

}  // namespace

TEST_CASE("an option of a run that a command does not read is refused, with those that it reads") {
  const Program& program = with_run();
  check_refused(program, {"eval", "r1", "optim.lr=3"}, {"optim.lr is not read by `assay eval`", "train.val_tokens"});
  check_refused(program, {"eval", "r1", "num_steps=3"}, {"model.num_steps is not read by"});
  check_refused(program, {"eval", "r1", "data.order=blocks"}, {"data.order is not read by"});
  check_refused(program, {"export", "r1", "--out", "m.int8", "train.steps=3"}, {"train.steps is not read by `assay export`"});
  CHECK(program.run({"eval", "r1", "train.val_tokens=200"}).code == 0);
}

TEST_CASE("inspect and calibrate refuse what the chosen way does not read") {
  const Program& program = with_run();
  check_refused(program, {"inspect", "r1", "--scales", "--text", "hi", "--format", "html"},
                {"--text is not read by --scales", "the register lens"});
  check_refused(program, {"inspect", "r1", "--sharpness", "--format", "html"}, {"--format is not read by --sharpness"});
  check_refused(program, {"inspect", "r1", "--calibration", "--top", "3"}, {"--top is not read by --calibration"});
  check_refused(program, {"inspect", "r1", "--text", "hi", "--tokens", "3"}, {"--tokens is of the validation text"});
  check_refused(program, {"calibrate", "--planted", "0.1"}, {"--planted is not read by the simulation", "--real"});
  check_refused(program, {"calibrate", "--real", "2", "--seed", "3"}, {"--seed is not read by --real"});
  check_refused(program, {"calibrate", "--quick", "--campaigns", "3"}, {"give one"});
  check_refused(program, {"train", "--resume", "r1", "--dry-run"}, {"--dry-run cannot be given with --resume"});
  check_refused(program, {"train", "--resume", "r1", "--out", "r2"}, {"--out cannot be given with --resume"});
}

TEST_CASE("--json is one object on stdout, and is refused beside what is for people") {
  const Program& program = with_run();
  check_refused(program, {"inspect", "r1", "--json", "--out", "lens.json"}, {"--out is for people"});
  check_refused(program, {"inspect", "r1", "--json", "--format", "html"}, {"--format is for people"});
  CHECK(document_of(program, {"inspect", "r1", "--json"}).find("steps") != nullptr);
  CHECK(document_of(program, {"inspect", "r1", "--scales", "--json"}).at("scales").is_array());
  CHECK(document_of(program, {"inspect", "r1", "--calibration", "--json"}).at("calibration").is_array());
  CHECK(document_of(program, {"--help", "--json"}).at("commands").as_array().size() > 9);
  CHECK(document_of(program, {"--json", "--version"}).find("assay") != nullptr);
  CHECK(document_of(program, {"--json"}, 2).find("commands") != nullptr);
  CHECK(contains(document_of(program, {"train", "--help", "--json"}).at("help").as_string(), "--arch"));
  CHECK(contains(document_of(program, {"data", "--help", "--json"}).at("help").as_string(), "fetch"));
  check_refused(program, {"--json", "list"}, {"--json stands behind the command"});
}

TEST_CASE("where a command cannot write is said before its work, with exit code 2 and the name that was given") {
  const Program& program = with_run();
  for (const Words& words : std::vector<Words>{{"train", "--arch", "v9", "--out", "r1/config.toml"},
                                               {"train", "--arch", "v9", "--out", ""},
                                               {"bench", "--compare", "v9", "--out", "r1/config.toml"},
                                               {"bench", "v9", "--profile", "--out", "none/p.html"},
                                               {"bench", "v9", "--profile", "--trace", "r1"},
                                               {"bench", "v9", "--profile", "--trace", "none/t.json"},
                                               {"report", "r1", "--out", "r1"},
                                               {"export", "r1", "--out", "r1"},
                                               {"inspect", "r1", "--out", "r1"},
                                               {"import", "m.int8", "--out", "r1/config.toml"},
                                               {"calibrate", "--real", "1", "--out", "r1/config.toml"},
                                               {"campaign", "none.toml", "--out", "r1/config.toml"}}) {
    const Outcome o = program.run(words);
    INFO(joined(words) << " -> " << o.code << " " << o.err);
    CHECK(o.code == 2);
    CHECK((contains(o.err, "--out: ") || contains(o.err, "--trace: ")));
    CHECK_FALSE(contains(o.err, ".tmp-"));
  }
  CHECK(program.files() == Words{"r1"});
}

TEST_CASE("data that is not there is not taken for data without a tokenizer") {
  const Program& program = with_run();
  check_refused(program, {"train", "--arch", "v9", "--data", "nowhere.bin"}, {"nowhere.bin does not exist"});
  check_refused(program, {"train", "--arch", "v9", "--data", "./r1"}, {"wanted files named *_train_*.bin in this directory"});
}

TEST_CASE("numbers that no run can have are refused") {
  const Program& program = with_run();
  check_refused(program, {"generate", "r1", "--tokens", "9999999999999"}, {"--tokens must be at least 1 and at most"});
  check_refused(program, {"bench", "v8", "--steps", "99999999999"}, {"--steps must be at least 1 and at most"});
}

TEST_CASE("a name that is nearly an alias, or the beginning of a name, is answered with it") {
  const Program& program = with_run();
  check_refused(program, {"bench", "v88"}, {"did you mean 'v8'?"});
  check_refused(program, {"audit", "v88"}, {"did you mean 'v8'?"});
  check_refused(program, {"train", "--arch", "v99"}, {"did you mean 'v9'?"});
  check_refused(program, {"show", "banded"}, {"did you mean", "banded_mlp"});
  check_refused(program, {"eval", "r1", "val=3"}, {"did you mean one of ", "val_tokens"});
}

}  // namespace assay::contract
