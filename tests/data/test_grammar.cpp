#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "assay/core/error.h"
#include "assay/data/choices.h"
#include "assay/data/corpus.h"
#include "assay/data/utf8.h"
#include "core/scratch.h"

using namespace assay;
using namespace assay::test;

namespace {

std::vector<std::string> some_documents(size_t n) {
  std::vector<std::string> out;
  for (size_t i = 0; i < n; ++i) out.push_back(data::grammar_document(5, "train", i));
  return out;
}

std::string joined(const std::vector<std::string>& documents) {
  std::string all;
  for (const std::string& d : documents) all += d;
  return all;
}

std::vector<std::string> words_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '.' || c == ','; }, ' ');
  std::istringstream in(text);
  std::vector<std::string> out;
  for (std::string w; in >> w;) out.push_back(w);
  return out;
}

}  // namespace

TEST_CASE("a choice has the probability of its weight, and weight zero is never chosen") {
  data::Choices choices(core::Stream(1, "test"));
  const std::vector<uint16_t> weights{0, 1, 3, 0, 4, 0};
  std::map<size_t, int> counts;
  const int n = 80000;
  for (int i = 0; i < n; ++i) ++counts[choices.choose(weights)];
  CHECK(counts.size() == 3);
  for (const auto& [i, count] : counts) {
    const double expected = n * weights[i] / 8.0;
    CHECK(std::abs(count - expected) < 5 * std::sqrt(expected));
  }
}

TEST_CASE("a document is a function of seed, split and index") {
  const std::string d = data::grammar_document(3, "train", 17);
  CHECK(data::grammar_document(3, "train", 17) == d);
  CHECK(data::grammar_document(4, "train", 17) != d);
  CHECK(data::grammar_document(3, "val", 17) != d);
  CHECK(data::grammar_document(3, "train", 18) != d);
}

TEST_CASE("the first documents are what they have always been") {
  // Changing the grammar changes every result that was measured on it: this must be meant.
  CHECK(data::grammar_document(1, "train", 0) ==
        "4 + 3 = 7. When the wolf brings many lamps after the rain, Ella is not far from the river. The baker wants the"
        " clumsy coins with great care. Mary likes Ella. Ella, who lives near the village, is near the river. Ella has "
        "eight apples and Mary has six apples. Together they have fourteen apples.\n"
        "Ella has five candles and Mary has five candles. Together they have ten candles. Ella stands. A young proud do"
        "ctor whom an old horse sees hides the tall honest hat. She walks. She helps Mary.\n"
        "3 + 6 = 9. Ella, the traveller, was late. The bird near the village was angry. Mary rested. Many singers next "
        "to the mill thought that the mouse was in front of the river. Seven wolves that met Ella kept a tall old box.\n");
  CHECK(data::grammar_document(1, "val", 0) ==
        "Simon has five stones and Peter has four stones. Together they have nine stones. Simon, who lives in front of "
        "the forest, is lost. Peter, who lives near the river, loses many thin shells. Simon has nine pears and Peter h"
        "as five pears. Together they have fourteen pears.\n");
}

TEST_CASE("documents are clean text: sentences with capitals and full stops, lines of paragraphs") {
  const std::regex paragraph("([A-Z0-9][^.\\n]*\\.)( [A-Z0-9][^.\\n]*\\.)*");
  for (const std::string& d : some_documents(300)) {
    REQUIRE(d.ends_with('\n'));
    CHECK_FALSE(data::invalid_utf8(d));
    CHECK(d.find("  ") == std::string::npos);
    CHECK(d.find(" ,") == std::string::npos);
    CHECK(d.find(",,") == std::string::npos);
    CHECK(d.find(",.") == std::string::npos);
    std::istringstream lines(d);
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(std::regex_match(line, paragraph), line);
  }
}

TEST_CASE("sums are right, in digits and in words") {
  const std::string all = joined(some_documents(2000));
  const std::regex digits("(\\d+) ([+-]) (\\d+) = (\\d+)\\.");
  int sums = 0;
  for (std::sregex_iterator i(all.begin(), all.end(), digits), end; i != end; ++i, ++sums) {
    const int a = std::stoi((*i)[1]), b = std::stoi((*i)[3]), c = std::stoi((*i)[4]);
    CHECK(((*i)[2] == "+" ? a + b : a - b) == c);
  }
  CHECK(sums > 300);
  const std::vector<std::string> numerals{"zero",     "one",     "two",     "three",     "four",     "five",     "six",
                                          "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
                                          "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"};
  const auto value = [&](const std::string& w) { return std::find(numerals.begin(), numerals.end(), w) - numerals.begin(); };
  const std::regex story("ha[sd] (\\w+) \\w+ and [A-Z]\\w+ ha[sd] (\\w+) \\w+\\. Together they ha(?:ve|d) (\\w+) ");
  int stories = 0;
  for (std::sregex_iterator i(all.begin(), all.end(), story), end; i != end; ++i, ++stories)
    CHECK(value((*i)[1]) + value((*i)[2]) == value((*i)[3]));
  CHECK(stories > 300);
}

