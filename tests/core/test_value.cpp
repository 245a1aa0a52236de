#include <doctest/doctest.h>

#include <cstdint>
#include <limits>

#include "assay/core/value.h"
#include "core/refusal.h"

using namespace assay;
using core::Value;
using test::contains;
using test::refusal;

TEST_CASE("a value knows its kind") {
  CHECK(std::string(Value().kind()) == "null");
  CHECK(std::string(Value(true).kind()) == "boolean");
  CHECK(std::string(Value(3).kind()) == "integer");
  CHECK(std::string(Value(3.0).kind()) == "number");
  CHECK(std::string(Value("text").kind()) == "string");
  CHECK(std::string(Value::array().kind()) == "array");
  CHECK(std::string(Value::object().kind()) == "object");
}

TEST_CASE("text is not taken for a boolean") {
  CHECK(Value("false").is_string());
  CHECK(Value(std::string_view("x")).as_string() == "x");
}

TEST_CASE("an integer is a number, a number is no integer") {
  CHECK(Value(3).as_double() == 3.0);
  CHECK(contains(refusal<core::DataError>([] { Value(3.0).as_int(); }), "integer was wanted, but number came"));
}

TEST_CASE("every access to a wrong kind is refused with both kinds") {
  const Value v("x");
  Value text("x");
  CHECK(contains(refusal<core::DataError>([&] { v.as_bool(); }), "boolean was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { v.as_double(); }), "number was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { v.as_array(); }), "array was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { text.as_array(); }), "array was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { v.as_object(); }), "object was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { text["key"]; }), "object was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([&] { text.push_back(1); }), "array was wanted, but string came"));
  CHECK(contains(refusal<core::DataError>([] { Value(1).as_string(); }), "string was wanted, but integer came"));
}

TEST_CASE("an unsigned number beyond the signed range is refused") {
  const auto limit = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  CHECK(Value(limit).as_int() == std::numeric_limits<int64_t>::max());
  CHECK(contains(refusal<core::DataError>([&] { Value(limit + 1); }), "9223372036854775808"));
}

TEST_CASE("members keep the order in which they came") {
  Value v;
  v["z"] = 1;
  v["a"] = 2;
  v["z"] = 3;
  REQUIRE(v.size() == 2);
  CHECK(v.as_object()[0].first == "z");
  CHECK(v.at("z").as_int() == 3);
  CHECK(v.find("b") == nullptr);
  v.erase("z");
  v.erase("absent");
  CHECK(v.size() == 1);
  CHECK(contains(refusal<core::DataError>([&] { v.at("gone"); }), "'gone'"));
}

TEST_CASE("null grows into an array or an object") {
  Value list, object;
  list.push_back(1);
  list.push_back("two");
  object["a"]["b"] = 1;
  CHECK(list.size() == 2);
  CHECK(object.at("a").at("b").as_int() == 1);
  CHECK(Value("text").size() == 0);
}

TEST_CASE("objects are equal in any order, arrays are not, and 1 is not 1.0") {
  Value a, b;
  a["x"] = 1;
  a["y"] = 2;
  b["y"] = 2;
  b["x"] = 1;
  CHECK(a == b);
  b["x"] = 1.0;
  CHECK_FALSE(a == b);
  b.erase("x");
  CHECK_FALSE(a == b);
  b["z"] = 1;
  CHECK_FALSE(a == b);
  CHECK_FALSE(Value(Value::Array{1, 2}) == Value(Value::Array{2, 1}));
}
