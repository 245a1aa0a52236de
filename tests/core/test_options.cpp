#include <doctest/doctest.h>

#include <limits>

#include "assay/core/options.h"
#include "core/refusal.h"

using namespace assay;
using core::Bound;
using core::ConfigError;
using core::Settings;
using core::Source;
using core::Value;
using test::contains;

namespace {

struct Optim {
  double lr = 0.003;
  std::string schedule = "cosine";
  bool nesterov = false;
  static const core::Schema& schema() {
    static const core::Schema s = core::declare<Optim>(
        "optim", {
                     core::option("lr", &Optim::lr, "peak learning rate", 0.0, 10.0).env("LR"),
                     core::option("schedule", &Optim::schedule, "learning-rate schedule").one_of({"constant", "cosine"}),
                     core::option("nesterov", &Optim::nesterov, "look ahead").env("NESTEROV"),
                 });
    return s;
  }
};

struct Model {
  int64_t dim = 64;
  std::vector<int64_t> bands = {4, 4, 8};
  std::string out = "runs";
  static const core::Schema& schema() {
    static const core::Schema s =
        core::declare<Model>("model", {
                                          core::option("dim", &Model::dim, "width", 1, 1e6).env("DIM").env("WIDTH"),
                                          core::option("bands", &Model::bands, "split", 1, 64).env("BAND_SPLIT"),
                                          core::option("out", &Model::out, "where runs go").neutral(),
                                      });
    return s;
  }
};

// A third section that shares a name with the first.
struct Warmup {
  double lr = 0;
  static const core::Schema& schema() {
    static const core::Schema s = core::declare<Warmup>("warmup", {core::option("lr", &Warmup::lr, "first learning rate", 0.0)});
    return s;
  }
};

struct Both {
  Optim optim;
  Model model;
  Settings settings;
  Both() {
    settings.add(Bound::of(optim));
    settings.add(Bound::of(model));
  }
  std::string fault(std::string_view assignment) {
    return test::refusal<ConfigError>([&] { settings.set_assignment(assignment, Source::command_line); });
  }
};

}  // namespace

TEST_CASE("options start at the defaults of their struct") {
  Both b;
  CHECK(b.settings.values() == core::parse_json(R"({"optim":{"lr":0.003,"schedule":"cosine","nesterov":false},
                                                    "model":{"dim":64,"bands":[4,4,8],"out":"runs"}})",
                                                "test"));
  CHECK(b.settings.sources() == Value::object());
}

TEST_CASE("an assignment reaches the member, with its section or without") {
  Both b;
  b.settings.set_assignment("optim.lr=1e-3", Source::command_line);
  b.settings.set_assignment("dim=128", Source::command_line);
  CHECK(b.optim.lr == 0.001);
  CHECK(b.model.dim == 128);
}

TEST_CASE("text is read by the kind of the option") {
  Both b;
  for (const char* text : {"nesterov=true", "nesterov=1", "nesterov=True", "nesterov= TRUE "}) {
    b.optim.nesterov = false;
    CHECK_MESSAGE(b.fault(text) == "", std::string(text));
    CHECK(b.optim.nesterov);
  }
  CHECK(b.fault("nesterov=0") == "");
  CHECK_FALSE(b.optim.nesterov);
  CHECK(b.fault("lr=3") == "");
  CHECK(b.optim.lr == 3.0);
  CHECK(b.fault("bands=1, 2,3") == "");
  CHECK(b.model.bands == std::vector<int64_t>{1, 2, 3});
  CHECK(b.fault("bands=7") == "");
  CHECK(b.model.bands == std::vector<int64_t>{7});
  CHECK(b.fault("bands=") == "");
  CHECK(b.model.bands.empty());
  CHECK(b.fault("out= a=b ") == "");
  CHECK(b.model.out == " a=b ");
}

