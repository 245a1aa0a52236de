#include <doctest/doctest.h>

#include <string>

#include "assay/core/error.h"
#include "assay/lab/cost.h"
#include "assay/lab/recipe.h"
#include "stand_in.h"

using assay::core::Error;
using assay::core::Exit;
using namespace assay::lab;

namespace {

const std::string head = "name = \"demo\"\nseeds = [1, 2]\ncontrol = \"a\"\ntokens = 1000\n";
const std::string body = "[[arm]]\nname = \"a\"\narch = \"gpt2\"\n";

// The message of a recipe that is refused with exit 2, "" of one that is accepted.
std::string refusal(const std::string& text) {
  try {
    parse_recipe(text, "r.toml");
    return "";
  } catch (const Error& e) {
    CHECK(e.code() == Exit::bad_input);
    return e.what();
  }
}

void check_refusal(const std::string& text, const std::string& wanted) {
  const std::string message = refusal(text);
  INFO(message);
  CHECK(message.find(wanted) != std::string::npos);
  CHECK(message.find("r.toml at line ") != std::string::npos);
}

}  // namespace

TEST_CASE("a recipe holds arms whose options are those of [common], then their own") {
  const Recipe r =
      parse_recipe(head + "question = \"Which?\"\n[common]\ndata.path = \"grammar\"\noptim.lr = 0.01\n" + body +
                       "optim.lr = 0.003\nmodel.widths = [1, 2]\n[[arm]]\nname = \"b\"\narch = \"v8\"\n[arm.train]\nbatch = 8\n",
                   "r.toml");
  CHECK(r.name == "demo");
  CHECK(r.question == "Which?");
  CHECK(r.seeds == std::vector<int64_t>{1, 2});
  CHECK(r.metric == "val_loss");
  CHECK(r.rule == "sequential");
  CHECK(r.error_rate == 0.05);
  CHECK(r.audit == "quick");
  CHECK_FALSE(r.smallest_effect);
  REQUIRE(r.arms.size() == 2);
  CHECK(r.arms[0].options.at("optim.lr").as_double() == 0.003);
  CHECK(r.arms[0].options.at("data.path").as_string() == "grammar");
  CHECK(option_text(r.arms[0].options.at("model.widths")) == "1,2");
  CHECK(r.arms[1].options.at("optim.lr").as_double() == 0.01);
  CHECK(r.arms[1].options.at("train.batch").as_int() == 8);
}

TEST_CASE("seeds are a list or a count from 1") {
  CHECK(parse_recipe("name = \"d\"\nseeds = 3\ncontrol = \"a\"\ntokens = 1\n" + body, "r.toml").seeds == std::vector<int64_t>{1, 2, 3});
}

TEST_CASE("layout and comments do not change what a recipe says, an option does") {
  const Recipe plain = parse_recipe(head + "[common]\noptim.lr = 0.01\n" + body, "r.toml");
  const Recipe other = parse_recipe("# why\n" + head + body + "[arm.optim]\nlr = 0.01\n", "r.toml");
  const Recipe changed = parse_recipe(head + "[common]\noptim.lr = 0.02\n" + body, "r.toml");
  CHECK(plain.document() == other.document());
  CHECK_FALSE(plain.document() == changed.document());
}

TEST_CASE("an unknown key is refused with the nearest name") {
  check_refusal(head + "controll = \"a\"\n" + body, "did you mean 'control'?");
  check_refusal(head + body + "nam = \"x\"\n", "did you mean 'name'?");
  check_refusal(head + body + "lr = 0.1\n", "written section.option");
  check_refusal(head + "[common]\nlr = 0.1\n" + body, "[common]: unknown key 'lr'");
  check_refusal(head + "metric = \"vall_loss\"\n" + body, "did you mean 'val_loss'?");
}

