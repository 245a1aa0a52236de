#pragma once
#include <algorithm>
#include <array>
#include <initializer_list>
#include <numeric>
#include <string_view>

#include "assay/data/grammar_machine.h"

// What the rules of the grammar are written in, and the rules: for each symbol, the weights of its alternatives (weigh_*, which append
// them) and what an alternative does (write_*). Where a symbol has no weigh_* its alternatives are words of a class, or there is one.
namespace assay::data::grammar {

enum Rule : uint8_t {
  opening,
  time_of,
  scene,
  end,
  sentence,
  opener,
  subject,
  new_person,
  introduction,
  trade,
  home,
  clause,
  verb_phrase,
  verb,
  manner,
  mood,
  near_place,
  person_object,
  animals,
  determiner,
  animal,
  modifier,
  thing,
  thing_quality,
  thing_noun,
  count,
  count_noun,
  gain,
  loss,
  and_now,
  addend,
  operation,
  result,
  comma,
  literal_that,
  rules
};

using Weights = std::vector<uint16_t>;

// Everything a rule needs; the functions below are the words that rules are written in.
struct Step {
  const Machine& machine;
  State& state;
  Symbol symbol;
  Pen& pen;

  const Word& word_of(Class c, size_t i) const { return machine.lexicon().of(c)[i]; }

  void put(std::string_view text) const {
    pen.put(text);
    state.bytes = static_cast<uint16_t>(state.bytes + text.size());
  }

  void word(std::string_view text) const {
    if (state.article) {
      state.article = false;
      word(std::string_view("aeiou").find(text.front()) != std::string_view::npos ? "an" : "a");
    }
    if (!state.line_start) put(" ");
    if (state.capital && text.front() >= 'a' && text.front() <= 'z') {
      const char first = static_cast<char>(text.front() - 'a' + 'A');
      put({&first, 1});
      text.remove_prefix(1);
    }
    put(text);
    state.line_start = state.capital = false;
    ++state.words;
  }

  // A word whose form is decided by the word at position `head`.
  void agreeing(std::string_view text, uint16_t head) const {
    const uint32_t first = state.bytes + (state.line_start ? 0U : 1U);
    word(text);
    pen.agreement(first, state.bytes, state.words - 1 - head);
  }

  void inflected(const Word& w) const {
    if (state.past) return word(w.past);
    agreeing(symbol.many ? w.many : w.one, symbol.head);
  }
  void inflected(const char* one, const char* many, const char* past) const { inflected(Word{one, many, past}); }
  void be() const { agreeing(state.past ? (symbol.many ? "were" : "was") : (symbol.many ? "are" : "is"), symbol.head); }

  void noun(const Word& w, bool many) const { word(many ? w.many : w.one); }

  void push(Rule rule, uint8_t use = 0) const { push(rule, symbol.depth, use); }
  void push(Rule rule, uint8_t depth, uint8_t use) const {
    Symbol s = symbol;
    s.rule = rule;
    s.depth = depth;
    s.use = use;
    state.push(s);
  }
  // The verb phrase of a subject whose deciding word is the last one written.
  void push_verb_phrase(uint8_t who, bool many, uint8_t depth) const {
    Symbol s;
    s.rule = verb_phrase;
    s.many = many;
    s.depth = depth;
    s.who = who;
    s.head = static_cast<uint16_t>(state.words - 1);
    state.push(s);
  }

  Person& person() const { return state.cast[symbol.who]; }
  // By a word that shows whether it is she or he.
  void mentioned(uint8_t who) const { state.cast[who].last_mention = static_cast<uint16_t>(state.words - 1); }
  void name(uint8_t who) const {
    word(word_of(Class::name, state.cast[who].name).one);
    mentioned(who);
  }
  void becomes_subject(uint8_t who) const {
    state.last = who;
    state.last_animal = false;
  }
  void pronoun(uint8_t who, const char* she, const char* he) const {
    agreeing(word_of(Class::name, state.cast[who].name).female ? she : he, state.cast[who].last_mention);
    mentioned(who);
  }
  void write(const Thing& t) const {
    if (t.described) word(word_of(Class::quality, t.quality).one);
    noun(word_of(Class::thing, t.noun), t.many);
  }
};

// What weights may depend on.
struct View {
  const Machine& machine;
  const State& state;
  Symbol symbol;
  Weights& out;

  void set(std::initializer_list<int> weights) const {
    for (const int w : weights) out.push_back(static_cast<uint16_t>(w));
  }
  void lexical(Class c) const {
    const auto w = machine.lexicon().weights(c, state.scene);
    out.assign(w.begin(), w.end());
  }
  // As likely as not, nothing.
  void lexical_or_nothing(Class c) const {
    lexical(c);
    out.push_back(static_cast<uint16_t>(std::accumulate(out.begin(), out.end(), 0U)));
  }
  const Person& person() const { return state.cast[symbol.who]; }
  bool known(size_t who) const { return who < state.people; }
  bool may_nest() const { return symbol.depth < machine.depth(); }
};

// grammar_sentences.cpp
void write_opening(const Step& s, size_t i);
void write_time(const Step& s, size_t i);
void write_scene(const Step& s, size_t i);
void weigh_end(const View& v);
void write_end(const Step& s, size_t i);
void weigh_sentence(const View& v);
void write_sentence(const Step& s, size_t i);
void weigh_opener(const View& v);
void write_opener(const Step& s, size_t i);
void weigh_addend(const View& v);
void write_addend(const Step& s, size_t i);
void weigh_operation(const View& v);
void write_operation(const Step& s, size_t i);
void write_result(const Step& s, size_t i);
void weigh_subject(const View& v);
void write_subject(const Step& s, size_t i);
void weigh_new_person(const View& v);
void write_new_person(const Step& s, size_t i);
void weigh_introduction(const View& v);
void write_introduction(const Step& s, size_t i);
void weigh_trade(const View& v);
void write_trade(const Step& s, size_t i);
void write_home(const Step& s, size_t i);

// grammar_phrases.cpp
void weigh_clause(const View& v);
void write_clause(const Step& s, size_t i);
void weigh_number(const View& v);
void write_animals(const Step& s, size_t i);
void weigh_determiner(const View& v);
void write_determiner(const Step& s, size_t i);
void write_animal(const Step& s, size_t i);
void weigh_modifier(const View& v);
void write_modifier(const Step& s, size_t i);
void weigh_verb_phrase(const View& v);
void write_verb_phrase(const Step& s, size_t i);
void weigh_verb(const View& v);
void write_verb(const Step& s, size_t i);
void write_manner(const Step& s, size_t i);
void write_mood(const Step& s, size_t i);
void write_near_place(const Step& s, size_t i);
void weigh_person_object(const View& v);
void write_person_object(const Step& s, size_t i);

// grammar_things.cpp
void weigh_thing(const View& v);
void write_thing(const Step& s, size_t i);
void weigh_thing_quality(const View& v);
void write_thing_quality(const Step& s, size_t i);
void weigh_thing_noun(const View& v);
void write_thing_noun(const Step& s, size_t i);
void weigh_count(const View& v);
void weigh_gain(const View& v);
void weigh_loss(const View& v);
void write_count(const Step& s, size_t i);
void write_count_noun(const Step& s, size_t i);
void write_gain(const Step& s, size_t i);
void write_loss(const Step& s, size_t i);
void write_and_now(const Step& s, size_t i);
void write_comma(const Step& s, size_t i);
void write_that(const Step& s, size_t i);

}  // namespace assay::data::grammar
