#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

namespace assay::data::grammar {

// Words of one class and how often each is chosen. The frequencies fall like 1 / (rank + 2), as words of a language roughly do.
struct Noun {
  const char *singular, *plural;
};
struct Verb {
  const char *singular, *plural;  // "sees", "see"
  const char* past;               // "saw"
};
struct Name {
  const char *text, *subject, *object, *possessive;  // "Anna", "she", "her", "her"
};

template <class Word>
struct Lexicon {
  std::span<const Word> words;
  std::span<const uint16_t> weights;
};

extern const Lexicon<Name> names;
extern const Lexicon<Noun> people;
extern const Lexicon<Noun> animals;
extern const Lexicon<Noun> things;                   // what can be held, bought and counted
extern const Lexicon<const char*> places;            // with their article: "the river"
extern const Lexicon<const char*> prepositions;      // of place
extern const Lexicon<const char*> qualities;         // adjectives of nouns
extern const Lexicon<const char*> moods;             // adjectives of people and animals after "is"
extern const Lexicon<const char*> manners;           // adverbs
extern const Lexicon<const char*> times;             // "in the morning"
extern const Lexicon<Verb> actions;                  // without an object: "sleeps"
extern const Lexicon<Verb> deeds;                    // towards someone: "follows"
extern const Lexicon<Verb> handlings;                // of a thing: "carries"
extern const Lexicon<Verb> sayings;                  // with a clause: "says"
extern const Lexicon<Verb> beliefs;                  // with a clause: "believes"
extern const std::span<const char* const> numerals;  // "zero" ... "twenty"

}  // namespace assay::data::grammar