TEST_CASE("a refusal shows line and column of what it is about") {
  check_refusal(head + "controll = \"a\"\n" + body, "r.toml at line 5, column 1: unknown key 'controll'");
  check_refusal("seeds = 1\ncontrol = \"a\"\ntokens = 1\n" + body, "r.toml at line 1, column 1: 'name' is missing");
  check_refusal(head + "[common]\noptim.lr = 0.1\ntrain.seed = 3\n" + body, "r.toml at line 7, column 7: [common]: 'train.seed' is set by");
  check_refusal(head + body + "[[arm]]\nname = \"b\"\n", "r.toml at line 8, column 1: arm 'b': 'arch' is missing");
  check_refusal(head + body + "[[arm]]\nname = \"b\"\narch = \"v8\"\n[arm.optim]\nlr = inf\n",
                "r.toml at line 12, column 1: arm 'b': 'optim.lr' is not finite");
  check_refusal(head + body + body, "r.toml at line 9, column 1: two arms are named 'a'");
  check_refusal(head + "futility = true\n" + body, "r.toml at line 5, column 1: 'futility' needs 'smallest_effect'");
}

TEST_CASE("what is missing is named") {
  check_refusal("seeds = 1\ncontrol = \"a\"\ntokens = 1\n" + body, "'name' is missing");
  check_refusal("name = \"d\"\ncontrol = \"a\"\ntokens = 1\n" + body, "'seeds' is missing");
  check_refusal("name = \"d\"\nseeds = 1\ncontrol = \"a\"\n" + body, "'tokens' is missing");
  check_refusal("name = \"d\"\nseeds = 1\ntokens = 1\n" + body, "'control' is missing");
  check_refusal(head, "'arm' is missing");
  check_refusal(head + "[[arm]]\nname = \"a\"\n", "arm 'a': 'arch' is missing");
  check_refusal(head + "[[arm]]\narch = \"gpt2\"\n", "[[arm]] 1: 'name' is missing");
  check_refusal("", "'name' is missing");
}

TEST_CASE("a control that is no arm and two arms of one name are refused") {
  check_refusal("name = \"d\"\nseeds = 1\ncontrol = \"gpt\"\ntokens = 1\n[[arm]]\nname = \"gpt2\"\narch = \"gpt2\"\n",
                "did you mean 'gpt2'?");
  check_refusal(head + body + body, "two arms are named 'a'");
}

TEST_CASE("seeds that are none, repeated, negative or of another kind are refused") {
  const auto with = [](const std::string& seeds) { return "name = \"d\"\nseeds = " + seeds + "\ncontrol = \"a\"\ntokens = 1\n" + body; };
  check_refusal(with("[]"), "empty list");
  check_refusal(with("0"), "wanted at least 1");
  check_refusal(with("[1, 2, 1]"), "holds 1 twice");
  check_refusal(with("[-1]"), "holds -1");
  check_refusal(with("[1.5]"), "wanted integers");
  check_refusal(with("\"three\""), "'seeds' is a string");
  check_refusal(with("1000000000"), "wanted at most");
}

TEST_CASE("numbers out of range are refused") {
  check_refusal("name = \"d\"\nseeds = 1\ncontrol = \"a\"\ntokens = 0\n" + body, "'tokens' is 0");
  check_refusal("name = \"d\"\nseeds = 1\ncontrol = \"a\"\ntokens = 1e6\n" + body, "wanted an integer");
  for (const char* c : {"0", "1", "95", "-0.5", "nan"})
    check_refusal(head + "error_rate = " + std::string(c) + "\n" + body, "'error_rate' is");
  for (const char* d : {"0", "-1", "nan", "\"much\""})
    check_refusal(head + "smallest_effect = " + std::string(d) + "\n" + body, "'smallest_effect' is");
  check_refusal(head + "escape_threshold = inf\n" + body, "'escape_threshold' is");
  check_refusal(head + "rule = \"sequentially\"\n" + body, "did you mean 'sequential'");
  check_refusal(head + "audit = \"quickly\"\n" + body, "did you mean 'quick'");
  check_refusal(head + "futility = 1\n" + body, "'futility' is");
  check_refusal(head + "baselines = [\"gpt2\"]\n" + body, "wanted ngram:N");
  check_refusal(head + "threads = 0\n" + body, "'threads' is 0");
  check_refusal(head + "[common]\noptim.lr = inf\n" + body, "not finite");
}

TEST_CASE("options that the campaign sets itself point to the recipe's own key") {
  for (const char* option :
       {"train.seed = 3", "train.tokens = 3", "train.steps = 3", "train.seconds = 3", "train.threads = 3", "train.product = \"aten\""})
    check_refusal(head + "[common]\n" + option + "\n" + body, "at the top of the recipe");
}

