#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "assay/core/toml_places.h"
#include "assay/core/value.h"
#include "core/refusal.h"
#include "core/small_stack.h"

using namespace assay;
using core::Value;
using test::contains;
using test::repeated;

namespace {

std::string toml_fault(std::string_view text, core::ParseLimits limits = {.depth = 32}) {
  return test::refusal<core::DataError>([&] { core::parse_toml(text, "recipe.toml", limits); });
}

Value from_toml(std::string_view text) { return core::parse_toml(text, "test"); }

std::string arrays(size_t levels) { return "a = " + repeated("[", levels) + repeated("]", levels); }
std::string tables(size_t levels) { return "a = " + repeated("{b = ", levels) + "1" + repeated("}", levels); }
std::string dotted(size_t segments) { return repeated("a.", segments - 1) + "a"; }

std::string keys_in_order(const Value& v) {
  std::string out;
  for (const auto& [key, member] : v.as_object()) out += key + " ";
  return out;
}

void check_round_trip(const Value& v) {
  const std::string text = core::to_toml(v);
  CHECK_MESSAGE(from_toml(text) == v, std::string(text));
}

}  // namespace

TEST_CASE("a TOML document reads into values of its kinds") {
  const Value v = from_toml(
      "yes = true\nn = 1_000\nhex = 0xff\nx = 1e-3\ns = 'é'\nlist = [1, 2]\n[optim]\nlr = 0.1\n[a.b]\nc = {d = 1}\n[[arms]]\nname = 'x'\n");
  CHECK(v.at("yes").as_bool());
  CHECK(v.at("n").as_int() == 1000);
  CHECK(v.at("hex").as_int() == 255);
  CHECK(v.at("x").as_double() == 0.001);
  CHECK(v.at("s").as_string() == "é");
  CHECK(v.at("list").size() == 2);
  CHECK(v.at("optim").at("lr").as_double() == 0.1);
  CHECK(v.at("a").at("b").at("c").at("d").as_int() == 1);
  CHECK(v.at("arms").as_array()[0].at("name").as_string() == "x");
  CHECK(from_toml("").size() == 0);
}

TEST_CASE("members of TOML tables keep the order of the text") {
  const Value v = from_toml("z = 1\na = {y = 1, b = 2}\n[m.second]\n[m.first]\n[c]\nk.j = 1\nk.i = 2\n");
  CHECK(keys_in_order(v) == "z a m c ");
  CHECK(keys_in_order(v.at("a")) == "y b ");
  CHECK(keys_in_order(v.at("m")) == "second first ");
  CHECK(keys_in_order(v.at("c").at("k")) == "j i ");
}

TEST_CASE("a fault in TOML names the source, the line and the column") {
  CHECK(contains(toml_fault("a = 1\nb = ?\n"), "recipe.toml at line 2, column 5"));
  CHECK(contains(toml_fault("a = 1\na = 2\n"), "recipe.toml at line 2"));
  CHECK(contains(toml_fault("a = 1\n\n[(b]\nc = 2\n"), "recipe.toml at line 3, column 1"));
  CHECK(contains(toml_fault("[(b]"), "recipe.toml at line 1, column 1"));
}

TEST_CASE("dates and times are refused with the way out") {
  for (const char* text :
       {"d = 1979-05-27", "d = 07:32:00", "d = 1979-05-27T07:32:00Z", "d = 1979-05-27 07:32:00", "d = [{e = 1979-05-27}]"})
    CHECK_MESSAGE(contains(toml_fault(text), "quote it to make it text"), std::string(text));
  CHECK(toml_fault("d = '1979-05-27'") == "");
}

TEST_CASE("malformed TOML is refused") {
  for (const char* text : {"a",
                           "a =",
                           "= 1",
                           "a = 1 b = 2",
                           "a = [1",
                           "a = {b = 1",
                           "a = 'open",
                           "a = \"\"\"open",
                           "[a",
                           "[a]]",
                           "[[a]",
                           "[]",
                           "[ [a]]",
                           "a = 01",
                           "a = 1__0",
                           "a = +",
                           "a = .5",
                           "a = 5.",
                           "a = nul",
                           "a = 9223372036854775808",
                           "a = {b = 1,}",
                           "a = {b = 1\n}",
                           "[a]\n[a]",
                           "a.b = 1\na = 2",
                           "a = []\n[[a]]",
                           "a = \"\\q\"",
                           "a = \"\\ud800\"",
                           "a = 'x\ny'",
                           "a.\"\"\"b\"\"\" = 1"})
    CHECK_MESSAGE(!toml_fault(text).empty(), std::string(text));
}

