#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/results/run_query.h"
#include "results/run_files.h"

using namespace assay;
using namespace assay::results;
using namespace assay::test;

namespace {

struct QueryRoot : Scratch {
  QueryRoot() {
    write_run(*this / "a", summary("gpt2", 1, 2.5), 0.003);
    write_run(*this / "b", summary("gpt2", 2, 3.5), 0.01);
    write_run(*this / "c", summary("v8_lowrank_vv", 1, 2.0), 0.003);
    Summary failed = summary("v8_lowrank_vv", 2, 0);
    failed.status = "failed";
    failed.exit_code = 3;
    failed.error = "'; DROP TABLE runs; --";
    failed.val_loss = failed.train_loss = std::nullopt;
    failed.entropy = {100, 250, 240};
    write_run(*this / "d/d", failed, 1e-4);
    write_text(*this / "e/config.toml", "arch = \"ngram\"\nname = \"=cmd\"\n[model]\norder = 5\nmask = \"3\"\nlr = 7\n");
  }
};

std::string found(const RunIndex& index, const std::vector<std::string>& where, const std::string& sort = "") {
  std::string out;
  for (const auto& row : query_runs(index, {.where = where, .columns = {"path"}, .sort = sort}).rows)
    out += row[0].as_string().substr(index.root().size() + 1) + " ";
  return out;
}

std::string refusal(const RunIndex& index, const RunQuery& query) {
  return test::refusal<core::ConfigError>([&] { query_runs(index, query); });
}

}  // namespace

TEST_CASE("conditions pick runs by text, number, truth, option and what is not known") {
  const QueryRoot root;
  const RunIndex index(root.path());
  CHECK(found(index, {}) == "a b c d/d e ");
  CHECK(found(index, {"arch=gpt2"}) == "a b ");
  CHECK(found(index, {"arch==gpt2"}) == "a b ");
  CHECK(found(index, {" arch = gpt2 "}) == "a b ");
  CHECK(found(index, {"arch!=gpt2"}) == "c d/d e ");
  CHECK(found(index, {"arch~v8*"}) == "c d/d ");
  CHECK(found(index, {"val_loss<3"}) == "a c ");
  CHECK(found(index, {"val_loss<=2.5", "seed=1"}) == "a c ");
  CHECK(found(index, {"val_loss>=2.5"}) == "a b ");
  CHECK(found(index, {"val_loss>2.5e0"}) == "b ");
  CHECK(found(index, {"tokens<1e6", "val_loss=null"}) == "d/d ");
  CHECK(found(index, {"val_loss!=null"}) == "a b c ");
  CHECK(found(index, {"leak=false"}) == "d/d ");
  CHECK(found(index, {"leak=true"}) == "");
  CHECK(found(index, {"leak=null"}) == "a b c e ");
  CHECK(found(index, {"optim.lr=0.003"}) == "a c ");
  CHECK(found(index, {"optim.lr=3e-3", "arch=gpt2"}) == "a ");
  CHECK(found(index, {"optim.lr<0.003"}) == "d/d ");
  CHECK(found(index, {"optim.lr!=0.003"}) == "b d/d e ");
  CHECK(found(index, {"optim.lr=null"}) == "e ");
  CHECK(found(index, {"kind=adamw"}) == "a b c d/d ");
  CHECK(found(index, {"model.mask=true"}) == "a b c d/d ");
  CHECK(found(index, {"model.mask=3"}) == "e ");
  CHECK(found(index, {"order=5"}) == "e ");
  CHECK(found(index, {"status=failed", "error~*DROP*"}) == "d/d ");
  CHECK(found(index, {"error="}) == "a b c ");
  CHECK(found(index, {"created>2000", "created<9999"}) == "a b c d/d e ");
}