TEST_CASE("a budget is tokens or seconds, and what is matched has what it needs") {
  const std::string no_budget = "name = \"d\"\nseeds = 1\ncontrol = \"a\"\n";
  CHECK(parse_recipe(no_budget + "seconds = 2.5\n" + body, "r.toml").seconds == 2.5);
  check_refusal(head + "seconds = 3\n" + body, "r.toml at line 5, column 1: 'seconds' and 'tokens' are both there");
  check_refusal(no_budget + "seconds = 0\n" + body, "'seconds' is 0; wanted a number above 0");
  check_refusal(no_budget + "seconds = 3\nmatch = \"flops\"\n" + body, "r.toml at line 5, column 1: 'match' is flops; wanted 'tokens'");
  check_refusal(head + "match = \"flop\"\n" + body, "did you mean 'flops'?");
  check_refusal(head + "match = \"parameters\"\n" + body + "[[arm]]\nname = \"b\"\narch = \"v8\"\n",
                "r.toml at line 9, column 1: arm 'b': 'solve' is missing");
  check_refusal(head + body + "solve = \"model.n_embd\"\n",
                "r.toml at line 8, column 1: arm 'a': 'solve' is only for arms other than the control");
  check_refusal(head + body + "solve = \"n_embd\"\n", "wanted section.option");
}

TEST_CASE("tuning has seeds of its own, grids that can have a best value inside, and equal trials") {
  const std::string tune = "[tune]\nseeds = [7, 8]\noptim.lr = [0.3, 0.1, 0.2]\n";
  const Recipe r = parse_recipe(head + tune + body, "r.toml");
  CHECK(r.tune.seeds == std::vector<int64_t>{7, 8});
  REQUIRE(r.arms[0].grids.size() == 1);
  CHECK(r.arms[0].grids[0].option == "optim.lr");
  CHECK(r.arms[0].grids[0].values == std::vector<double>{0.1, 0.2, 0.3});
  check_refusal(head + "[tune]\nseeds = [2, 3]\noptim.lr = [1, 2, 3]\n" + body,
                "r.toml at line 6, column 1: [tune]: 'seeds' holds 2, a seed of the comparison");
  check_refusal(head + "[tune]\nseeds = [7]\noptim.lr = [1, 2]\n" + body, "wanted a list of at least 3 numbers");
  check_refusal(head + "[tune]\nseeds = [7]\noptim.lr = [1, 2, 1]\n" + body, "holds a value twice");
  check_refusal(head + "[tune]\nseeds = [7]\ntrain.seed = [1, 2, 3]\n" + body, "cannot be tuned");
  check_refusal(head + "[tune]\nseeds = [7]\n" + body, "arm 'a': 0 trials");
  check_refusal(head + tune + body + "[[arm]]\nname = \"b\"\narch = \"v8\"\ntune.optim.lr = [1, 2, 3, 4]\n",
                "r.toml at line 14, column 1: arm 'b': 4 trials; wanted the same number for every arm (arm 'a' has 3)");
  check_refusal(head + body + "tune.optim.lr = [1, 2, 3]\n", "a grid without the table [tune]");
  check_refusal(head + "tune = 3\n" + body, "'tune' is an integer; wanted a table");
  check_refusal(head + body + "change = \"arch\"\n", "wanted a list such as");
}

TEST_CASE("a ladder multiplies the arms; a rung's options come over an arm's own, and what is for one arm over both") {
  const std::string two = body + "model.n_layer = 1\n[[arm]]\nname = \"b\"\narch = \"v8\"\n";
  const std::string rungs =
      "[[rung]]\nname = \"s\"\nmodel.n_layer = 2\n[[rung]]\nname = \"l\"\nmodel.n_layer = 4\narm.b.model.n_layer = 5\n";
  const Recipe r = parse_recipe(head + two + rungs, "r.toml");
  REQUIRE(r.arms.size() == 4);
  CHECK(r.rungs == std::vector<std::string>{"s", "l"});
  CHECK(r.arms[0].name == "a-s");
  CHECK(r.arms[0].options.at("model.n_layer").as_int() == 2);
  CHECK(r.arms[3].name == "b-l");
  CHECK(r.arms[3].options.at("model.n_layer").as_int() == 5);
  CHECK(r.at_option("arm.b-l.model.n_layer") == "r.toml at line 18, column 13");
  CHECK(r.at_option("arm.a-l.model.n_layer") == "r.toml at line 17, column 7");
  CHECK(r.at_option("arm.b-l.arch") == "r.toml at line 11, column 1");
  check_refusal(head + two + rungs + rungs, "rung 's': another rung has this name");
  check_refusal(head + two + rungs + "arm.c.model.n_layer = 5\n", "'arm.c' names no arm");
  check_refusal(head + "rung = 3\n" + body, "wanted tables [[rung]]");
  check_refusal(head + two + rungs + "[[arm]]\nname = \"a-s\"\narch = \"x\"\n[[arm]]\nname = \"a\"\narch = \"x\"\n",
                "two arms are named 'a-s'");
}

