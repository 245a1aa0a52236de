#include <doctest/doctest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <map>
#include <string>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/campaign.h"
#include "assay/lab/table.h"
#include "assay/results/run_directory.h"
#include "stand_in.h"

using assay::core::ConfigError;
using assay::core::Exit;
using assay::core::Value;
using namespace assay::lab;
using assay::lab_tests::StandIn;

namespace {

// Two arms; `control` and `arm` are options of the control `a` and of the arm `b`.
std::string recipe(const std::string& control = "", const std::string& arm = "", const std::string& seeds = "[1, 2, 3]") {
  return "name = \"demo\"\nrule = \"fixed\"\nseeds = " + seeds +
         "\ncontrol = \"a\"\ntokens = 1000\n[[arm]]\nname = \"a\"\narch = \"gpt2\"\nfake.base = 2\n" + control +
         "\n[[arm]]\nname = \"b\"\narch = \"v8\"\nfake.base = 1.5\n" + arm + "\n";
}

// A campaign of the stand-in program; quiet, so that the test's output stays readable.
struct Campaign : StandIn {
  Request request;
  explicit Campaign(const std::string& text) {
    assay::core::set_quiet(true);
    assay::core::set_log_level(assay::core::Level::error);
    request.recipe = write("recipe.toml", text);
    request.directory = at("out");
    request.program = program();
    request.jobs = 2;
  }
  Outcome run() const { return run_campaign(request); }
  void refused(const std::string& wanted) const { CHECK_THROWS_WITH_AS(run(), doctest::Contains(wanted.c_str()), ConfigError); }
};

const Value& member(const Outcome& o, const std::string& arm, int64_t seed) {
  for (const Value& m : o.results.at("members").as_array())
    if (m.at("arm").as_string() == arm && m.at("seed").as_int() == seed) return m;
  throw std::runtime_error("no such member");
}

}  // namespace

TEST_CASE("a campaign trains every arm with every seed and compares them seed by seed") {
  const Campaign c(recipe());
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  CHECK(o.results.at("done").as_int() == 6);
  const Value& arm = o.results.at("arms").as_array().at(1);
  CHECK(arm.at("name").as_string() == "b");
  CHECK(arm.at("n").as_int() == 3);
  REQUIRE(arm.at("differences").size() == 3);
  CHECK(arm.at("differences").as_array()[2].at("seed").as_int() == 3);
  CHECK(arm.at("differences").as_array()[2].at("difference").as_double() == doctest::Approx(0.5 - 0.009));
  CHECK(arm.at("mean_difference").as_double() == doctest::Approx(0.5 - 0.014 / 3));
  CHECK(arm.at("interval").as_array()[0].as_double() < arm.at("mean_difference").as_double());
  CHECK(arm.at("p_value").as_double() < 0.01);
  const Value& control = o.results.at("arms").as_array().at(0);
  CHECK(control.at("interval").is_null());
  CHECK(control.at("mean").as_double() == doctest::Approx(2.02));
}

TEST_CASE("a campaign directory holds the recipe, what members share, their directories, logs and results") {
  const Campaign c(recipe());
  const Outcome o = c.run();
  for (const char* name :
       {"campaign.json", "recipe.toml", "results.json", "members/a-s1/summary.json", "members/b-s3/summary.json", "logs/b-s3.txt"})
    CHECK(c.exists(std::string("out/") + name));
  CHECK(c.read("out/recipe.toml") == recipe());
  const Value frozen = assay::core::parse_json(c.read("out/campaign.json"), "campaign.json");
  CHECK(frozen.at("product_backend").as_string() == "onednn");
  CHECK(frozen.at("recipe_hash").as_string().size() == 32);
  CHECK(assay::core::parse_json(c.read("out/results.json"), "results.json") ==
        assay::core::parse_json(assay::core::to_json(o.results), "results"));
}

TEST_CASE("all members get the same budget, threads and way to compute products, and their own seed and directory") {
  const Campaign c(recipe());
  c.run();
  CHECK(c.starts("--dry-run") == 2);
  CHECK(c.starts("train --arch") == 2 + 6 + 2);  // dry runs, members, reference lines
  CHECK(c.starts("audit ") == 2);
  CHECK(c.starts("train.tokens=1000") == 12);
  const int64_t threads = assay::core::parse_json(c.read("out/campaign.json"), "campaign.json").at("threads").as_int();
  CHECK(c.starts("train.threads=" + std::to_string(threads)) == 2 + 2 + 6);
  CHECK(c.starts("train.product=onednn") == 2 + 6);
  CHECK(c.starts("train --arch v8 --seed 2 --out " + c.at("out/members/b-s2") + " --quiet fake.base=1.5") == 1);
}

TEST_CASE("members that train on CUDA are dealt to the visible devices; one that names its device is left there") {
  struct Visible {
    explicit Visible(const char* devices) { ::setenv("CUDA_VISIBLE_DEVICES", devices, 1); }
    ~Visible() { ::unsetenv("CUDA_VISIBLE_DEVICES"); }
  };
  const Visible devices("4,6");
  Campaign c("baselines = []\n" + recipe("train.device = \"cuda\"\n", "train.device = \"cuda\"\n"));
  c.request.jobs = 0;
  const Outcome dealt = c.run();
  CHECK(dealt.exit == Exit::ok);
  CHECK(c.starts("device=4") + c.starts("device=6") == 2 + 2 + 6);  // dry runs, audits, members
  CHECK(c.starts("device=4") >= 3);
  CHECK(c.starts("device=6") >= 3);
  Campaign named("baselines = []\n" + recipe("train.device = \"cuda:1\"\n", "train.device = \"cuda\"\n"));
  CHECK(named.run().exit == Exit::ok);
  CHECK(named.starts("device=4,6") == 10);
}