TEST_CASE("values never become SQL") {
  const QueryRoot root;
  const RunIndex index(root.path());
  CHECK(found(index, {"error='; DROP TABLE runs; --"}) == "d/d ");
  CHECK(found(index, {"arch=gpt2' OR '1'='1"}) == "");
  CHECK(found(index, {"optim.kind=x') OR 1=1 --"}) == "");
  CHECK(contains(refusal(index, {.where = {"1=1) --=3"}, .columns = {"path"}}), "unknown column '1'"));
  CHECK(contains(refusal(index, {.columns = {"path FROM runs; --"}}), "unknown column"));
  CHECK(contains(refusal(index, {.columns = {"path"}, .sort = "path; DROP TABLE runs"}), "unknown column"));
  CHECK(found(index, {}) == "a b c d/d e ");
}

TEST_CASE("a condition that cannot be read, or that does not fit its column, is refused with what was wanted") {
  const QueryRoot root;
  const RunIndex index(root.path());
  for (const auto& [condition, wanted] :
       std::vector<std::pair<std::string, std::string>>{{"val_loss", "wanted NAME OP VALUE"},
                                                        {"=3", "wanted NAME OP VALUE"},
                                                        {"", "wanted NAME OP VALUE"},
                                                        {"val_loss!3", "wanted NAME OP VALUE"},
                                                        {"val_loss<", "is a number"},
                                                        {"val_loss<3x", "'3x' is none"},
                                                        {"val_loss<nan", "'nan' is none"},
                                                        {"val_loss<1e999", "is none"},
                                                        {"val_loss<0x10", "is none"},
                                                        {"val_loss~3*", "~ goes with text"},
                                                        {"val_loss<null", "null goes with = and != alone"},
                                                        {"leak>0", "= and != alone"},
                                                        {"leak=maybe", "true or false"},
                                                        {"optim.lr<fast", "ordered by number"},
                                                        {"vall_loss<3", "did you mean 'val_loss'"},
                                                        {"optim.lrr=3", "did you mean 'optim.lr'"},
                                                        {"lr=3", "could be model.lr or optim.lr"}}) {
    const std::string said = refusal(index, {.where = {condition}, .columns = {"path"}});
    CHECK_MESSAGE(contains(said, wanted), said);
  }
}

TEST_CASE("sorting puts what is not known last, both ways, and ties by path") {
  const QueryRoot root;
  const RunIndex index(root.path());
  CHECK(found(index, {}, "val_loss") == "c a b d/d e ");
  CHECK(found(index, {}, "-val_loss") == "b a c d/d e ");
  CHECK(found(index, {}, "optim.lr") == "d/d a c b e ");
  CHECK(found(index, {}, "-path") == "e d/d c b a ");
  CHECK(contains(refusal(index, {.columns = {"path"}, .sort = "-vall_loss"}), "did you mean 'val_loss'"));
}

TEST_CASE("columns come in the order asked for, options by their whole name; places and a limit narrow the list") {
  const QueryRoot root;
  const RunIndex index(root.path());
  const RunListing l = query_runs(index, {.columns = {"kind", "seed", "optim.lr"}, .sort = "-seed", .limit = 2});
  REQUIRE(l.headings.size() == 3);
  CHECK(l.headings[0].name == "optim.kind");
  CHECK_FALSE(l.headings[0].kind);
  CHECK(l.matched == 5);
  REQUIRE(l.rows.size() == 2);
  CHECK(l.rows[0] == std::vector<core::Value>{"adamw", 2, 0.01});
  CHECK(query_runs(index, {.within = {"d"}, .columns = {"seed"}}).matched == 1);
  CHECK(query_runs(index, {.within = {"d/d", "a"}, .columns = {"seed"}}).matched == 2);
  CHECK(query_runs(index, {.within = {"d", ""}, .columns = {"seed"}}).matched == 5);
  CHECK(query_runs(index, {.within = {"d/"}, .columns = {"seed"}}).matched == 0);
}

TEST_CASE("an option that no run has is unknown, except where there are no runs at all") {
  const Scratch empty;
  CHECK(query_runs(RunIndex(empty.path()), {.where = {"optim.lr<3"}, .columns = {"path"}}).matched == 0);
}