TEST_CASE("names that could be a path, a flag or a control sequence are refused") {
  for (const char* name : {"../x", "a/b", "--help", ".hidden", "", "a b", "a\\u001b[31m", "\\u0000"}) {
    check_refusal("name = \"" + std::string(name) + "\"\nseeds = 1\ncontrol = \"a\"\ntokens = 1\n" + body, "'name'");
    check_refusal(head + "[[arm]]\nname = \"a\"\narch = \"" + name + "\"\n", "'arch'");
  }
  check_refusal("name = \"" + std::string(65, 'x') + "\"\nseeds = 1\ncontrol = \"a\"\ntokens = 1\n" + body, "wanted 1 to 64");
  check_refusal(head + "[common]\n\"--out\" = { x = 1 }\n" + body, "no section name");
  check_refusal(head + "[common]\ndata = { \"a=b\" = 1 }\n" + body, "no option name");
  check_refusal(head + "[common]\ndata.path = \"a\\u0000b\"\n" + body, "control character");
  CHECK(refusal(head + "[common]\n\"\\u001b[2J\" = 1\n" + body).find('\x1b') == std::string::npos);
}

TEST_CASE("values that no option takes are refused") {
  check_refusal(head + "[common]\noptim.lr = { a = 1 }\n" + body, "'optim.lr' is an object");
  check_refusal(head + "[common]\nmodel.widths = [1, \"2\"]\n" + body, "'model.widths' is an array");
  check_refusal(head + "common = 3\n" + body, "'common' is an integer");
  check_refusal(head + "arm = 3\n", "wanted tables [[arm]]");
  check_refusal(head + "arm = []\n", "wanted tables [[arm]]");
  check_refusal(head + "[arm]\nname = \"a\"\n", "wanted tables [[arm]]");
}

TEST_CASE("accuracy is a metric that has no n-gram lines") {
  CHECK(parse_recipe(head + "metric = \"accuracy\"\n" + body, "r.toml").baselines.empty());
  CHECK(parse_recipe(head + "metric = \"accuracy\"\nbaselines = []\n" + body, "r.toml").metric == "accuracy");
  check_refusal(head + "metric = \"accuracy\"\nbaselines = [\"ngram:2\"]\n" + body, "'baselines' are losses");
  check_refusal(head + "metric = \"acuracy\"\n" + body, "'accuracy'");
}

TEST_CASE("text that is no TOML is refused") {
  for (const std::string& text : {std::string("name = "), std::string("\xff\xfe"), std::string(100000, '['), head + head})
    CHECK(refusal(text) != "");
}

TEST_CASE("a recipe that is absent or a directory is refused") {
  const assay::lab_tests::StandIn dir;
  for (const std::string& path : {dir.at("absent.toml"), dir.path()})
    CHECK_THROWS_WITH_AS(read_recipe(path), doctest::Contains(path.c_str()), assay::core::DataError);
}

TEST_CASE("a plan for no effect, or of runs that take no time, is refused") {
  const Recipe recipe = parse_recipe(head + body, "r.toml");
  for (const double value : {0.0, -5.0}) {
    CHECK_THROWS_WITH_AS(plan_cost(recipe, {.sd = 0.1, .effect = value}), doctest::Contains("--effect must be above 0"),
                         assay::core::ConfigError);
    CHECK_THROWS_WITH_AS(plan_cost(recipe, {.sd = 0.1, .seconds = value}), doctest::Contains("--seconds must be above 0"),
                         assay::core::ConfigError);
  }
}