TEST_CASE("with fixed seeds and a threshold an arm's escapes stand beside the verdict on the mean") {
  // a: 2.01, 2.02, 2.03; b: 1.511, 1.524, 1.539
  const Campaign c("escape_threshold = 1.53\n" + recipe());
  const Outcome o = c.run();
  const Value& arm = o.results.at("arms").as_array().at(1);
  CHECK(arm.at("escape").at("arm").at("escaped").as_int() == 2);
  CHECK(arm.at("escape").at("control").at("escaped").as_int() == 0);
  CHECK(arm.at("escape").at("arm").at("runs").as_int() == 3);
  CHECK(arm.at("escape").at("p_value").as_double() == doctest::Approx(0.5));
  CHECK(arm.at("sentence").as_string().find("two modes: escape 2 of 3 against 0 of 3") != std::string::npos);
  CHECK(arm.at("modes").at("median_escaped").as_double() == doctest::Approx(1.5175));
  CHECK(arm.at("modes").at("median_rest").as_double() == doctest::Approx(1.539));
  const Value& control = o.results.at("arms").as_array().at(0);
  CHECK(control.at("modes").at("escaped").as_int() == 0);
  CHECK(control.at("modes").at("median_escaped").is_null());
  CHECK(Campaign(recipe()).run().results.at("arms").as_array().at(1).at("modes").is_null());
}

TEST_CASE("a recipe fixes threads and products for every member") {
  const Campaign c("threads = 3\nproduct = \"aten\"\n" + recipe());
  c.run();
  CHECK(c.starts("train.threads=3") == 10);
  CHECK(c.starts("train.product=aten") == 10);
}

// The control `a` and the arm `b` with noise of their own; `b` is better by `gain`.
std::string sequential(const std::string& gain, const std::string& more = "", const std::string& seeds = "20") {
  return "name = \"demo\"\nseeds = " + seeds + "\ncontrol = \"a\"\ntokens = 1000\n" + more +
         "[[arm]]\nname = \"a\"\narch = \"gpt2\"\nfake.base = 3\nfake.mode = \"noisy\"\n[[arm]]\nname = \"b\"\narch = \"v8\"\nfake.base "
         "= " +
         gain + "\n";
}