TEST_CASE("articles and nouns agree") {
  const auto words = words_of(joined(some_documents(2000)));
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& next = words[i + 1];
    const bool vowel = std::string("aeiou").find(next.front()) != std::string::npos;
    if (words[i] == "a" || words[i] == "A") CHECK_MESSAGE(!vowel, next);
    if (words[i] == "an" || words[i] == "An") CHECK_MESSAGE(vowel, next);
    if (words[i] == "one") CHECK_MESSAGE((!next.ends_with("s") || next.ends_with("ss")), next);
  }
}

TEST_CASE("verbs agree with the head of their noun phrase over what stands between") {
  // "The dogs near the river are": of a singular head no plural verb follows directly behind one place.
  const std::string all = joined(some_documents(4000));
  const std::regex distance("(?:^|[.\\n] ?)(This|Every|These|Many) (?:\\w+ )+?near the (?:river|market|school|bridge) (is|are|was|were) ");
  std::map<std::string, std::set<std::string>> seen;
  for (std::sregex_iterator i(all.begin(), all.end(), distance), end; i != end; ++i) {
    const std::string sentence = (*i)[0];
    if (std::regex_search(sentence, std::regex(" (who|whom|that) "))) continue;  // then the verb may belong to another head
    seen[(*i)[1]].insert((*i)[2]);
  }
  for (const char* one : {"This", "Every"}) CHECK((seen[one].count("are") + seen[one].count("were")) == 0);
  for (const char* many : {"These", "Many"}) CHECK((seen[many].count("is") + seen[many].count("was")) == 0);
  CHECK_FALSE(seen["Many"].empty());
}

TEST_CASE("clauses nest, names recur, and a person keeps one home in a document") {
  const auto documents = some_documents(1500);
  const std::string all = joined(documents);
  CHECK(std::regex_search(all, std::regex("(who|that|whom) [^.,]* (who|that|whom) [^.,]* (who|that|whom) ")));
  const std::regex home("([A-Z]\\w+), who live[sd] ([^,]+),");
  int repeated = 0;
  for (const std::string& d : documents) {
    std::map<std::string, std::string> homes;
    for (std::sregex_iterator i(d.begin(), d.end(), home), end; i != end; ++i) {
      const auto [known, fresh] = homes.emplace((*i)[1], (*i)[2]);
      CHECK(known->second == (*i)[2].str());
      repeated += !fresh;
    }
  }
  CHECK(repeated > 50);
}

TEST_CASE("the vocabulary is a few hundred words") {
  std::set<std::string> words;
  for (const std::string& w : words_of(joined(some_documents(5000)))) words.insert(w);
  CHECK(words.size() > 300);
  CHECK(words.size() < 900);
}

TEST_CASE("generated tokens are exactly as many as wanted, bos before each document") {
  const auto bytes = data::byte_tokenizer();
  const data::Tokenized text = data::generate("grammar", 9, "train", 5000, *bytes);
  REQUIRE(text.tokens.size() == 5000);
  std::vector<uint16_t> expected;
  for (uint64_t i = 0; expected.size() < 5000; ++i) {
    expected.push_back(1);
    for (const uint16_t id : bytes->encode(data::grammar_document(9, "train", i))) expected.push_back(id);
  }
  expected.resize(5000);
  CHECK(text.tokens == expected);
  CHECK(text.documents == static_cast<uint64_t>(std::count(expected.begin(), expected.end(), 1)));
}

TEST_CASE("a longer corpus begins with the shorter one") {
  const auto bytes = data::byte_tokenizer();
  auto longer = data::generate("grammar", 9, "val", 3000, *bytes).tokens;
  longer.resize(1000);
  CHECK(data::generate("grammar", 9, "val", 1000, *bytes).tokens == longer);
}

TEST_CASE("an unknown corpus is refused with the nearest name") {
  const auto bytes = data::byte_tokenizer();
  CHECK(contains(message_of<core::ConfigError>([&] { data::generate("gramar", 1, "train", 10, *bytes); }), "did you mean 'grammar'"));
  CHECK(data::is_embedded("grammar"));
  CHECK_FALSE(data::is_embedded("gramar"));
  REQUIRE(data::embedded_corpora().size() == 1);
  CHECK(std::string(data::embedded_corpora()[0].name) == "grammar");
}
