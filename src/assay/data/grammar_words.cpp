#include "assay/data/grammar_words.h"

#include <array>

namespace assay::data::grammar {
namespace {

template <size_t N>
constexpr std::array<uint16_t, N> by_rank() {
  std::array<uint16_t, N> weights{};
  for (size_t i = 0; i < N; ++i) weights[i] = static_cast<uint16_t>(240 / (i + 2));
  return weights;
}

// One array of weights for each length of list.
template <size_t N>
constexpr std::array<uint16_t, N> weights_of = by_rank<N>();

template <class Word, size_t N>
constexpr Lexicon<Word> lexicon(const std::array<Word, N>& words) {
  return {words, weights_of<N>};
}

constexpr auto name_list = std::to_array<Name>({
    {"Anna", "she", "her", "her"},   {"Tom", "he", "him", "his"},    {"Mary", "she", "her", "her"},  {"Peter", "he", "him", "his"},
    {"Ella", "she", "her", "her"},   {"Oscar", "he", "him", "his"},  {"Ruth", "she", "her", "her"},  {"David", "he", "him", "his"},
    {"Clara", "she", "her", "her"},  {"Martin", "he", "him", "his"}, {"Nora", "she", "her", "her"},  {"Simon", "he", "him", "his"},
    {"Lucy", "she", "her", "her"},   {"Henry", "he", "him", "his"},  {"Vera", "she", "her", "her"},  {"Felix", "he", "him", "his"},
    {"Julia", "she", "her", "her"},  {"Adam", "he", "him", "his"},   {"Irene", "she", "her", "her"}, {"Walter", "he", "him", "his"},
    {"Sophie", "she", "her", "her"}, {"Jacob", "he", "him", "his"},  {"Edith", "she", "her", "her"}, {"Hugo", "he", "him", "his"},
});

constexpr auto people_list = std::to_array<Noun>({
    {"teacher", "teachers"}, {"child", "children"},       {"farmer", "farmers"},     {"doctor", "doctors"},
    {"baker", "bakers"},     {"sailor", "sailors"},       {"woman", "women"},        {"man", "men"},
    {"singer", "singers"},   {"neighbour", "neighbours"}, {"painter", "painters"},   {"student", "students"},
    {"guard", "guards"},     {"writer", "writers"},       {"merchant", "merchants"}, {"cook", "cooks"},
    {"judge", "judges"},     {"traveller", "travellers"}, {"gardener", "gardeners"}, {"thief", "thieves"},
});

constexpr auto animal_list = std::to_array<Noun>({
    {"dog", "dogs"},
    {"cat", "cats"},
    {"horse", "horses"},
    {"bird", "birds"},
    {"goat", "goats"},
    {"mouse", "mice"},
    {"fox", "foxes"},
    {"goose", "geese"},
    {"cow", "cows"},
    {"wolf", "wolves"},
    {"rabbit", "rabbits"},
    {"donkey", "donkeys"},
    {"duck", "ducks"},
    {"sheep", "sheep"},
    {"bear", "bears"},
    {"crow", "crows"},
});

constexpr auto thing_list = std::to_array<Noun>({
    {"apple", "apples"},   {"book", "books"},     {"letter", "letters"}, {"coin", "coins"}, {"key", "keys"},       {"basket", "baskets"},
    {"lamp", "lamps"},     {"knife", "knives"},   {"loaf", "loaves"},    {"box", "boxes"},  {"map", "maps"},       {"stone", "stones"},
    {"bottle", "bottles"}, {"flower", "flowers"}, {"chair", "chairs"},   {"pear", "pears"}, {"candle", "candles"}, {"brush", "brushes"},
    {"egg", "eggs"},       {"hat", "hats"},       {"rope", "ropes"},     {"bell", "bells"}, {"plate", "plates"},   {"shell", "shells"},
});

constexpr auto place_list = std::to_array<const char*>({
    "the river",
    "the old house",
    "the market",
    "the school",
    "the bridge",
    "the garden",
    "the forest",
    "the station",
    "the kitchen",
    "the church",
    "the harbour",
    "the village",
    "the mill",
    "the library",
    "the square",
    "the field",
    "the tower",
    "the well",
});

constexpr auto preposition_list =
    std::to_array<const char*>({"near", "behind", "in front of", "next to", "beyond", "opposite", "close to", "not far from"});

constexpr auto quality_list = std::to_array<const char*>({
    "old",  "small", "young",  "tall",  "quiet", "brave",  "clever", "strange", "poor",   "famous", "gentle", "little",
    "dark", "round", "strong", "tired", "rich",  "honest", "proud",  "pale",    "clumsy", "slow",   "bright", "thin",
});

constexpr auto mood_list = std::to_array<const char*>({"happy", "hungry", "tired", "afraid", "ready", "ill", "angry", "alone", "safe",
                                                       "late", "busy", "thirsty", "cold", "awake", "lost", "sorry"});

constexpr auto manner_list = std::to_array<const char*>({"slowly", "quickly", "often", "quietly", "carefully", "rarely", "happily", "again",
                                                         "without a word", "every day", "at once", "with great care"});

constexpr auto time_list = std::to_array<const char*>({"in the morning", "at night", "on Sunday", "in the evening", "after the rain",
                                                       "before dinner", "in winter", "at noon", "after school", "until dark"});

constexpr auto action_list = std::to_array<Verb>({
    {"sleeps", "sleep", "slept"},
    {"runs", "run", "ran"},
    {"waits", "wait", "waited"},
    {"sings", "sing", "sang"},
    {"works", "work", "worked"},
    {"laughs", "laugh", "laughed"},
    {"rests", "rest", "rested"},
    {"falls", "fall", "fell"},
    {"dreams", "dream", "dreamt"},
    {"stands", "stand", "stood"},
    {"walks", "walk", "walked"},
    {"hides", "hide", "hid"},
    {"dances", "dance", "danced"},
    {"smiles", "smile", "smiled"},
    {"eats", "eat", "ate"},
    {"stays", "stay", "stayed"},
});

constexpr auto deed_list = std::to_array<Verb>({
    {"sees", "see", "saw"},
    {"follows", "follow", "followed"},
    {"helps", "help", "helped"},
    {"knows", "know", "knew"},
    {"likes", "like", "liked"},
    {"hears", "hear", "heard"},
    {"finds", "find", "found"},
    {"meets", "meet", "met"},
    {"fears", "fear", "feared"},
    {"watches", "watch", "watched"},
    {"calls", "call", "called"},
    {"feeds", "feed", "fed"},
    {"visits", "visit", "visited"},
    {"remembers", "remember", "remembered"},
    {"chases", "chase", "chased"},
    {"admires", "admire", "admired"},
});

constexpr auto handling_list = std::to_array<Verb>({
    {"carries", "carry", "carried"},
    {"buys", "buy", "bought"},
    {"sells", "sell", "sold"},
    {"loses", "lose", "lost"},
    {"hides", "hide", "hid"},
    {"wants", "want", "wanted"},
    {"keeps", "keep", "kept"},
    {"breaks", "break", "broke"},
    {"cleans", "clean", "cleaned"},
    {"brings", "bring", "brought"},
    {"steals", "steal", "stole"},
    {"paints", "paint", "painted"},
});

constexpr auto saying_list = std::to_array<Verb>({
    {"says", "say", "said"},
    {"replies", "reply", "replied"},
    {"claims", "claim", "claimed"},
    {"whispers", "whisper", "whispered"},
    {"promises", "promise", "promised"},
    {"repeats", "repeat", "repeated"},
});

constexpr auto belief_list = std::to_array<Verb>({
    {"thinks", "think", "thought"},
    {"knows", "know", "knew"},
    {"believes", "believe", "believed"},
    {"hopes", "hope", "hoped"},
    {"doubts", "doubt", "doubted"},
    {"remembers", "remember", "remembered"},
});

constexpr auto numeral_list = std::to_array<const char*>({"zero",     "one",     "two",     "three",     "four",     "five",     "six",
                                                          "seven",    "eight",   "nine",    "ten",       "eleven",   "twelve",   "thirteen",
                                                          "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"});

}  // namespace

constinit const Lexicon<Name> names = lexicon(name_list);
constinit const Lexicon<Noun> people = lexicon(people_list);
constinit const Lexicon<Noun> animals = lexicon(animal_list);
constinit const Lexicon<Noun> things = lexicon(thing_list);
constinit const Lexicon<const char*> places = lexicon(place_list);
constinit const Lexicon<const char*> prepositions = lexicon(preposition_list);
constinit const Lexicon<const char*> qualities = lexicon(quality_list);
constinit const Lexicon<const char*> moods = lexicon(mood_list);
constinit const Lexicon<const char*> manners = lexicon(manner_list);
constinit const Lexicon<const char*> times = lexicon(time_list);
constinit const Lexicon<Verb> actions = lexicon(action_list);
constinit const Lexicon<Verb> deeds = lexicon(deed_list);
constinit const Lexicon<Verb> handlings = lexicon(handling_list);
constinit const Lexicon<Verb> sayings = lexicon(saying_list);
constinit const Lexicon<Verb> beliefs = lexicon(belief_list);
constinit const std::span<const char* const> numerals = numeral_list;

}  // namespace assay::data::grammar
