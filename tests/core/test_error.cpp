#include <doctest/doctest.h>

#include "assay/core/error.h"

using namespace assay::core;
using namespace std::string_literals;

TEST_CASE("an error opens with its speaker and carries its exit code") {
  CHECK(ConfigError("shards", "no such file").what() == "[shards] no such file"s);
  CHECK(ConfigError("a", "b").code() == Exit::bad_input);
  CHECK(DataError("a", "b").code() == Exit::bad_input);
  CHECK(NumericsError("a", "b").code() == Exit::diverged);
  CHECK(ResourceError("a", "b").code() == Exit::resource);
  CHECK(DeviceError("a", "b").code() == Exit::device);
  CHECK(Interrupted("a", "b").code() == Exit::interrupted);
}

TEST_CASE("no control character of a message reaches the terminal") {
  const std::string what = DataError("shards\x1b", "name \x1b[2J\r\n\x9b"s).what();
  CHECK(what == "[shards\\x1B] name \\x1B[2J\\x0D\\x0A\\x9B");
}

TEST_CASE("printable text passes unchanged, in every script") {
  const std::string text = "a\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80 \xEF\xBF\xBD";
  CHECK(printable(text) == text);
  CHECK(printable("") == "");
}

TEST_CASE("C0, DEL and C1 are escaped") {
  for (int c = 0; c < 0x20; ++c) {
    CHECK(printable(std::string(1, static_cast<char>(c))).size() == 4);
  }
  CHECK(printable("\0"s) == "\\x00");
  CHECK(printable("\x7F") == "\\x7F");
  CHECK(printable("\xC2\x80") == "\\xC2\\x80");
  CHECK(printable("\xC2\x9F") == "\\xC2\\x9F");
  CHECK(printable("\xC2\xA0") == "\xC2\xA0");
}

TEST_CASE("invalid UTF-8 is escaped byte by byte and refused by is_utf8") {
  const std::string bad[] = {
      "\x80",     "\xC0\xAF",     "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80",
      "\xE2\x82", "\xF0\x9F\x98", "\xC3"};
  for (const std::string& text : bad) {
    CAPTURE(text.size());
    CHECK_FALSE(is_utf8(text));
    CHECK_FALSE(is_utf8("ok " + text + " ok"));
    CHECK(printable(text).size() == 4 * text.size());
  }
  CHECK(printable("a\xE2\x82z") == "a\\xE2\\x82z");
}

TEST_CASE("the ends of every UTF-8 range are accepted") {
  for (const std::string& text : {"\x7F"s, "\xC2\x80"s, "\xDF\xBF"s, "\xE0\xA0\x80"s, "\xED\x9F\xBF"s, "\xEE\x80\x80"s, "\xEF\xBF\xBF"s,
                                  "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s, ""s}) {
    CHECK(is_utf8(text));
  }
}

TEST_CASE("long text is cut at a whole character within the limit") {
  CHECK(printable("abcdef", 6) == "abcdef");
  CHECK(printable("abcdefg", 6) == "abc...");
  CHECK(printable("ab\xE2\x82\xAC\xE2\x82\xAC", 6) == "ab...");
  CHECK(printable("ab\n\n", 6) == "ab...");
  CHECK(printable("abc", 2) == "ab");
  CHECK(printable("abc", 0) == "");
  CHECK(printable(std::string(1 << 20, '\n')).size() <= 400);
}

TEST_CASE("a message from a hostile file stays readable in length") {
  CHECK(std::string(DataError("a", std::string(1 << 20, 'x')).what()).size() < 5000);
}