TEST_CASE("characters beyond ASCII belong into quotes and comments") {
  CHECK(toml_fault("\xef\xbb\xbf# été Ј\n'clé Ј' = \"é Ј\"\n") == "");
  CHECK(contains(toml_fault("a = 1\nclé = 1"), "line 2, column 3: a character beyond ASCII"));
  for (const char* text : {"a = Ј", "a = 'x'Ј", "[Ј]", "[a]Ј",
                           "a =\xc2\xa0"
                           "1",
                           "a = \"\"\"\\\nЈ\"\"\""})
    CHECK_MESSAGE(contains(toml_fault(text), "beyond ASCII"), std::string(text));
  for (const char* text : {"a = 1Ј", "a = [1Ј]", "a = 1'Ј'", "a = 1[\"Ј\"]", "a = 1=\"Ј\"", "a = [1\"\"\"Ј\"\"\"]"})
    CHECK_MESSAGE(contains(toml_fault(text), "no value holds"), std::string(text));
}

TEST_CASE("strings end where TOML says so") {
  const Value v =
      from_toml("a = \"[[#\\\"\"\nb = '''{{'{''''\nc = \"\"\"x\"\"\"\"\"\nd = \"\"\ne = ''\nf = '\\'\n\"k.[\" = \"\"\"\n\\\n   y\"\"\" # [ "
                "'\ng.'h.i'.\"j\" = 1\n");
  CHECK(v.at("a").as_string() == "[[#\"");
  CHECK(v.at("b").as_string() == "{{'{'");
  CHECK(v.at("c").as_string() == "x\"\"");
  CHECK(v.at("d").as_string() == "");
  CHECK(v.at("f").as_string() == "\\");
  CHECK(v.at("k.[").as_string() == "y");
  CHECK(v.at("g").at("h.i").at("j").as_int() == 1);
}

TEST_CASE("invalid UTF-8 and control characters in TOML are refused and not repeated") {
  for (const char* text :
       {"a = \"\xff\"", "a = '\xc0\xaf'", "# \xff\n", "a = \"\x1b[31m\"", "# \x1b[31m\n", "\x1b = 1", "a = \x07", "[\x1b]", "a = '\x7f'"}) {
    const std::string message = toml_fault(text);
    REQUIRE_FALSE(message.empty());
    for (const char c : message) CHECK_MESSAGE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f), message);
  }
}

TEST_CASE("TOML is read down to the limit of depth and no further") {
  for (auto* document :
       {+[](size_t levels) { return arrays(levels - 1); }, +[](size_t levels) { return tables(levels - 1); },
        +[](size_t levels) { return dotted(levels) + " = 1"; }, +[](size_t levels) { return "[" + dotted(levels - 1) + "]"; },
        +[](size_t levels) { return "[[" + dotted(levels - 2) + "]]"; },
        +[](size_t levels) { return "[a.b]\nc.d = [{e.f = " + repeated("[", levels - 7) + repeated("]", levels - 7) + "}]"; }}) {
    CHECK(toml_fault(document(31)) == "");
    CHECK(toml_fault(document(32)) == "");
    CHECK(contains(toml_fault(document(33)), "nested deeper than 32 levels"));
  }
}

TEST_CASE("depth that only headers of headers show is refused, too") {
  std::string text;
  for (size_t segments = 1; segments <= 20; ++segments) text += "[[" + dotted(segments) + "]]\n";
  CHECK(contains(toml_fault(text), "nested deeper than 32 levels"));
}

TEST_CASE("depth is not counted across values that are closed") {
  CHECK(toml_fault("a = [" + repeated("[[1], {b.c = 1}],", 200) + "]\n" + repeated("# [[[[\n", 200)) == "");
}

