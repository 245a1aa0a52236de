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
#include "assay/data/grammar_words.h"
#include "assay/data/utf8.h"
#include "core/refusal.h"
#include "core/scratch.h"

using namespace assay;
using namespace assay::test;

namespace {

data::GrammarDocument document(uint64_t seed, std::string_view split, uint64_t index) {
  return data::grammar_document({}, seed, split, index);
}

std::vector<std::string> some_documents(size_t n) {
  std::vector<std::string> out;
  for (size_t i = 0; i < n; ++i) out.push_back(document(5, "train", i).text);
  return out;
}

std::string joined(const std::vector<std::string>& documents) {
  std::string all;
  for (const std::string& d : documents) all += d;
  return all;
}

std::vector<std::string> words_of(std::string text) {
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '.' || c == ',' || c == '!'; }, ' ');
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

TEST_CASE("choices have exact probabilities where 2^32 is no multiple of the total") {
  // Without rejection some of the 3 x 2^14 alternatives would have one 32-bit value more than others. That is too little to be seen in
  // draws; what can be seen is that rejection ends and that the mean is where it belongs.
  data::Choices choices(core::Stream(2, "test"));
  const std::vector<uint16_t> weights(49152, 1);
  double sum = 0;
  const int n = 2000;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(choices.choose(weights));
  CHECK(std::abs(sum / n - 24575.5) < 5 * 49152 / std::sqrt(12.0 * n));
}

TEST_CASE("a document is a function of seed, split, index and options") {
  const std::string d = document(3, "train", 17).text;
  CHECK(document(3, "train", 17).text == d);
  CHECK(document(4, "train", 17).text != d);
  CHECK(document(3, "val", 17).text != d);
  CHECK(document(3, "train", 18).text != d);
  CHECK(data::Grammar({.words = 100, .depth = 2}).document(3, "train", 17).text == d);
  CHECK(contains(refusal<core::ConfigError>([] { data::Grammar({.words = 55}); }), "grammar_words"));
  CHECK(contains(refusal<core::ConfigError>([] { data::Grammar({.words = 128, .depth = 5}); }), "grammar_depth"));
  CHECK(contains(refusal<core::ConfigError>([] { document(3, "test", 0); }), "split"));
}

TEST_CASE("the first documents are what they have always been") {
  // Changing the grammar changes every result that was measured on it: this must be meant.
  const data::GrammarDocument train = document(1, "train", 0), val = document(1, "val", 0);
  CHECK(train.text == "It is noon at the market. Tom, who lives at the market, thinks that he is near the market. He goes home to the "
                      "market. He buys some baskets. He buys the baskets again.\n"
                      "Soon Tom has one apple. He is hungry. He buys the baskets again. He is still hungry!\n");
  CHECK(train.nats == doctest::Approx(47.880328657306521).epsilon(1e-12));
  CHECK(val.text == "It was night at the castle. Tom slept loudly. When Tom cleaned some candles, Tom sold the candles. Tom said that he "
                    "knew that he was angry. He met every horse. He went home to the castle.\n"
                    "Soon Tom went home to the castle. Tom knew that he heard Clara. He had three boxes. David, a doctor, had six boxes. "
                    "Together they had nine boxes. Clara had two boxes!\n");
  CHECK(val.nats == doctest::Approx(106.2574575793509).epsilon(1e-12));
}

TEST_CASE("a hundred thousand documents have one derivation each, of the probability that the generator told") {
#ifdef NDEBUG
  const uint64_t n = 100000;
#else
  const uint64_t n = 1000;
#endif
  uint64_t ambiguous = 0;
  double error = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const data::GrammarDocument d = document(11, i % 2 ? "val" : "train", i);
    const data::Grammar::Derivations r = data::rederive({}, d.text);
    ambiguous += r.count != 1;
    error = std::max(error, std::abs(r.nats - d.nats));
  }
  CHECK(ambiguous == 0);
  CHECK(error < 1e-9);
}

TEST_CASE("documents have one derivation with every size of lexicon and every depth") {
  for (const int64_t words : {int64_t{56}, int64_t{128}, int64_t{1024}, int64_t{4096}}) {
    for (int64_t depth = 0; depth <= data::kMostGrammarDepth; ++depth) {
      const data::Grammar grammar({words, depth});
      for (uint64_t i = 0; i < (words > 1000 ? 40U : 400U); ++i) {
        const data::GrammarDocument d = grammar.document(5, "train", i);
        const data::Grammar::Derivations r = grammar.rederive(d.text);
        CHECK_MESSAGE(r.count == 1, d.text);
        CHECK(std::abs(r.nats - d.nats) < 1e-9);
      }
    }
  }
}

TEST_CASE("what the grammar does not write has no derivation") {
  const std::string text = document(1, "train", 0).text;
  for (const std::string& other :
       {std::string(), text.substr(0, text.size() - 1), text + "\n", " " + text, std::string("It is a dog.\n")}) {
    CHECK(data::rederive({}, other).count == 0);
    CHECK(std::isinf(data::rederive({}, other).nats));
  }
}

