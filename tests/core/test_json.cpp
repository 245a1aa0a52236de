#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "assay/core/value.h"
#include "core/refusal.h"
#include "core/small_stack.h"

using namespace assay;
using core::Value;
using test::contains;
using test::repeated;

namespace {

std::string fault(std::string_view text, core::ParseLimits limits = {}) {
  return test::refusal<core::DataError>([&] { core::parse_json(text, "run.json", limits); });
}

Value parsed(std::string_view text) { return core::parse_json(text, "test"); }

std::string nested(size_t levels) { return repeated("[", levels) + repeated("]", levels); }

}  // namespace

TEST_CASE("a JSON document reads into values of its kinds") {
  const Value v = parsed(R"( {"null":null,"yes":true,"n":-3,"x":2.5e-1,"text":"é€😀","list":[1,[2]],"inner":{"k":"v"}} )");
  CHECK(v.at("null").is_null());
  CHECK(v.at("yes").as_bool());
  CHECK(v.at("n").as_int() == -3);
  CHECK(v.at("x").as_double() == 0.25);
  CHECK(v.at("text").as_string() == "é€😀");
  CHECK(v.at("list").as_array()[1].as_array()[0].as_int() == 2);
  CHECK(v.at("inner").at("k").as_string() == "v");
}

TEST_CASE("integers beyond 64 bits become numbers") {
  CHECK(parsed("9223372036854775807").as_int() == std::numeric_limits<int64_t>::max());
  CHECK(parsed("-9223372036854775808").as_int() == std::numeric_limits<int64_t>::min());
  CHECK_FALSE(parsed("9223372036854775808").is_int());
  CHECK(parsed("18446744073709551615").as_double() == 18446744073709551615.0);
  CHECK(parsed("-123456789012345678901234567890").as_double() == -123456789012345678901234567890.0);
  CHECK_FALSE(parsed("1.0").is_int());
}

TEST_CASE("a fault in JSON names the source, the line and the column") {
  CHECK(contains(fault("{\"a\": 1,\n  x}"), "run.json at line 2, column 3"));
  CHECK(contains(fault(""), "run.json at line 1, column 1"));
}

TEST_CASE("everything that RFC 8259 does not allow is refused") {
  for (const char* text :
       {"",      " ",      "nan",      "[NaN]",      "[Infinity]", "[-Infinity]", "[1,]",    "{\"a\":1,}",  "{a:1}", "{'a':1}",
        "[1 2]", "1 2",    "[] x",     "[1",         "{\"a\"",     "\"open",      "[01]",    "[+1]",        "[.5]",  "[1.]",
        "[1e]",  "[0x10]", "// no\n1", "[/* no */]", "tru",        "\"\t\"",      "\"\\x\"", "\"\\ud800\"", "1e999"})
    CHECK_MESSAGE(!fault(text).empty(), std::string(text));
}

TEST_CASE("a key that comes twice is refused at any level and in any spelling") {
  CHECK(contains(fault(R"({"a":1,"b":2,"a":3})"), "'a' comes twice"));
  CHECK(contains(fault(R"({"x":[{"a":1,"\u0061":3}]})"), "'a' comes twice"));
  CHECK(fault(R"({"a":{"a":1},"b":{"a":1}})") == "");
}

TEST_CASE("invalid UTF-8 in JSON is refused") {
  for (const char* bytes : {"\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\x80"})
    CHECK_FALSE(fault("[\"" + std::string(bytes) + "\"]").empty());
  CHECK_FALSE(fault("\xff\xfe[1]").empty());
}

TEST_CASE("a message about JSON holds no control character of its text") {
  for (const char* text :
       {"[\x1b[31m]", "{\"a\": \x07}", "\"\x1b]0;title\x07\"", "{\"\\u001b[2J\":1,\"\\u001b[2J\":2}", "[\"\xff\x1b\"]", "\x7f"}) {
    const std::string message = fault(text);
    REQUIRE_FALSE(message.empty());
    for (const char c : message) CHECK_MESSAGE((static_cast<unsigned char>(c) >= 0x20 && c != 0x7f), message);
  }
}

TEST_CASE("the name of a source cannot drive a terminal, either") {
  const std::string message = test::refusal<core::DataError>([] { core::parse_json("x", "\x1b[31m.json"); });
  CHECK(contains(message, "\\x1B[31m.json"));
}

TEST_CASE("JSON is read down to the limit of depth and no further") {
  CHECK(fault(nested(63)) == "");
  CHECK(fault(nested(64)) == "");
  CHECK(contains(fault(nested(65)), "nested deeper than 64 levels"));
  CHECK(contains(fault(nested(3), {1000, 2}), "line 1, column 3"));
}

TEST_CASE("hostile depth in JSON does not overflow a small stack") {
  test::on_small_stack(size_t{256} << 10, [] {
    CHECK(fault(nested(64)) == "");
    CHECK_FALSE(fault(repeated("[", 100000)).empty());
    CHECK_FALSE(fault(repeated("{\"a\":", 100000)).empty());
    CHECK_FALSE(fault(nested(100000)).empty());
  });
}

TEST_CASE("a JSON text beyond the limit of size is refused before it is read") {
  CHECK(fault("[1]", {3, 64}) == "");
  CHECK(contains(fault("[1] ", {3, 64}), "4 bytes came; at most 3 are read"));
}

TEST_CASE("an object with a hundred thousand keys is read") {
  std::string text = "{";
  for (int i = 0; i < 100000; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
  CHECK(core::parse_json(text + "}", "test", {size_t{4} << 20, 64}).size() == 100000);
  CHECK(contains(fault(text + ",\"77\":0}", {size_t{4} << 20, 64}), "'77' comes twice"));
}

TEST_CASE("written JSON reads back to the same value") {
  const char* text =
      R"({"z":null,"a":[true,false,[],{}],"n":[0,-1,9223372036854775807],"x":[1.0,-0.5,0.1,1e+300,5e-324],"s":"\"\\\u0000\u001f\u007fé"})";
  const Value v = parsed(text);
  CHECK(parsed(core::to_json(v)) == v);
  CHECK(parsed(core::to_json(v, 2)) == v);
  CHECK(core::to_json(v, 2).find('\n') != std::string::npos);
  CHECK(core::to_json(v).find('\n') == std::string::npos);
}

TEST_CASE("written JSON keeps the order of members and the kind of numbers") {
  CHECK(core::to_json(parsed(R"({"b":1,"a":1.0})")) == R"({"b":1,"a":1.0})");
  CHECK(core::to_json(Value(-0.0)) == "-0.0");
}

TEST_CASE("a double keeps all of its digits in JSON") {
  for (const double x : {0.1, 1.0 / 3, 2.0 / 3, 1e23, 123456789.12345679, 5e-324, 1.7976931348623157e308, 0.30000000000000004})
    CHECK(parsed(core::to_json(Value(x))).as_double() == x);
}

TEST_CASE("what JSON cannot say is written as null or as the replacement character") {
  CHECK(core::to_json(Value(std::nan(""))) == "null");
  CHECK(core::to_json(Value(-std::numeric_limits<double>::infinity())) == "null");
  CHECK(core::to_json(Value("a\xff")) == "\"a\xef\xbf\xbd\"");
}
