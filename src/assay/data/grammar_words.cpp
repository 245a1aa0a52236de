#include "assay/data/grammar_words.h"

#include <algorithm>
#include <string_view>

namespace assay::data::grammar {
namespace {

using Texts = std::span<const char* const>;

// One line a word, its forms separated by spaces. Names alternate between women and men.
constexpr auto names =
    std::to_array<const char*>({"Anna", "Tom",   "Mary", "Peter", "Ella",  "Oscar", "Ruth", "David", "Clara", "Simon",  "Nora",   "Hugo",
                                "Lucy", "Henry", "Vera", "Felix", "Julia", "Adam",  "Jane", "Paul",  "Edith", "Walter", "Sophie", "Jacob"});
constexpr auto trades = std::to_array<const char*>({"baker", "sailor", "teacher", "farmer", "doctor", "singer", "guard", "painter", "judge",
                                                    "merchant", "student", "gardener", "cook", "writer", "miller", "hunter"});
constexpr auto animals = std::to_array<const char*>({"dog dogs", "cat cats", "goat goats", "fox foxes", "horse horses", "bird birds",
                                                     "mouse mice", "goose geese", "cow cows", "wolf wolves", "owl owls", "donkey donkeys",
                                                     "duck ducks", "ant ants", "bear bears", "rabbit rabbits"});
constexpr auto things = std::to_array<const char*>(
    {"lamp lamps",     "apple apples",   "key keys",     "basket baskets",   "coin coins",   "letter letters", "knife knives",
     "box boxes",      "candle candles", "egg eggs",     "rope ropes",       "hat hats",     "bell bells",     "loaf loaves",
     "bottle bottles", "map maps",       "plate plates", "orange oranges",   "chair chairs", "pear pears",     "brush brushes",
     "stone stones",   "shell shells",   "book books",   "blanket blankets", "ring rings",   "flute flutes",   "wheel wheels"});
constexpr auto places = std::to_array<const char*>({"harbour", "market", "school", "mill", "castle", "river", "bridge", "garden", "station",
                                                    "church", "forest", "village", "library", "square", "tower", "well"});
constexpr auto qualities = std::to_array<const char*>({"old", "small", "red", "heavy", "black", "green", "strange", "ugly", "white",
                                                       "little", "round", "dark", "bright", "thin", "blue", "empty", "plain", "dusty"});
constexpr auto moods = std::to_array<const char*>(
    {"hungry", "happy", "tired", "afraid", "angry", "busy", "alone", "ill", "thirsty", "cold", "awake", "late", "proud", "sorry"});
constexpr auto actions =
    std::to_array<const char*>({"sleeps sleep slept", "runs run ran", "waits wait waited", "sings sing sang", "works work worked",
                                "laughs laugh laughed", "falls fall fell", "smiles smile smiled", "dances dance danced",
                                "rests rest rested", "stands stand stood", "dreams dream dreamt", "walks walk walked", "eats eat ate"});
constexpr auto deeds = std::to_array<const char*>(
    {"sees see saw", "follows follow followed", "helps help helped", "likes like liked", "hears hear heard", "meets meet met",
     "fears fear feared", "calls call called", "watches watch watched", "feeds feed fed", "visits visit visited", "chases chase chased"});
constexpr auto handlings = std::to_array<const char*>(
    {"carries carry carried", "buys buy bought", "sells sell sold", "hides hide hid", "cleans clean cleaned", "wants want wanted",
     "breaks break broke", "brings bring brought", "keeps keep kept", "steals steal stole", "opens open opened", "mends mend mended"});
constexpr auto beliefs = std::to_array<const char*>(
    {"thinks think thought", "knows know knew", "says say said", "hopes hope hoped", "believes believe believed", "doubts doubt doubted"});
constexpr auto manners = std::to_array<const char*>({"quietly", "slowly", "often", "loudly", "quickly", "all day", "carefully", "rarely"});
constexpr auto times = std::to_array<const char*>({"morning", "night", "winter", "summer", "noon", "spring", "evening", "autumn"});

struct Shape {
  Texts real;
  size_t share;   // of 128 words
  size_t fewest;  // however small the lexicon
  size_t most;
  const char *ending, *one, *many, *past;  // of built words: "tura" + "k" + "s"
};

constexpr std::array<Shape, kClasses> shapes{{
    {names, 16, 8, 1000, "", "", "", ""},
    {trades, 8, 4, 400, "r", "", "", ""},
    {animals, 10, 4, 400, "n", "", "s", ""},
    {things, 16, 0, 0, "p", "", "s", ""},
    {places, 10, 4, 100, "m", "", "", ""},
    {qualities, 12, 4, 800, "l", "", "", ""},
    {moods, 8, 3, 400, "sh", "", "", ""},
    {actions, 10, 3, 400, "k", "s", "", "ed"},
    {deeds, 10, 3, 400, "t", "s", "", "ed"},
    {handlings, 10, 3, 400, "g", "s", "", "ed"},
    {beliefs, 4, 2, 6, "", "", "", ""},
    {manners, 6, 2, 8, "", "", "", ""},
    {times, 8, 3, 8, "", "", "", ""},
}};

std::vector<std::string> split(std::string_view line) {
  std::vector<std::string> out;
  while (!line.empty()) {
    const size_t end = std::min(line.find(' '), line.size());
    out.emplace_back(line.substr(0, end));
    line.remove_prefix(std::min(end + 1, line.size()));
  }
  return out;
}

bool is_noun(Class c) { return c == Class::animal || c == Class::thing; }
bool is_verb(Class c) { return c == Class::action || c == Class::deed || c == Class::handling || c == Class::belief; }

Word real_word(Class c, const char* line, size_t index) {
  if (!is_noun(c) && !is_verb(c)) return {line, "", "", c == Class::name && index % 2 == 0};
  const std::vector<std::string> forms = split(line);
  return {forms[0], forms[1], is_verb(c) ? forms[2] : "", false};
}

// Three syllables of a consonant and a vowel; the order is a permutation of all of them, so that neighbours do not look alike. Real
// words are no combination of this kind with the ending of a class.
std::string stem(Class c, size_t index) {
  constexpr std::string_view consonants = "bdfgklmnprstvz", vowels = "aeiou";
  constexpr size_t syllables = 14 * 5, all = syllables * syllables * syllables;
  size_t code = (index * 172'357 + static_cast<size_t>(c) * 26'113 + 91'003) % all;  // 172357 has no factor in common with `all`
  std::string text;
  for (int i = 0; i < 3; ++i, code /= syllables) {
    text += consonants[code % syllables / vowels.size()];
    text += vowels[code % vowels.size()];
  }
  return text;
}

Word built_word(Class c, size_t index) {
  const Shape& shape = shapes[static_cast<size_t>(c)];
  std::string text = stem(c, index) + shape.ending;
  if (c == Class::name) {
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
    return {text + (index % 2 == 0 ? "la" : "lo"), "", "", index % 2 == 0};
  }
  if (is_noun(c)) return {text, text + shape.many, "", false};
  if (is_verb(c)) return {text + shape.one, text, text + shape.past, false};
  return {text, "", "", false};
}

// Its share of the lexicon; things are what is left.
size_t size_of(Class c, size_t words) {
  const Shape& s = shapes[static_cast<size_t>(c)];
  if (c != Class::thing) return std::clamp((words * s.share + 64) / 128, s.fewest, s.most);
  size_t others = 0;
  for (size_t other = 0; other < kClasses; ++other) {
    if (static_cast<Class>(other) != c) others += size_of(static_cast<Class>(other), words);
  }
  return words - others;
}

// 60000 / ((rank + 1) (rank + 4)), at least 1: the first of a class is two words in five, the tenth one in a hundred.
uint16_t weight_of_rank(size_t rank) { return static_cast<uint16_t>(std::max<size_t>(1, 60'000 / ((rank + 1) * (rank + 4)))); }

}  // namespace

std::vector<Word> words_of(Class c, size_t n) {
  const Texts real = shapes[static_cast<size_t>(c)].real;
  std::vector<Word> out;
  for (size_t i = 0; i < n; ++i) out.push_back(i < real.size() ? real_word(c, real[i], i) : built_word(c, i));
  return out;
}

Lexicon::Lexicon(size_t words) {
  const size_t scenes = size_of(Class::place, words);
  for (size_t c = 0; c < kClasses; ++c) {
    const size_t n = size_of(static_cast<Class>(c), words);
    words_[c] = words_of(static_cast<Class>(c), n);
    for (size_t scene = 0; scene < scenes; ++scene) {
      for (size_t i = 0; i < n; ++i) weights_[c].push_back(weight_of_rank((i + n - scene * n / scenes) % n));
    }
  }
}

std::span<const uint16_t> Lexicon::weights(Class c, size_t scene) const {
  const size_t n = of(c).size();
  return std::span(weights_[static_cast<size_t>(c)]).subspan(scene * n, n);
}

}  // namespace assay::data::grammar