TEST_CASE("the two splits have no text in common, and every text is as likely to belong to either") {
  std::set<std::string> train;
  for (uint64_t i = 0; i < 5000; ++i) {
    const std::string t = document(2, "train", i).text, v = document(2, "val", i).text;
    CHECK(data::grammar_split(t) == "train");
    CHECK(data::grammar_split(v) == "val");
    train.insert(t);
    // The same text with the other mark is a document of the other split, with the same probability.
    std::string twin = t;
    char& mark = twin[twin.size() - 2];
    mark = mark == '.' ? '!' : '.';
    CHECK(data::grammar_split(twin) == "val");
    if (i < 200) CHECK(data::rederive({}, twin).nats == data::rederive({}, t).nats);
  }
  CHECK(train.size() == 5000);
}

TEST_CASE("the closing mark does not tell the split to whoever does not know the hash") {
  int exclamations[2] = {0, 0};
  for (uint64_t i = 0; i < 10000; ++i) {
    exclamations[0] += document(3, "train", i).text.find('!') != std::string::npos;
    exclamations[1] += document(3, "val", i).text.find('!') != std::string::npos;
  }
  for (const int n : exclamations) CHECK(std::abs(n - 5000) < 5 * 50);
}

TEST_CASE("probabilities are those of the draws: choices counted over documents") {
  // The opening is the product of three draws, known from the lexicon: 1/2 (tense) times the place's 1/8.
  std::map<std::string, int> places;
  int past = 0;
  const int n = 20000;
  const std::regex opening("It (is|was) \\w+ at the (\\w+)\\.");
  for (int i = 0; i < n; ++i) {
    const std::string d = document(8, "train", static_cast<uint64_t>(i)).text;
    std::smatch m;
    REQUIRE(std::regex_search(d, m, opening));
    past += m[1] == "was";
    ++places[m[2]];
  }
  CHECK(std::abs(past - n / 2) < 5 * std::sqrt(n / 4.0));
  CHECK(places.size() == 8);
  for (const auto& place : places) CHECK_MESSAGE(std::abs(place.second - n / 8) < 5 * std::sqrt(n * 0.11), place.first);
}

TEST_CASE("documents are clean text of 150 to 600 bytes: sentences with capitals and full stops, lines of paragraphs") {
  const std::regex paragraph("([A-Z0-9][^.\\n]*[.!])( [A-Z0-9][^.\\n]*[.!])*");
  size_t bytes = 0;
  const auto documents = some_documents(3000);
  for (const std::string& d : documents) {
    bytes += d.size();
    CHECK(d.size() >= 150);
    CHECK(d.size() <= 600);
    REQUIRE(d.ends_with('\n'));
    CHECK_FALSE(data::invalid_utf8(d));
    CHECK(d.find("  ") == std::string::npos);
    CHECK(d.find(" ,") == std::string::npos);
    CHECK(d.find(",,") == std::string::npos);
    CHECK(d.find(",.") == std::string::npos);
    std::istringstream lines(d);
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE(std::regex_match(line, paragraph), line);
  }
  CHECK(bytes / documents.size() > 220);
  CHECK(bytes / documents.size() < 350);
}

TEST_CASE("sums are right, in digits and in words") {
  const std::string all = joined(some_documents(4000));
  const std::regex digits("(\\d) ([+-]) (\\d) ([+-]) (\\d) = (\\d+)[.!]");
  int sums = 0;
  for (std::sregex_iterator i(all.begin(), all.end(), digits), end; i != end; ++i, ++sums) {
    const auto n = [&](size_t group) { return std::stoi((*i)[group]); };
    CHECK(n(1) + ((*i)[2] == "+" ? n(3) : -n(3)) + ((*i)[4] == "+" ? n(5) : -n(5)) == n(6));
  }
  CHECK(sums > 200);
  const std::vector<std::string> numerals{"zero",  "one",   "two",  "three", "four",   "five",  "six",
                                          "seven", "eight", "nine", "ten",   "eleven", "twelve"};
  const auto value = [&](const std::string& w) { return std::find(numerals.begin(), numerals.end(), w) - numerals.begin(); };
  const std::regex owned("(Together they ha(?:ve|d)|([A-Z]\\w+) (?:has|had)) (\\w+) \\w+[.!]");
  int totals = 0;
  for (const std::string& d : some_documents(4000)) {  // documents whose counts never change, and are told by name
    if (d.find("more") != std::string::npos || d.find("drop") != std::string::npos || d.find("e has ") != std::string::npos ||
        d.find("e had ") != std::string::npos || std::regex_search(d, std::regex("(he \\w+|,) ha[sd] ")))
      continue;
    std::ptrdiff_t sum = 0;
    for (std::sregex_iterator i(d.begin(), d.end(), owned), end; i != end; ++i) {
      if ((*i)[2].matched) {
        sum += value((*i)[3]);
      } else if (sum > 0) {
        CHECK_MESSAGE(value((*i)[3]) == sum, d);
        ++totals;
      }
    }
  }
  CHECK(totals > 5);
}

