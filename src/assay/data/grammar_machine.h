#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "assay/data/grammar_words.h"

// The grammar as a stack machine. A state is plain data - the symbols that are still to be written, and registers for what later
// choices depend on - so that it can be copied: the generator follows one alternative of each choice, the re-deriver all of them, and
// both execute the same rules.
namespace assay::data::grammar {

inline constexpr uint8_t kNobody = 255;
inline constexpr size_t kCast = 3, kThings = 3;  // people of a document; things that "the" can mean
inline constexpr int kMostCount = 9;             // of somebody's counted things

struct Symbol {
  uint8_t rule = 0;       // what to write (grammar_rules.h)
  uint8_t many = 0;       // number of the subject: 0 one, 1 many
  uint8_t depth = 0;      // clauses around it
  uint8_t who = kNobody;  // the subject, where it is one of the cast
  uint8_t use = 0;        // variant of the rule
  uint16_t head = 0;      // position of the word that decides the number, in words from the document's beginning
};

struct Thing {
  uint16_t noun = 0, quality = 0;
  bool many = false, described = false;
};

// One of the cast: what has been said about them.
struct Person {
  static constexpr uint16_t unknown = 0xFFFF;
  uint16_t name = unknown, trade = unknown, home = unknown, mood = unknown;
  uint16_t verb = unknown;  // of the last thing they handled
  Thing thing;
  uint8_t count = 0;          // of the document's counted things; 0: not said
  uint16_t last_mention = 0;  // position in words
};

struct State {
  std::array<Symbol, 40> stack;
  uint8_t symbols = 0;
  bool past = false, capital = true, line_start = true, article = false;  // article: "a" or "an" stands before the next word
  uint8_t scene = 0, sentences = 0, paragraphs = 1;
  uint16_t words = 0, bytes = 0;
  std::array<Person, kCast> cast;
  uint8_t people = 0;
  // The subject of the sentence before, whom a pronoun means: one of the cast, or animals.
  uint8_t last = kNobody;
  bool last_animal = false, last_many = false;
  uint16_t last_head = 0;
  std::array<Thing, kThings> things;
  uint8_t known_things = 0;
  Thing draft;                         // the thing that is being described
  uint16_t counted = Person::unknown;  // the noun of everyone's count
  uint8_t sum = 0;                     // of the numbers in digits

  void push(Symbol s) { stack[symbols++] = s; }
  Symbol pop() { return stack[--symbols]; }
  bool done() const { return symbols == 0; }
};

// What the rules write to.
class Pen {
 public:
  virtual ~Pen() = default;
  virtual void put(std::string_view text) = 0;
  virtual void agreement(uint32_t first, uint32_t end, int32_t distance) = 0;
};

class Machine {
 public:
  Machine(int64_t words, int64_t depth);
  State start() const;
  // Weights of the alternatives of a symbol; one alternative where there is nothing to choose.
  void weights(const State& state, Symbol symbol, std::vector<uint16_t>& out) const;
  // Writes what the alternative begins with and pushes the rest.
  void apply(State& state, Symbol symbol, size_t alternative, Pen& pen) const;
  // Whether this alternative ends the document. Such alternatives are the last two of their symbol, "." and "!", equally likely.
  static bool ends(Symbol symbol, size_t alternative);

  const Lexicon& lexicon() const { return lexicon_; }
  uint8_t depth() const { return depth_; }

 private:
  Lexicon lexicon_;
  uint8_t depth_;
};

}  // namespace assay::data::grammar