TEST_CASE("the sequential rule stops a clear arm early, says so, and does not count what it did not need") {
  const Campaign c(sequential("1"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  const Value& b = o.results.at("arms").as_array().at(1);
  CHECK(b.at("verdict").as_string() == "better");
  const int64_t seeds = b.at("seeds").as_int();
  CHECK(seeds >= 6);
  CHECK(seeds < 12);
  CHECK(b.at("n").as_int() == seeds);
  CHECK(static_cast<int64_t>(b.at("differences").size()) == seeds);
  CHECK(b.at("e_value").as_double() >= 20);
  CHECK(b.at("sentence").as_string().find("b beats a by") == 0);
  CHECK(o.results.at("not_needed").as_int() >= 2 * (20 - seeds) - 2);
  CHECK(o.results.at("unfinished").as_int() == 0);
  CHECK(c.starts("--seed 20") == 0);
  CHECK(o.results.at("design").at("alpha").as_double() == 0.05);
}

TEST_CASE("an arm that does not differ is undecided after all seeds, and the figures do not depend on the number of jobs") {
  const std::string text = sequential("2.99\nfake.mode = \"noisy2\"", "", "8");
  const Campaign one(text), two(text);
  Campaign& serial = const_cast<Campaign&>(one);
  serial.request.jobs = 1;
  Value a = one.run().results, b = two.run().results;
  CHECK(a.at("arms").as_array()[1].at("verdict").as_string() == "undecided");
  CHECK(a.at("arms").as_array()[1].at("seeds").as_int() == 8);
  for (Value* v : {&a, &b}) v->erase("members");
  CHECK(assay::core::to_json(a.at("arms")) == assay::core::to_json(b.at("arms")));
}

TEST_CASE("an arm that fails its audit is refused with the place, trains nothing and keeps its place among the hypotheses") {
  const Campaign c(sequential("1\nfake.mode = \"leaky\"", "", "8"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  const Value& b = o.results.at("arms").as_array().at(1);
  CHECK(b.at("verdict").as_string() == "refused");
  CHECK(b.at("reason").as_string() == "audit failed: causality at hops.0: sees the future");
  CHECK(b.at("audit").at("findings").as_array()[0].at("check").as_string() == "causality");
  CHECK(c.starts("train --arch v8 --seed 1 --out") == 0);
  CHECK(o.results.at("refused").as_int() == 8);
}

TEST_CASE("an arm whose loss lies below the entropy of its text is refused, whatever its audit said") {
  const Campaign c(sequential("1\nfake.mode = \"beats\"", "", "8"));
  const Value results = c.run().results;
  const Value& b = results.at("arms").as_array().at(1);
  CHECK(b.at("verdict").as_string() == "refused");
  CHECK(b.at("reason").as_string().find("lies below the entropy of the text, 2.0000") != std::string::npos);
}

TEST_CASE("an audit that cannot be run ends the campaign before any training") {
  const Campaign c(sequential("1\nfake.mode = \"audit_crash\"", "", "8"));
  CHECK_THROWS_WITH(c.run(), doctest::Contains("the audit of arm 'b' did not end well: exited with 4"));
  CHECK(c.starts("--out") == 0);
}

TEST_CASE("a refused control leaves nothing to compare with: exit code 1") {
  const Campaign c("name = \"demo\"\nseeds = 8\ncontrol = \"a\"\ntokens = 10\n[[arm]]\nname = \"a\"\narch = \"gpt2\"\nfake.mode = "
                   "\"leaky\"\n[[arm]]\nname = \"b\"\narch = \"v8\"\n");
  const Outcome o = c.run();
  CHECK(o.exit == Exit::check_failed);
  CHECK(o.results.at("arms").as_array()[1].at("verdict").as_string() == "refused");
  CHECK(c.starts("--seed 1 --out " + c.at("out/members")) == 0);
}

TEST_CASE("seeds that cannot lead to any verdict are refused before anything is created") {
  const Campaign c(sequential("1", "", "5"));
  c.refused("recipe.toml at line 2, column 1: ");
  c.refused("max_seeds");
  CHECK_FALSE(c.exists("out"));
}

TEST_CASE("a finished campaign starts nothing and says the same again") {
  const Campaign c(recipe());
  const Outcome first = c.run();
  const std::string starts = c.read("starts");
  const Outcome second = c.run();
  CHECK(c.read("starts") == starts);
  CHECK(second.exit == Exit::ok);
  CHECK(second.results == first.results);
  CHECK(render(second.results, {}) == render(first.results, {}));
  CHECK(campaign_status(c.at("out")) == first.results);
}

TEST_CASE("results are rebuilt from the members' directories alone") {
  const Campaign c(recipe());
  const Outcome first = c.run();
  std::filesystem::remove(c.at("out/results.json"));
  std::filesystem::remove_all(c.at("out/logs"));
  CHECK(c.run().results == first.results);
  CHECK(c.exists("out/results.json"));
}

TEST_CASE("a member that diverges is a row with its reason, and is not tried again unless asked") {
  Campaign c(recipe("", "fake.mode = \"diverge\""));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::partial);
  CHECK(o.results.at("failed").as_int() == 3);
  CHECK(member(o, "b", 2).at("status").as_string() == "failed");
  CHECK(member(o, "b", 2).at("error").as_string() == "[train] step 7: loss is not finite");
  CHECK(member(o, "b", 2).at("exit_code").as_int() == 3);
  CHECK(o.results.at("arms").as_array()[1].at("effect").as_double() < -2.5);  // a diverged run scores ln V and is not dropped
  CHECK(c.run().exit == Exit::partial);
  CHECK(c.starts("--arch v8") == 4);
  c.request.retry_failed = true;
  CHECK(c.run().exit == Exit::partial);
  CHECK(c.starts("--arch v8") == 7);
}

TEST_CASE("a member that crashes is started once more, then it is a row; the campaign goes on") {
  const Campaign c(recipe("", "fake.mode = \"crash\"", "[1]"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::partial);
  CHECK(c.starts("--arch v8") == 3);  // a dry run and two starts
  CHECK(member(o, "b", 1).at("error").as_string().rfind("killed by SIGSEGV", 0) == 0);
  CHECK(member(o, "b", 1).at("exit_code").as_int() == 139);
  CHECK(member(o, "a", 1).at("status").as_string() == "done");
}

TEST_CASE("a member that crashes once goes on from its checkpoints and counts") {
  const Campaign c(recipe("", "fake.mode = \"crash_once\"", "[1]"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  CHECK(c.starts("--resume " + c.at("out/members/b-s1")) == 1);
}

TEST_CASE("a member that dies without a summary gets one, with the last words of its log") {
  const Campaign c(recipe("fake.mode = \"liar\"", "fake.mode = \"mute\"", "[1]"));
  const Outcome o = c.run();
  CHECK(o.results.at("failed").as_int() == 2);
  CHECK(member(o, "b", 1).at("error").as_string() == "[train] disk full");
  CHECK(member(o, "b", 1).at("exit_code").as_int() == 4);
  CHECK(member(o, "a", 1).at("error").as_string().find("no summary.json") != std::string::npos);
  CHECK(assay::results::read_summary(c.at("out/members/b-s1"))->status == "failed");
}

TEST_CASE("a finished member without the metric is a failed row") {
  const Campaign c(recipe("", "fake.mode = \"unmeasured\"", "[1]"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::partial);
  CHECK(member(o, "b", 1).at("error").as_string() == "the run measured no val_loss");
}

TEST_CASE("a member that stopped by itself leaves the campaign unfinished, and the next run resumes it") {
  const Campaign c(recipe("", "fake.mode = \"self_stop\"", "[1]"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::interrupted);
  CHECK(member(o, "b", 1).at("status").as_string() == "interrupted");
  c.run();
  CHECK(c.starts("--resume " + c.at("out/members/b-s1")) == 1);
}

TEST_CASE("one failed seed leaves the other pairs") {
  const Campaign c(recipe());
  c.run();
  assay::results::Summary s = *assay::results::read_summary(c.at("out/members/a-s2"));
  s.status = "failed";
  s.error = "disk full";
  assay::results::write_summary(c.at("out/members/a-s2"), s);
  const Outcome o = c.run();
  CHECK(o.exit == Exit::partial);
  CHECK(o.results.at("arms").as_array()[1].at("differences").size() == 2);
  CHECK(o.results.at("arms").as_array()[1].at("n").as_int() == 3);
  CHECK(o.results.at("arms").as_array()[0].at("n").as_int() == 2);
}

TEST_CASE("an unreadable summary is a failed row, not the end of the campaign") {
  const Campaign c(recipe("", "", "[1]"));
  c.run();
  c.write("out/members/b-s1/summary.json", "{\"status\": ");
  const Outcome o = c.run();
  CHECK(o.exit == Exit::partial);
  CHECK(member(o, "b", 1).at("error").as_string().find("summary.json") != std::string::npos);
}

TEST_CASE("an arm that the program does not accept is named before anything is created") {
  const Campaign c("name = \"demo\"\nrule = \"fixed\"\nseeds = 1\ncontrol = \"a\"\ntokens = 1\n[[arm]]\nname = \"a\"\narch = "
                   "\"gpt2\"\n[[arm]]\nname = \"b\"\narch = "
                   "\"unknown\"\n");
  c.refused("recipe.toml at line 11, column 1: arm 'b': [registry] unknown architecture 'unknown'");
  CHECK_FALSE(c.exists("out"));
}

TEST_CASE("what a dry run objects to is shown in the recipe: the budget, an option, a metric that no run measures") {
  const Campaign budget(recipe("", "fake.mode = \"poor\""));
  budget.refused("recipe.toml at line 5, column 1: arm 'b': [train] train.tokens=1000 does not pay for one update");
  const Campaign option(recipe("", "fake.mode = \"odd\""));
  option.refused("recipe.toml at line 15, column 6: arm 'b': [options] fake.mode");
  const Campaign metric("metric = \"val_bits_per_byte\"\n" + recipe());
  metric.refused(
      "recipe.toml at line 1, column 1: 'metric' is val_bits_per_byte, which no run of arm 'a' measures; it measures val_loss, train_loss");
  CHECK_FALSE(metric.exists("out"));
}

TEST_CASE("a missing device keeps its exit code") {
  const Campaign c(
      "name = \"demo\"\nrule = \"fixed\"\nseeds = 1\ncontrol = \"a\"\ntokens = 1\n[[arm]]\nname = \"a\"\narch = \"nodevice\"\n");
  CHECK_THROWS_WITH_AS(c.run(), doctest::Contains("arm 'a': [device] no CUDA device"), assay::core::DeviceError);
  CHECK_FALSE(c.exists("out"));
}

TEST_CASE("a program that cannot run is an error before anything is created") {
  Campaign c(recipe());
  c.request.program = c.at("absent");
  c.refused("cannot run");
  CHECK_FALSE(c.exists("out"));
}

TEST_CASE("a changed recipe is refused with its first difference; a reformatted one goes on") {
  const Campaign c(recipe());
  c.run();
  const std::string starts = c.read("starts");
  c.write("recipe.toml", "# the same\n\n" + recipe());
  CHECK(c.run().exit == Exit::ok);
  c.write("recipe.toml", recipe("", "optim.lr = 0.5"));
  c.refused("recipe.toml at line 15, column 7: arm.b.optim.lr is 0.5 here and absent in the recipe with which");
  c.write("recipe.toml", recipe("", "", "[1, 2, 3, 4]"));
  c.refused("recipe.toml at line 3, column 1: seeds is [1,2,3,4] here and [1,2,3] in the recipe with which");
  CHECK(c.read("starts") == starts);
  CHECK_FALSE(c.exists("out/deviations.json"));
}

TEST_CASE("an accepted edit is recorded with what it asked for, and the campaign goes on as it was frozen") {
  Campaign c(recipe());
  const Outcome first = c.run();
  CHECK(first.results.at("deviations").size() == 0);
  c.write("recipe.toml", recipe("", "optim.lr = 0.5"));
  c.request.accept_deviations = true;
  const std::string starts = c.read("starts");
  const Outcome o = c.run();
  CHECK(c.read("starts") == starts);
  CHECK(o.results.at("arms") == first.results.at("arms"));
  CHECK(o.results.at("recipe_hash") == first.results.at("recipe_hash"));
  REQUIRE(o.results.at("deviations").size() == 1);
  const Value& row = o.results.at("deviations").as_array()[0];
  CHECK(row.at("option").as_string() == "arm.b.optim.lr");
  CHECK(row.at("a").is_null());
  CHECK(row.at("b").as_double() == 0.5);
  CHECK(row.at("done").as_int() == 6);
  CHECK_FALSE(row.at("followed").as_bool());
  CHECK(row.at("at").as_string().size() > 15);
  c.request.accept_deviations = false;  // what is recorded needs no second permission, and is recorded once
  CHECK(c.run().results == o.results);
  CHECK(campaign_status(c.at("out")) == o.results);
}

TEST_CASE("fewer seeds than were frozen stop a campaign by hand") {
  Campaign c(sequential("2.99\nfake.mode = \"noisy2\"", "", "8"));
  const Value whole = c.run().results;
  CHECK(whole.at("arms").as_array()[1].at("seeds").as_int() == 8);
  c.write("recipe.toml", sequential("2.99\nfake.mode = \"noisy2\"", "", "7"));
  c.request.accept_deviations = true;
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  const Value& b = o.results.at("arms").as_array()[1];
  CHECK(b.at("verdict").as_string() == "undecided");
  CHECK(b.at("seeds").as_int() == 7);
  CHECK(b.at("reason").as_string() == "stopped by hand");
  CHECK(o.results.at("design").at("max_seeds").as_int() == 8);
  CHECK(o.results.at("not_needed").as_int() == 2);
  CHECK(o.results.at("deviations").as_array()[0].at("followed").as_bool());
}

TEST_CASE("a directory that holds something else is refused and left alone") {
  const Campaign c(recipe());
  std::filesystem::create_directory(c.at("out"));
  c.write("out/thesis.txt", "words");
  c.refused("holds 'thesis.txt' and no campaign");
  CHECK_FALSE(c.exists("out/members"));
  std::filesystem::remove_all(c.at("out"));
  c.write("out", "a file");
  c.refused("is a file");
}

TEST_CASE("a run of other settings in a member's place is refused, not counted") {
  const Campaign c(recipe("", "", "[1]"));
  c.run();
  c.write("out/members/b-s1/config.toml", "[fake]\nbase = 1.5\n[train]\ntokens = 1000\n");
  CHECK(c.run().exit == Exit::ok);
  c.write("out/members/b-s1/config.toml", "[fake]\nbase = 1.75\n");
  c.refused("fake.base = 1.75, the recipe says 1.5");
  std::filesystem::remove(c.at("out/members/b-s1/config.toml"));
  assay::results::Summary s = *assay::results::read_summary(c.at("out/members/b-s1"));
  s.seed = 9;
  assay::results::write_summary(c.at("out/members/b-s1"), s);
  c.refused("holds a run with seed 9, wanted 1");
}

TEST_CASE("two processes cannot run one campaign") {
  const Campaign c(recipe());
  c.run();
  const assay::core::DirectoryLock lock(c.at("out"));
  c.refused("in use");
}

TEST_CASE("a begun member without checkpoints starts over, one with checkpoints goes on") {
  const Campaign c(recipe("", "", "[1]"));
  c.run();
  std::filesystem::remove(c.at("out/members/a-s1/summary.json"));
  c.write("out/members/a-s1/stale", "");
  std::filesystem::remove(c.at("out/members/b-s1/summary.json"));
  std::filesystem::create_directories(c.at("out/members/b-s1/checkpoints/7"));
  CHECK(c.run().exit == Exit::ok);
  CHECK_FALSE(c.exists("out/members/a-s1/stale"));
  CHECK(c.starts("--resume " + c.at("out/members/b-s1")) == 1);
  CHECK(c.starts("--resume") == 1);
}

TEST_CASE("a signal stops the campaign after its members saved, and the same command goes on") {
  Campaign c(recipe("", "fake.mode = \"slow\"", "[1]"));
  c.request.jobs = 1;  // the other arm's member is done before this one is ready
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    int code = 99;
    try {
      code = static_cast<int>(c.run().exit);
    } catch (const assay::core::Error& e) {
      code = static_cast<int>(e.code());
    }
    ::_exit(code);
  }
  while (!c.exists("ready")) ::usleep(10000);
  ::kill(pid, SIGTERM);
  int status = 0;
  ::waitpid(pid, &status, 0);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == static_cast<int>(Exit::interrupted));
  CHECK(assay::results::read_summary(c.at("out/members/b-s1"))->status == "interrupted");
  CHECK(campaign_status(c.at("out")).at("unfinished").as_int() == 1);
  CHECK(c.run().exit == Exit::ok);
  CHECK(c.starts("--resume " + c.at("out/members/b-s1")) == 1);
}

TEST_CASE("a campaign that is killed leaves no member running, and the same command goes on") {
  Campaign c(recipe("", "fake.mode = \"slow\"", "[1]"));
  c.request.jobs = 1;  // the other arm's member is done before this one is ready
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    c.run();
    ::_exit(0);
  }
  while (!c.exists("ready")) ::usleep(10000);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  while (!c.exists("out/members/b-s1/summary.json")) ::usleep(10000);  // the kernel asked the member to stop, and it saved
  CHECK(c.run().exit == Exit::ok);
}

TEST_CASE("environment names of reference implementations do not reach members") {
  const Campaign c(recipe("", "", "[1]"));
  ::setenv("MODEL_VERSION", "v1", 1);
  ::setenv("SEED", "9", 1);
  c.run();
  ::unsetenv("MODEL_VERSION");
  ::unsetenv("SEED");
  CHECK(c.read("environment").find("MODEL_VERSION") == std::string::npos);
  CHECK(c.read("environment").find("\nSEED=") == std::string::npos);
  CHECK(c.read("environment").find("PATH=") != std::string::npos);
}

TEST_CASE("status of what is no campaign is refused") {
  const StandIn dir;
  CHECK_THROWS_WITH_AS(campaign_status(dir.path()), doctest::Contains("holds no campaign.json"), ConfigError);
  CHECK_THROWS_AS(campaign_status(dir.at("absent")), ConfigError);
}

TEST_CASE("an edited copy of the recipe, and a damaged campaign.json, are refused") {
  const Campaign c(recipe());
  c.run();
  c.write("out/recipe.toml", recipe("", "optim.lr = 1"));
  CHECK_THROWS_AS(campaign_status(c.at("out")), ConfigError);
  for (const char* text : {"", "[]", "{}", "{\"recipe\": 3}"}) {
    c.write("out/campaign.json", text);
    CHECK_THROWS_AS(c.run(), assay::core::Error);
  }
}

TEST_CASE("what differs beside the declared change is told with the verdict") {
  const std::string arm = "change = [\"arch\", \"optim.lr\"]\noptim.lr = 2\noptim.beta = 3\n";
  const Campaign c(recipe("", arm));
  const Outcome o = c.run();
  const Value& b = o.results.at("arms").as_array()[1];
  const auto options = [](const Value& rows) {
    std::string out;
    for (const Value& row : rows.as_array()) out += row.at("option").as_string() + " ";
    return out;
  };
  CHECK(options(b.at("change")) == "arch optim.lr ");
  CHECK(options(b.at("undeclared")) == "fake.base optim.beta ");
  CHECK(b.at("sentence")
            .as_string()
            .find("; beyond the declared change it differs in fake.base (1.5, the control 2), optim.beta (3, the control none).") !=
        std::string::npos);
  const Campaign undeclared(recipe("", "optim.lr = 2\noptim.beta = 3\n"));  // without `change` the recipe's own words are the declaration
  const Outcome all = undeclared.run();
  CHECK(options(all.results.at("arms").as_array()[1].at("change")) == "arch fake.base optim.beta optim.lr ");
  CHECK(all.results.at("arms").as_array()[1].at("undeclared").size() == 0);
}

TEST_CASE("a difference that no recipe wrote is found in the resolved configurations, and what follows from a change is listed") {
  const Campaign c(recipe("fake.clip = 1\nfake.width = 2", "fake.clip = 2\nfake.width = 3"));  // the stand-in resolves optim.clip from it
  const Value b = c.run().results.at("arms").as_array()[1];
  REQUIRE(b.at("undeclared").size() == 1);
  CHECK(b.at("undeclared").as_array()[0].at("option").as_string() == "optim.clip");
  CHECK(b.at("undeclared").as_array()[0].at("a").as_int() == 1);
  REQUIRE(b.at("derived").size() == 1);
  CHECK(b.at("derived").as_array()[0].at("option").as_string() == "parameters");
  CHECK(b.at("derived").as_array()[0].at("b").as_int() == 97);
}

TEST_CASE("equal floating-point operations: an arm gets the updates that cost what the control's cost") {
  const Campaign c("match = \"flops\"\n" + recipe("fake.flops = 30", "fake.flops = 70"));
  const Value results = c.run().results;
  const Value& b = results.at("arms").as_array()[1].at("budget");
  CHECK(b.at("tokens").as_int() == 430);  // 1000 * 30 / 70, whole updates of 10 tokens
  CHECK(b.at("solved").at("train.tokens").as_int() == 430);
  CHECK(b.at("mismatch").as_double() == doctest::Approx(430 * 70 / 30000.0 - 1));
  CHECK(results.at("arms").as_array()[0].at("budget").at("mismatch").as_double() == 0);
  CHECK(c.starts("--seed 2 --out " + c.at("out/members/b-s2") + " --quiet fake.base=1.5 fake.flops=70 train.tokens=430") == 1);
  CHECK(c.starts("--seed 2 --out " + c.at("out/members/a-s2") + " --quiet fake.base=2 fake.flops=30 train.tokens=1000") == 1);
  CHECK(c.run().exit == Exit::ok);  // members are recognised with their own budgets
  const Campaign dear("match = \"flops\"\n" + recipe("fake.flops = 1", "fake.flops = 5000"));
  dear.refused("recipe.toml at line 14, column 1: arm 'b': one update takes more floating-point operations than the whole training");
}

TEST_CASE("equal parameters: the declared option is solved for, with what remains of the difference") {
  const std::string arm = "solve = \"fake.width\"\nfake.width = 3";
  const Campaign c("match = \"parameters\"\n" + recipe("fake.width = 50", arm));
  const Value equal = c.run().results.at("arms").as_array()[1].at("budget");
  CHECK(equal.at("solved").at("fake.width").as_int() == 50);
  CHECK(equal.at("mismatch").as_double() == 0);
  CHECK(c.starts("--out " + c.at("out/members/b-s1") + " --quiet fake.base=1.5 fake.width=50 train.tokens=1000") == 1);
  CHECK(c.starts("fake.width=3 ") == 1);

  const Campaign coarse("match = \"parameters\"\n" + recipe("fake.width = 50", arm + "\nsolve_multiple = 8"));
  const Value rounded = coarse.run().results.at("arms").as_array()[1].at("budget");
  CHECK(rounded.at("solved").at("fake.width").as_int() == 48);
  CHECK(rounded.at("mismatch").as_double() == doctest::Approx((48.0 * 48 * 10 + 7) / (50.0 * 50 * 10 + 7) - 1));

  const Campaign even("match = \"parameters\"\n" +
                      recipe("fake.width = 51", "solve = \"fake.width\"\nfake.width = 4\nfake.mode = \"even\""));
  const Value nearest = even.run().results.at("arms").as_array()[1].at("budget");  // odd widths are refused by the program
  CHECK(nearest.at("solved").at("fake.width").as_int() % 2 == 0);
  CHECK(std::abs(nearest.at("mismatch").as_double()) < 0.05);

  const Campaign fewer("match = \"parameters\"\n" + recipe("", arm));  // a control of 7 parameters: the smallest arm has more
  CHECK(fewer.run().results.at("arms").as_array()[1].at("budget").at("solved").at("fake.width").as_int() == 1);
}

TEST_CASE("a budget of seconds limits every member by time") {
  std::string text = recipe();
  text.replace(text.find("tokens = 1000"), 13, "seconds = 2.5");
  const Campaign c(text);
  const Value results = c.run().results;
  CHECK(c.starts("train.seconds=2.5") == 2 + 2 + 6);
  CHECK(c.starts("train.tokens=") == 0);
  CHECK(results.at("arms").as_array()[1].at("budget").at("seconds").as_double() == 2.5);
}

// The control `a` and the arm `b`, tuned over one grid; the best learning rates are given.
std::string tuned(const std::string& best_a, const std::string& best_b, const std::string& more = "") {
  return "name = \"demo\"\nseeds = 8\ncontrol = \"a\"\ntokens = 1000\n[tune]\nseeds = [21, 22]\ntokens = 500\noptim.lr = [0.01, 0.03, "
         "0.1]\n"
         "[common]\nfake.mode = \"noisy\"\n[[arm]]\nname = \"a\"\narch = \"gpt2\"\nfake.base = 3\nfake.best = " +
         best_a + "\n[[arm]]\nname = \"b\"\narch = \"v8\"\nfake.base = 2.5\nfake.best = " + best_b + "\n" + more;
}

TEST_CASE("tuning gives every arm the same trials on seeds of its own and trains with the best values") {
  const Campaign c(tuned("0.03", "0.03"));
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  CHECK(c.starts("out/tune/") == 2 * 3 * 2);
  CHECK(c.starts("--seed 21") == 6);
  CHECK(c.starts("train.tokens=500") == 12);
  CHECK(c.starts("out/members/b-s1 --quiet fake.mode=noisy fake.base=2.5 fake.best=0.03 train.tokens=1000") == 1);
  const Value& b = o.results.at("arms").as_array()[1];
  CHECK(b.at("options").at("optim.lr").as_double() == 0.03);
  CHECK(b.at("tuning").at("chosen").at("optim.lr").as_double() == 0.03);
  CHECK(b.at("tuning").at("edge").as_string() == "");
  REQUIRE(b.at("tuning").at("trials").size() == 3);
  CHECK(b.at("tuning").at("trials").as_array()[0].at("scores").size() == 2);
  CHECK(b.at("tuning").at("trials").as_array()[0].at("mean").as_double() >
        b.at("tuning").at("trials").as_array()[1].at("mean").as_double());
  CHECK(b.at("undeclared").size() == 0);
  const std::string starts = c.read("starts");
  CHECK(c.run().results == o.results);
  CHECK(c.read("starts") == starts);
  CHECK(campaign_status(c.at("out")) == o.results);
}

TEST_CASE("an arm that is tuned at the edge of its grid gets no verdict and trains no member") {
  const Campaign c(tuned("0.03", "0.1"));
  const Outcome o = c.run();
  const Value& b = o.results.at("arms").as_array()[1];
  CHECK(b.at("verdict").as_string() == "refused");
  CHECK(b.at("reason").as_string() == "tuned at the edge of its grid: optim.lr = 0.1 is the largest of its values");
  CHECK(c.starts("out/members/b-s1") == 0);
  const Campaign both(tuned("0.01", "0.03"));
  const Outcome control = both.run();
  CHECK(control.exit == Exit::check_failed);
  CHECK(control.results.at("arms").as_array()[1].at("reason").as_string().find(
            "the control is refused: tuned at the edge of its grid: optim.lr = 0.01 is the smallest") == 0);
}

TEST_CASE("an arm's own grid replaces the shared one, and a trial that diverges scores the cap") {
  const Campaign c(tuned("0.03", "0.3", "tune.optim.lr = [0.1, 0.3, 1]\n"));
  CHECK(c.run().results.at("arms").as_array()[1].at("tuning").at("chosen").at("optim.lr").as_double() == 0.3);
  const Campaign diverging(tuned("0.03", "0.03", "fake.mode = \"diverge\"\n"));
  const Value b = diverging.run().results.at("arms").as_array()[1];
  CHECK(b.at("tuning").at("trials").as_array()[2].at("mean").as_double() == doctest::Approx(std::log(100.0)));
  CHECK(b.at("verdict").as_string() == "refused");  // all values are alike, so that the first one, at the edge, is taken
}

TEST_CASE("a tuning that is stopped goes on with the trials that are missing") {
  Campaign c(tuned("0.03", "0.03"));
  c.run();
  std::filesystem::remove_all(c.at("out/members"));
  std::filesystem::remove_all(c.at("out/tune/b-t2-s22"));
  const int before = c.starts("out/tune/");
  CHECK(campaign_status(c.at("out")).at("arms").as_array()[1].at("tuning").at("chosen").is_null());
  CHECK(c.run().exit == Exit::ok);
  CHECK(c.starts("out/tune/") == before + 1);
}

TEST_CASE("a ladder compares every arm with the control of its size, each size a hypothesis of its own") {
  const Campaign c("name = \"demo\"\nseeds = 14\ncontrol = \"a\"\ntokens = 1000\n[[rung]]\nname = \"small\"\nfake.width = "
                   "2\narm.b.fake.base = 2.2\n[[rung]]\n"
                   "name = \"large\"\nfake.width = 4\narm.b.fake.base = 3.01\narm.b.fake.mode = \"noisy2\"\n[[arm]]\nname = \"a\"\narch = "
                   "\"gpt2\"\nfake.base = "
                   "3\nfake.mode = \"noisy\"\n[[arm]]\nname = \"b\"\narch = \"v8\"\n");
  const Outcome o = c.run();
  CHECK(o.exit == Exit::ok);
  REQUIRE(o.results.at("arms").size() == 4);
  const auto& arms = o.results.at("arms").as_array();
  CHECK(arms[0].at("name").as_string() == "a-small");
  CHECK(arms[0].at("verdict").as_string() == "control");
  CHECK(arms[1].at("name").as_string() == "b-small");
  CHECK(arms[1].at("verdict").as_string() == "better");
  CHECK(arms[1].at("control").as_string() == "a-small");
  CHECK(arms[1].at("rung").as_string() == "small");
  CHECK(arms[1].at("sentence").as_string().find("b-small beats a-small by") == 0);
  CHECK(arms[3].at("verdict").as_string() == "undecided");
  CHECK(arms[3].at("control").as_string() == "a-large");
  CHECK(arms[3].at("seeds").as_int() == 14);
  CHECK(o.results.at("design").at("m").as_int() == 2);
  CHECK(arms[0].at("parameters").as_int() != arms[2].at("budget").at("parameters").as_int());
  CHECK(c.starts("out/members/a-small-s14") == 0);  // the small control stops with the arm that was compared with it
  CHECK(c.starts("out/members/a-large-s14") == 1);
  CHECK(c.starts("out/members/b-large-s1 --quiet fake.width=4 fake.base=3.01 fake.mode=noisy2") == 1);
  CHECK(render(o.results, {}).find("b-small") != std::string::npos);
}

namespace {

// Arms `b`, more often right than the control, and `c`, less often.
std::string accuracy_recipe(const std::string& head) {
  std::string text = "name = \"demo\"\nmetric = \"accuracy\"\ncontrol = \"a\"\ntokens = 1000\nsmallest_effect = 0.01\n" + head +
                     "\n[common]\ndata.path = \"add97\"\n";
  for (const auto& [name, accuracy] : {std::pair<const char*, const char*>{"a", "0.5"}, {"b", "0.62"}, {"c", "0.41"}})
    text += std::string("[[arm]]\nname = \"") + name + "\"\narch = \"gpt2\"\nfake.accuracy = " + accuracy + "\n";
  return text;
}

std::string word(const Outcome& o, size_t arm) { return o.results.at("arms").as_array().at(arm).at("verdict").as_string(); }

}  // namespace

TEST_CASE("accuracy: higher is better in verdicts, effects, sentences and the table, with chance and oracle beside") {
  for (const char* rule : {"rule = \"sequential\"\nseeds = 12", "rule = \"fixed\"\nseeds = 8"}) {
    INFO(std::string(rule));
    const Campaign c(accuracy_recipe(rule));
    const Outcome o = c.run();
    CHECK(o.exit == Exit::ok);
    CHECK(word(o, 1) == "better");
    CHECK(word(o, 2) == "worse");
    const Value &better = o.results.at("arms").as_array()[1], &worse = o.results.at("arms").as_array()[2];
    CHECK(better.at("effect").as_double() == doctest::Approx(0.12).epsilon(0.1));
    CHECK(worse.at("effect").as_double() == doctest::Approx(-0.09).epsilon(0.1));
    CHECK(better.at("mean").as_double() == doctest::Approx(0.62).epsilon(0.02));
    CHECK(better.at("interval").as_array()[0].as_double() > 0);
    CHECK(better.at("sentence").as_string().find("b beats a by 0.1") == 0);
    CHECK(worse.at("sentence").as_string().find("c loses to a by 0.0") == 0);
    const Value& first = better.at("differences").as_array()[0];
    CHECK(first.at("difference").as_double() ==
          doctest::Approx(member(o, "b", 1).at("value").as_double() - member(o, "a", 1).at("value").as_double()));
    CHECK(o.results.at("higher_is_better").as_bool());
    std::map<std::string, double> lines;
    for (const Value& r : o.results.at("references").as_array()) lines[r.at("kind").as_string()] = r.at("value").as_double();
    CHECK(lines == std::map<std::string, double>{{"chance", 1.0 / 97}, {"oracle", 1}});
    const std::string table = render(o.results, {});
    for (const char* part : {"accuracy (higher is better)", "arm - a (positive: the arm is better)", "chance 0.0103, oracle 1.0000"})
      CHECK(table.find(part) != std::string::npos);
  }
}

TEST_CASE("accuracy: quantiles and escapes are in units of the metric, a run that diverges scores 0") {
  const Campaign c(accuracy_recipe("seeds = 20\nescape_threshold = 0.55") +
                   "[[arm]]\nname = \"d\"\narch = \"gpt2\"\nfake.mode = \"diverge\"\n");
  const Outcome o = c.run();
  const Value& b = o.results.at("arms").as_array()[1];
  CHECK(b.at("quantiles").as_array()[0].as_double() < b.at("quantiles").as_array()[2].as_double());
  CHECK(b.at("quantiles").as_array()[1].as_double() == doctest::Approx(0.62).epsilon(0.02));
  CHECK(b.at("escape").at("threshold").as_double() == doctest::Approx(0.55));
  CHECK(b.at("escape").at("arm").at("escaped") == b.at("escape").at("arm").at("runs"));
  CHECK(b.at("escape").at("control").at("escaped").as_int() == 0);
  for (const Value& h : o.results.at("design").at("hypotheses").as_array()) {
    CHECK(h.at("escape_threshold").as_double() == doctest::Approx(0.55));
    CHECK_FALSE(h.at("escape_below").as_bool());
    CHECK(h.at("cap").as_double() == doctest::Approx(0));
  }
  const std::string sentence = o.results.at("arms").as_array()[3].at("sentence").as_string();
  CHECK(word(o, 3) == "worse");
  CHECK(sentence.find("diverged and score 0") != std::string::npos);
  CHECK(o.results.at("arms").as_array()[3].at("effect").as_double() == doctest::Approx(-0.5).epsilon(0.05));
}

TEST_CASE("tuning by accuracy takes the value with the highest one") {
  const Campaign c("name = \"demo\"\nmetric = \"accuracy\"\nrule = \"fixed\"\nseeds = 3\ncontrol = \"a\"\ntokens = 1000\n"
                   "[tune]\nseeds = [101]\nfake.accuracy = [0.3, 0.6, 0.4]\n[[arm]]\nname = \"a\"\narch = \"gpt2\"\n"
                   "[[arm]]\nname = \"b\"\narch = \"v8\"\n");
  const Outcome o = c.run();
  const Value& tuning = o.results.at("arms").as_array()[1].at("tuning");
  CHECK(tuning.at("chosen").is_null() == false);
  for (const Value& t : tuning.at("trials").as_array()) CHECK(t.at("mean").as_double() > 0.25);
  CHECK(tuning.at("edge").as_string().find("fake.accuracy = 0.6 is the largest") != std::string::npos);
}