TEST_CASE("text that is not all of the kind is refused with what came and what was wanted") {
  Both b;
  CHECK(contains(b.fault("dim=3.5"), "model.dim: '3.5' came; an integer from 1 to 1000000 was wanted"));
  CHECK(contains(b.fault("lr=fast"), "optim.lr: 'fast' came; a number from 0 to 10 was wanted"));
  CHECK(contains(b.fault("bands=1,x"), "integers separated by commas, each from 1 to 64"));
  for (const char* text : {"dim=", "dim=1e3", "dim=0x10", "dim=12 13", "dim=99999999999999999999", "lr=", "lr=1,5", "lr=1e999", "lr=0.1f",
                           "nesterov=yes", "nesterov=", "bands=1,", "bands=,1", "bands=1,,2", "bands=1.5"})
    CHECK_MESSAGE(!b.fault(text).empty(), std::string(text));
}

TEST_CASE("values out of range are refused, the ends are taken") {
  Both b;
  CHECK(b.fault("lr=0") == "");
  CHECK(b.fault("lr=10") == "");
  for (const char* text : {"lr=-1e-9", "lr=10.0001", "lr=nan", "lr=inf", "lr=-inf", "dim=0", "dim=1000001", "bands=1,65", "bands=0"})
    CHECK_MESSAGE(contains(b.fault(text), "was wanted"), std::string(text));
  CHECK(b.optim.lr == 10.0);
}

TEST_CASE("a number that is not finite is refused where there is no range, too") {
  Warmup w;
  Bound bound = Bound::of(w);
  CHECK(contains(test::refusal<ConfigError>([&] { bound.set("lr", std::numeric_limits<double>::infinity(), Source::recipe); }),
                 "of at least 0"));
}

TEST_CASE("values of documents have to be of the option's kind") {
  Both b;
  auto fault = [&](const char* json) {
    return test::refusal<ConfigError>([&] { b.settings.set_document(core::parse_json(json, "test"), Source::recipe); });
  };
  CHECK(fault(R"({"optim":{"lr":1,"schedule":"constant","nesterov":true},"model":{"dim":3,"bands":[1,2]}})") == "");
  CHECK(b.optim.lr == 1.0);
  for (const char* json : {R"({"optim":{"lr":true}})", R"({"optim":{"lr":null}})", R"({"optim":{"lr":[1]}})", R"({"optim":{"nesterov":1}})",
                           R"({"optim":{"schedule":3}})", R"({"model":{"dim":3.0}})", R"({"model":{"bands":[1,2.5]}})",
                           R"({"model":{"bands":3}})", R"({"model":{"dim":{"x":1}}})", R"({"model":3})", R"({"lr":1})", R"([])"})
    CHECK_MESSAGE(!fault(json).empty(), std::string(json));
}

TEST_CASE("an unknown name is answered with the nearest known one") {
  Both b;
  CHECK(contains(b.fault("optim.schedul=cosine"), "optim: unknown option 'schedul'; did you mean 'schedule'?"));
  CHECK(contains(b.fault("optmi.lr=1"), "unknown section 'optmi'; did you mean 'optim'?"));
  CHECK(contains(b.fault("nestrov=1"), "did you mean 'nesterov'?"));
  CHECK(contains(b.fault("schedule=cosin"), "optim.schedule: unknown value 'cosin'; did you mean 'cosine'?"));
  CHECK(contains(b.fault("zzz=1"), "unknown option 'zzz'; known: lr, schedule, nesterov, dim, bands, out"));
  CHECK(contains(b.fault("lr"), "'lr' came; OPTION=VALUE was wanted"));
  CHECK_FALSE(b.fault("=1").empty());
  CHECK_FALSE(b.fault(".=1").empty());
}

TEST_CASE("a name that two sections have needs its section") {
  Both b;
  Warmup w;
  b.settings.add(Bound::of(w));
  CHECK(contains(b.fault("lr=1"), "'lr' could be any of optim.lr, warmup.lr"));
  CHECK(b.fault("warmup.lr=1") == "");
  CHECK(w.lr == 1.0);
}

