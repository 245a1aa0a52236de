#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "assay/data/utf8.h"
#include "data/files.h"

using namespace assay;
using namespace assay::test;
using Documents = std::vector<std::string>;

namespace {

std::string refusal(const std::string& name, std::string_view content) {
  const Scratch scratch;
  write(scratch / name, content);
  return test::refusal<core::DataError>([&] { data::read_documents(scratch / name); });
}

Documents documents(const std::string& name, std::string_view content, bool split_paragraphs = false) {
  const Scratch scratch;
  write(scratch / name, content);
  return data::read_documents(scratch / name, split_paragraphs);
}

}  // namespace

TEST_CASE("UTF-8 is accepted up to its last character and refused at the first wrong byte") {
  CHECK_FALSE(data::invalid_utf8(""));
  CHECK_FALSE(data::invalid_utf8("\x01 plain \x7F"));
  CHECK_FALSE(
      data::invalid_utf8("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
  const std::vector<std::pair<std::string, size_t>> wrong{
      {"\x80", 0},              // goes on without a beginning
      {"ab\xC0\xAF", 2},        // overlong
      {"a\xC1\xBF", 1},         // overlong
      {"\xE0\x9F\xBF", 0},      // overlong
      {"\xF0\x8F\xBF\xBF", 0},  // overlong
      {"x\xED\xA0\x80", 1},     // a surrogate
      {"\xF4\x90\x80\x80", 0},  // beyond U+10FFFF
      {"\xF5\x80\x80\x80", 0},
      {"\xFF", 0},
      {"0123456789abcdef\xE4\xBD", 16},  // ends inside of a character, after bytes that are read eight at a time
      {"\xE4\xBD\xA0\xE4\x41", 3}};
  for (const auto& [text, at] : wrong) CHECK(data::invalid_utf8(text) == at);
}

TEST_CASE("bytes that are no characters are replaced for JSON, and characters kept") {
  CHECK(data::with_replacements("good \xC3\xA9") == "good \xC3\xA9");
  CHECK(data::with_replacements("\xA9 cut \xC3") == "\xEF\xBF\xBD cut \xEF\xBF\xBD");
}

TEST_CASE("a .txt file is one document, or its paragraphs") {
  CHECK(documents("a.txt", "one\ntwo\n\nthree\n") == Documents{"one\ntwo\n\nthree\n"});
  CHECK(documents("a.txt", "\n\none\ntwo\n \t\n\nthree\n", true) == Documents{"one\ntwo", "three"});
  CHECK(documents("a.txt", "one\r\n\r\ntwo\r\n", true) == Documents{"one\r", "two\r"});
  CHECK(documents("a.txt", "\xEF\xBB\xBFmarked") == Documents{"marked"});
}

TEST_CASE("a .jsonl file is one document a line") {
  CHECK(documents("a.jsonl", "{\"text\": \"one\"}\n\n{\"id\": 3, \"text\": \"t\\u00e9\\n\"}\r\n{\"text\": \"\"}") ==
        Documents{"one", "t\xC3\xA9\n", ""});
  CHECK(documents("a.jsonl", "\xEF\xBB\xBF{\"text\": \"marked\"}\n") == Documents{"marked"});
}

TEST_CASE("text that is not UTF-8 is refused with the offset of the byte") {
  const std::string message = refusal("a.txt", "abc\xFF def");
  CHECK(contains(message, "a.txt"));
  CHECK(contains(message, "byte 255 at offset 3"));
  CHECK(contains(refusal("a.jsonl", "{\"text\": \"\xC3\"}"), "offset 10"));
}

TEST_CASE("a broken line of a .jsonl file is refused with its number") {
  const std::string good = "{\"text\": \"fine\"}\n";
  CHECK(contains(refusal("a.jsonl", good + good + "{\"text\": \n"), "a.jsonl: line 3, column"));
  CHECK(contains(refusal("a.jsonl", good + "{\"txt\": \"x\"}\n"), "a.jsonl: line 2: wanted the field \"text\"; it is missing"));
  CHECK(contains(refusal("a.jsonl", good + "{\"text\": 7}\n"), "line 2: field \"text\": wanted a string, found integer"));
  CHECK(contains(refusal("a.jsonl", "[1]\n"), "line 1: wanted an object with the field \"text\", found array"));
  CHECK(contains(refusal("a.jsonl", good + "{\"text\": \"x\", \"text\": \"y\"}\n"), "line 2, column"));
  CHECK(contains(refusal("a.jsonl", "{\"text\": \"\\ud800\"}\n"), "line 1"));
  CHECK(contains(refusal("a.jsonl", good + std::string(100, '[')), "line 2"));
}

TEST_CASE("empty files, blank files, directories and other names are refused") {
  CHECK(contains(refusal("a.txt", ""), "empty file"));
  CHECK(contains(refusal("a.jsonl", "\n \n"), "blank lines only"));
  const Scratch scratch;
  std::filesystem::create_directory(scratch / "d.txt");
  CHECK(contains(refusal<core::DataError>([&] { data::read_documents(scratch / "d.txt"); }), "d.txt"));
  CHECK(contains(refusal<core::DataError>([&] { data::read_documents(scratch / "no.txt"); }), "no.txt"));
  CHECK(contains(refusal<core::ConfigError>([&] { data::read_documents(scratch / "a.pdf"); }), "a.pdf"));
}

TEST_CASE("messages about a file do not carry its control characters to the terminal") {
  const std::string message = refusal("a.jsonl", "{\"text\": \"x\", \"\x1b[2J\": }\n");
  CHECK(message.find('\x1b') == std::string::npos);
  CHECK_FALSE(message.empty());
}

TEST_CASE("documents are split by position, the same each time, with something on each side") {
  Documents all;
  for (int i = 0; i < 2000; ++i) all.push_back(std::to_string(i));
  const auto [train, val] = data::split_documents(all, 0.05);
  CHECK(train.size() + val.size() == 2000);
  CHECK(val.size() > 60);
  CHECK(val.size() < 140);
  CHECK(data::split_documents(all, 0.05).second == val);
  std::set<std::string> both(train.begin(), train.end());
  both.insert(val.begin(), val.end());
  CHECK(both.size() == 2000);
  for (const double fraction : {1e-9, 0.5, 1.0}) {
    const auto [a, b] = data::split_documents({"x", "y"}, fraction);
    CHECK(a.size() == 1);
    CHECK(b.size() == 1);
  }
  CHECK(data::split_documents({"x"}, 0.5).second.empty());
  CHECK(data::split_documents({"x", "y"}, 0).second.empty());
}

TEST_CASE("a document keeps its side when documents are added behind it") {
  Documents all;
  for (int i = 0; i < 300; ++i) all.push_back(std::to_string(i));
  const auto before = data::split_documents(all, 0.2).second;
  for (int i = 300; i < 400; ++i) all.push_back(std::to_string(i));
  const auto after = data::split_documents(all, 0.2).second;
  REQUIRE(after.size() >= before.size());
  CHECK(Documents(after.begin(), after.begin() + static_cast<std::ptrdiff_t>(before.size())) == before);
}