TEST_CASE("hostile depth in TOML does not overflow a small stack") {
  test::on_small_stack(size_t{256} << 10, [] {
    CHECK(toml_fault(arrays(31)) == "");
    CHECK(toml_fault(tables(31)) == "");
    for (const std::string& text : {arrays(100000), tables(100000), "a = " + repeated("[", 100000), "a = " + repeated("[{b = ", 100000),
                                    dotted(100000) + " = 1", "[" + dotted(100000) + "]", "a = {" + dotted(100000) + " = 1}"})
      CHECK(contains(toml_fault(text), "nested deeper than 32 levels"));
    CHECK_FALSE(toml_fault(repeated("[", 100000)).empty());
  });
}

TEST_CASE("a TOML text beyond the limit of size is refused before it is read") {
  CHECK(toml_fault("a=1", {3, 64}) == "");
  CHECK(contains(toml_fault("a=1\n", {3, 64}), "4 bytes came; at most 3 are read"));
}

TEST_CASE("written TOML reads back to the same value") {
  const char* text = R"(
name = "demo"
seeds = [1, 2, 3]
mixed = [1, 2.5, "x", [true], {k = 1}]
empty = []
limits = [inf, -inf, 1.0, 1e300, 5e-324, 0.1]
"quoted key" = 'a "b" \ c'
control = "\u0000\u001f\u007F\t\n"
nothing = ""
[model]
[model.inner]
depth = 2
[[arms]]
name = "a"
[arms.optim]
lr = 0.1
[[arms]]
[tables.'dotted.key'.x]
y = {z = {}}
)";
  check_round_trip(from_toml(text));
}

TEST_CASE("written TOML says plain members before tables, in their order otherwise") {
  Value v;
  v["optim"]["lr"] = 0.1;
  v["seed"] = 7;
  v["out"] = "runs/x";
  CHECK(core::to_toml(v) == "seed = 7\nout = \"runs/x\"\n\n[optim]\nlr = 0.1\n");
  CHECK(core::to_toml(Value::object()) == "");
}

TEST_CASE("a not-a-number survives TOML") { CHECK(std::isnan(from_toml(core::to_toml(from_toml("x = nan"))).at("x").as_double())); }

TEST_CASE("what TOML cannot say is an error of the writer") {
  Value with_null, with_bytes, with_key;
  with_null["a"]["b"] = Value();
  with_bytes["a"] = "\xff";
  with_key["\xff"] = 1;
  CHECK(contains(test::refusal<core::ConfigError>([&] { core::to_toml(with_null); }), "null"));
  CHECK(contains(test::refusal<core::ConfigError>([&] { core::to_toml(with_bytes); }), "UTF-8"));
  CHECK(contains(test::refusal<core::ConfigError>([&] { core::to_toml(with_key); }), "UTF-8"));
  CHECK(contains(test::refusal<core::ConfigError>([] { core::to_toml(Value(1)); }), "integer came"));
}

TEST_CASE("every member of a text has its place, also those of dotted keys, headers and lists") {
  assay::core::TomlPlaces places;
  const Value v = assay::core::parse_toml("a = 1\n  b.c = 2\n[t]\nx = [1,\n 2]\n[[arm]]\nname = \"p\"\n[[arm]]\n[arm.optim]\nlr = 3\n",
                                          "p.toml", places);
  CHECK(v.at("b").at("c").as_int() == 2);
  CHECK(places.of({"a"}) == "line 1, column 1");
  CHECK(places.of({"b", "c"}) == "line 2, column 5");
  CHECK(places.of({"t"}) == "line 3, column 2");
  CHECK(places.of({"t", "x", "1"}) == "line 5, column 2");
  CHECK(places.of({"arm", "0"}) == "line 6, column 1");
  CHECK(places.of({"arm", "1"}) == "line 8, column 1");
  CHECK(places.of({"arm", "1", "optim", "lr"}) == "line 10, column 1");
  CHECK(places.of({"arm", "1", "optim", "beta"}) == places.of({"arm", "1", "optim"}));  // the nearest that the text has
  CHECK(places.of({"absent"}) == "line 1, column 1");
  CHECK(places.has({"t", "x"}));
  CHECK_FALSE(places.has({"absent"}));
}