TEST_CASE("a later source beats an earlier one, whatever the order of setting") {
  Both b;
  b.settings.set("lr", 3.0, Source::command_line);
  b.settings.set("lr", 2.0, Source::environment);
  b.settings.set("lr", 1.0, Source::recipe);
  CHECK(b.optim.lr == 3.0);
  b.settings.set("dim", 1, Source::recipe);
  b.settings.set("dim", 2, Source::environment);
  CHECK(b.model.dim == 2);
  b.settings.set("dim", 3, Source::environment);
  CHECK(b.model.dim == 3);
  CHECK(b.settings.sources() == core::parse_json(R"({"optim.lr":"command line","model.dim":"environment"})", "test"));
  CHECK(b.settings.find("optim")->source("schedule") == Source::fallback);
}

TEST_CASE("a faulty value is an error even where a stronger source has spoken") {
  Both b;
  b.settings.set("lr", 3.0, Source::command_line);
  CHECK_FALSE(test::refusal<ConfigError>([&] { b.settings.set("lr", 99.0, Source::recipe); }).empty());
  CHECK(b.optim.lr == 3.0);
}

TEST_CASE("names of the environment are read in any case") {
  Both b;
  const auto unread = b.settings.set_environment({{"lr", "0.5"}, {"Band_Split", "2,2"}, {"HOME", "/root"}, {"WIDTH", "32"}}, {});
  CHECK(unread.empty());
  CHECK(b.optim.lr == 0.5);
  CHECK(b.model.bands == std::vector<int64_t>{2, 2});
  CHECK(b.model.dim == 32);
  CHECK(b.settings.find("optim")->source("lr") == Source::environment);
}

TEST_CASE("known names of the environment that nothing reads are handed back") {
  Both b;
  const auto unread = b.settings.set_environment({{"num_heads", "2"}, {"LR", "1"}, {"PATH", "/bin"}}, {"NUM_HEADS", "LR", "K_ACTIVE"});
  CHECK(unread == std::vector<std::string>{"NUM_HEADS"});
}

TEST_CASE("a faulty variable of the environment is named in the message") {
  Both b;
  auto fault = [&](std::vector<std::pair<std::string, std::string>> environment) {
    return test::refusal<ConfigError>([&] { b.settings.set_environment(environment, {}); });
  };
  CHECK(contains(fault({{"lr", "fast"}}), "LR of the environment (optim.lr): 'fast' came"));
  CHECK(contains(fault({{"lr", "1"}, {"LR", "2"}}), "LR in two spellings, to '1' and '2'"));
  CHECK(fault({{"lr", "1"}, {"LR", "1"}}) == "");
}

TEST_CASE("the fingerprint depends on values, not on order, neutral options or sources") {
  Both a, b;
  Settings reversed;
  reversed.add(Bound::of(b.model));
  reversed.add(Bound::of(b.optim));
  const std::string start = a.settings.fingerprint();
  CHECK(start.size() == 16);
  CHECK(reversed.fingerprint() == start);
  b.model.out = "elsewhere";
  CHECK(reversed.fingerprint() == start);
  a.settings.set("lr", 0.003, Source::command_line);
  CHECK(a.settings.fingerprint() == start);
  a.settings.set("dim", 65, Source::command_line);
  CHECK(a.settings.fingerprint() != start);
}

TEST_CASE("minus zero and zero are one setting") {
  Both a, b;
  a.optim.lr = 0.0;
  b.optim.lr = -0.0;
  CHECK(a.settings.fingerprint() == b.settings.fingerprint());
}

TEST_CASE("the fingerprint is the hash of the sorted, written settings, on every machine") {
  Both b;
  CHECK(b.settings.fingerprint() == "64ba03ffe704a126");
}

TEST_CASE("settings survive TOML and JSON") {
  Both a;
  for (const char* assignment : {"lr=0.1", "nesterov=1", "bands=", "out=a \"b\"\n\xc3\xa9"}) CHECK(a.fault(assignment) == "");
  for (const Value& document :
       {core::parse_toml(core::to_toml(a.settings.values()), "test"), core::parse_json(core::to_json(a.settings.values()), "test")}) {
    Both b;
    b.settings.set_document(document, Source::recipe);
    CHECK(b.settings.values() == a.settings.values());
    CHECK(b.settings.fingerprint() == a.settings.fingerprint());
  }
}