TEST_CASE("gains and losses are counted right") {
  const std::string all = joined(some_documents(4000));
  CHECK(std::regex_search(all, std::regex("(gets|got) \\w+ more \\w+ and now (has|had) \\w+")));
  CHECK(std::regex_search(all, std::regex("(drops|dropped) \\w+ \\w+ and now (has|had) \\w+")));
}

TEST_CASE("articles and nouns agree") {
  const auto words = words_of(joined(some_documents(2000)));
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const std::string& next = words[i + 1];
    const bool vowel = std::string("aeiou").find(next.front()) != std::string::npos;
    if (words[i] == "a" || words[i] == "A") CHECK_MESSAGE(!vowel, next);
    if (words[i] == "an" || words[i] == "An") CHECK_MESSAGE(vowel, next);
  }
}

TEST_CASE("agreement marks are words of the text with the distance to the word that decides") {
  std::map<int, int> by_distance;
  for (uint64_t i = 0; i < 1000; ++i) {
    const data::GrammarDocument d = document(6, "train", i);
    uint32_t last = 0;
    for (const auto& a : d.agreements) {
      REQUIRE(a.first >= last);
      REQUIRE(a.end > a.first);
      last = a.end;
      const std::string word = d.text.substr(a.first, a.end - a.first);
      CHECK_MESSAGE(word.find_first_of(" .,!\n") == std::string::npos, word);
      CHECK(std::string(" \n").find(d.text[a.first - 1]) != std::string::npos);
      CHECK(std::string(" .,!").find(d.text[a.end]) != std::string::npos);
      // The word that decides, counted back from here.
      const std::vector<std::string> before = words_of(d.text.substr(0, a.first));
      REQUIRE(a.distance >= 1);
      REQUIRE(static_cast<size_t>(a.distance) <= before.size());
      const std::string decides = before[before.size() - static_cast<size_t>(a.distance)];
      if (word == "She" || word == "she" || word == "her") {
        CHECK_MESSAGE((decides == "she" || decides == "She" || decides == "her" || std::isupper(decides[0])), decides);
      }
      if (word == "are" || word == "were")
        CHECK_MESSAGE((decides.back() == 's' || decides == "mice" || decides == "geese" || decides == "They" || decides == "they"),
                      decides);
      ++by_distance[a.distance];
    }
  }
  int far = 0;
  for (const auto& [distance, n] : by_distance) far += distance > 4 ? n : 0;
  CHECK(far > 300);
}

TEST_CASE("clauses nest, names recur, and a person keeps one home in a document") {
  const auto documents = some_documents(3000);
  const std::string all = joined(documents);
  CHECK(std::regex_search(all, std::regex("that [^.,]* that [^.,]*[.]")));
  const std::regex lives("((?!She|He)[A-Z]\\w+), who live[sd] at the (\\w+),"),
      goes("((?!She|He)[A-Z]\\w+) (?:goes|went) home to the (\\w+)");
  int repeated = 0;
  for (const std::string& d : documents) {
    std::map<std::string, std::string> homes;
    for (const std::regex& home : {lives, goes}) {
      for (std::sregex_iterator i(d.begin(), d.end(), home), end; i != end; ++i) {
        const auto [known, fresh] = homes.emplace((*i)[1], (*i)[2]);
        CHECK(known->second == (*i)[2].str());
        repeated += !fresh;
      }
    }
  }
  CHECK(repeated > 20);
}

TEST_CASE("the lexicon has the size that was asked for, and no word stands for two") {
  using data::grammar::Class;
  for (const size_t words : {size_t{56}, size_t{100}, size_t{128}, size_t{1024}, size_t{4096}}) {
    const data::grammar::Lexicon lexicon(words);
    std::set<std::string> forms;
    size_t all = 0, size = 0;
    for (size_t c = 0; c < data::grammar::kClasses; ++c) {
      for (const auto& w : lexicon.of(static_cast<Class>(c))) {
        ++size;
        for (const std::string& form : {w.one, w.many, w.past}) {
          if (!form.empty()) forms.insert(form), ++all;
        }
      }
    }
    CHECK(forms.size() == all);
    CHECK(size == words);
  }
}

TEST_CASE("a document holds nothing but the grammar's words, marks and digits") {
  const auto list = data::shared_grammar({}).words();
  std::set<std::string> known(list.begin(), list.end());
  for (std::string w : words_of(joined(some_documents(3000)))) {
    if (std::isdigit(w[0])) continue;
    std::string lower = w;
    lower[0] = static_cast<char>(std::tolower(w[0]));
    CHECK_MESSAGE((known.count(w) || known.count(lower)), w);
  }
}