TEST_CASE("text that TOML could not carry is refused as a value") {
  Both b;
  CHECK(contains(b.fault("out=\xff"), "not valid UTF-8"));
}

TEST_CASE("the difference of two configurations lists what differs") {
  Both a, b;
  CHECK(core::difference(a.settings.values(), b.settings.values()).size() == 0);
  b.settings.set("lr", 1.0, Source::recipe);
  b.settings.set("bands", Value(Value::Array{1}), Source::recipe);
  Value left = a.settings.values(), right = b.settings.values();
  left["data"]["path"] = "x";
  CHECK(core::difference(left, right) ==
        core::parse_json(R"([{"option":"data.path","a":"x","b":null},{"option":"model.bands","a":[4,4,8],"b":[1]},
                                                             {"option":"optim.lr","a":0.003,"b":1.0}])",
                         "test"));
}

TEST_CASE("help names every option with kind, default, choices, range and variables, in columns") {
  Both b;
  CHECK(b.settings.help() == "optim:\n"
                             "  lr        number   0.003   peak learning rate (from 0 to 10) [LR]\n"
                             "  schedule  text     cosine  learning-rate schedule (constant, cosine)\n"
                             "  nesterov  boolean  false   look ahead [NESTEROV]\n"
                             "\n"
                             "model:\n"
                             "  dim    integer   64     width (from 1 to 1000000) [DIM, WIDTH]\n"
                             "  bands  integers  4,4,8  split (from 1 to 64) [BAND_SPLIT]\n"
                             "  out    text      runs   where runs go\n");
}

TEST_CASE("a schema that contradicts itself is refused when it is declared") {
  auto twice = [] { core::declare<Warmup>("w", {core::option("lr", &Warmup::lr, ""), core::option("lr", &Warmup::lr, "")}); };
  auto out_of_range = [] { core::declare<Warmup>("w", {core::option("lr", &Warmup::lr, "", 1.0, 2.0)}); };
  CHECK(contains(test::refusal<ConfigError>(twice), "w.lr is declared twice"));
  CHECK(contains(test::refusal<ConfigError>(out_of_range), "w.lr: 0.0 came; a number from 1 to 2"));
  Both b;
  Optim other;
  CHECK(contains(test::refusal<ConfigError>([&] { b.settings.add(Bound::of(other)); }), "'optim' is there already"));
}

TEST_CASE("the nearest name allows for a third of wrong letters") {
  const std::vector<std::string> known = {"interaction_rank", "lr", "steps", "band"};
  CHECK(core::nearest("interation_rnak", known) == "interaction_rank");
  CHECK(core::nearest("LR", known) == "lr");
  CHECK(core::nearest("setps", known) == "steps");
  CHECK(core::nearest("xy", known) == "");
  CHECK(core::nearest("", known) == "");
  CHECK(core::nearest(std::string(1000000, 'a'), known) == "");
}

TEST_CASE("a name without a near one is answered with at most twenty known ones") {
  std::vector<std::string> known;
  for (int i = 0; i < 25; ++i) known.push_back("name_" + std::to_string(i));
  const std::string text = core::unknown_name("thing", "q\x1b", known);
  CHECK(contains(text, "known: name_0, name_1,"));
  CHECK(contains(text, "name_19 and 5 more"));
  CHECK_FALSE(contains(text, "\x1b"));
  CHECK(contains(core::unknown_name("thing", "q", {}), "there are none"));
  CHECK(contains(core::unknown_name("thing", "band", {"banded_mlp", "husband", "sort"}), "did you mean 'banded_mlp'?"));
  CHECK(contains(core::unknown_name("thing", "ban", {"banded_mlp", "banded_product"}), "did you mean one of banded_mlp, banded_product?"));
  CHECK(contains(core::unknown_name("thing", "sban", {"husbandry", "sort"}), "did you mean 'husbandry'?"));
  CHECK(contains(core::unknown_name("thing", "v99", {"linear_attention"}, {"v9"}), "did you mean 'v9'?"));
  CHECK(core::unknown_name("thing", "xyz", {"linear_attention"}, {"v9"}).ends_with("known: linear_attention"));
}
