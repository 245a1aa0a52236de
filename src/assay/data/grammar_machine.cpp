#include "assay/data/grammar_machine.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace assay::data::grammar {
namespace {

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

void only(const View& v) { v.set({1}); }
template <Class c>
void lexical(const View& v) {
  v.lexical(c);
}

// Document and sentences

void write_opening(const Step& s, size_t i) {
  s.state.past = i == 1;
  s.word("it");
  s.word(i == 1 ? "was" : "is");
  s.push(end);
  s.push(scene);
  s.push(time_of);
}

void write_time(const Step& s, size_t i) { s.word(s.word_of(Class::time, i).one); }

void write_scene(const Step& s, size_t i) {
  s.state.scene = static_cast<uint8_t>(i);
  s.word("at");
  s.word("the");
  s.word(s.word_of(Class::place, i).one);
}

constexpr uint16_t kShortest = 150, kLongest = 360;  // bytes, between which a document may end, and beyond which it does

void weigh_end(const View& v) {
  if (v.state.bytes < kShortest) return v.set({1, 0, 0, 0});
  if (v.state.bytes > kLongest) return v.set({0, 0, 1, 1});
  v.set({12, v.state.paragraphs == 1 ? 4 : 0, 2, 2});
}

void write_end(const Step& s, size_t i) {
  s.put(i == 3 ? "!" : ".");
  s.state.capital = true;
  if (i > 0) s.put("\n");
  if (i > 1) return;
  s.push(end);
  if (i == 0) return s.push(sentence);
  ++s.state.paragraphs;
  s.state.line_start = true;
  s.state.last = kNobody;
  s.state.last_animal = false;
  s.push(opener);
}

int holders(const State& s) {
  int n = 0;
  for (size_t p = 0; p < s.people; ++p) n += s.cast[p].count > 0;
  return n;
}
size_t total(const State& s) {
  size_t n = 0;
  for (size_t p = 0; p < s.people; ++p) n += s.cast[p].count;
  return n;
}

void weigh_sentence(const View& v) {
  if (v.state.people == 0) return v.set({0, 1, 0, 0, 0, 0});
  const bool together = holders(v.state) >= 2 && total(v.state) < numerals.size();
  v.set({22, v.state.people < kCast ? 6 : 0, 5, 3, 1, together ? 8 : 0});
}

void write_sentence(const Step& s, size_t i) {
  switch (i) {
    case 0: return s.push(subject);
    case 1: return s.push(new_person, 1);
    case 2: return s.push(animals, 2);
    case 3:
      s.word("when");
      s.push(subject);
      s.push(comma);
      return s.push(clause, 1, 0);
    case 4:
      s.state.sum = 0;
      s.push(result);
      s.push(addend, 1);
      s.push(operation);
      s.push(addend, 1);
      s.push(operation);
      return s.push(addend, 0);
    default: break;
  }
  s.word("together");
  s.word("they");
  s.word(s.state.past ? "had" : "have");
  const size_t n = total(s.state);
  s.word(numerals[n]);
  s.noun(s.word_of(Class::thing, s.state.counted), true);
  s.state.last = kNobody;
  s.state.last_animal = false;
}

void weigh_opener(const View& v) { v.set({3, 2, 2}); }
void write_opener(const Step& s, size_t i) {
  constexpr std::array words{"later", "soon", "then"};
  s.word(words[i]);
  s.push(subject);
}

// Sums in digits: "3 + 4 - 2 = 5"

void weigh_addend(const View& v) {
  const int most = v.symbol.use == 2 ? std::min<int>(9, v.state.sum) : 9;
  for (int i = 0; i <= 9; ++i) v.out.push_back(i <= most);
}
void write_addend(const Step& s, size_t i) {
  s.word(std::to_string(i));
  s.state.sum = static_cast<uint8_t>(s.symbol.use == 2 ? s.state.sum - i : s.state.sum + i);
}
void weigh_operation(const View& v) { v.set({2, 1}); }
void write_operation(const Step& s, size_t i) {
  s.word(i == 0 ? "+" : "-");
  s.state.stack[s.state.symbols - 1].use = i == 0 ? 1 : 2;  // of the addend that follows
}
void write_result(const Step& s, size_t) {
  s.word("=");
  s.word(std::to_string(s.state.sum));
  s.state.last = kNobody;
  s.state.last_animal = false;
}

// Subjects from the cast. A name is known after its introduction; "the baker" means the one whose trade was told; a pronoun means the
// subject of the sentence before.

void weigh_subject(const View& v) {
  const State& s = v.state;
  v.set({s.last == kNobody ? 0 : 9});
  for (size_t p = 0; p < kCast; ++p) v.set({!v.known(p) ? 0 : s.last == p ? 1 : 4});
  for (size_t p = 0; p < kCast; ++p) v.set({!v.known(p) || s.cast[p].trade == Person::unknown ? 0 : s.last == p ? 1 : 3});
  v.set({s.last_animal ? 4 : 0});
}

void write_subject(const Step& s, size_t i) {
  if (i == 7) {
    s.agreeing(s.state.last_many ? "they" : "it", s.state.last_head);
    s.state.last_head = static_cast<uint16_t>(s.state.words - 1);
    return s.push_verb_phrase(kNobody, s.state.last_many, 1);
  }
  const auto who = static_cast<uint8_t>(i == 0 ? s.state.last : (i - 1) % kCast);
  if (i == 0) {
    s.pronoun(who, "she", "he");
  } else if (i <= kCast) {
    s.name(who);
  } else {
    s.word("the");
    s.word(s.word_of(Class::trade, s.state.cast[who].trade).one);
  }
  s.becomes_subject(who);
  s.push_verb_phrase(who, false, 0);
}

void weigh_new_person(const View& v) {
  v.lexical(Class::name);
  for (size_t p = 0; p < v.state.people; ++p) v.out[v.state.cast[p].name] = 0;
}

// use: 0 an object, 1 the subject of a sentence, with a word about them
void write_new_person(const Step& s, size_t i) {
  const uint8_t who = s.state.people++;
  s.state.cast[who].name = static_cast<uint16_t>(i);
  s.name(who);
  if (s.symbol.use == 0) return;
  s.becomes_subject(who);
  s.push_verb_phrase(who, false, 0);
  Symbol about;
  about.rule = introduction;
  about.who = who;
  about.head = static_cast<uint16_t>(s.state.words - 1);
  s.state.push(about);
}

void weigh_introduction(const View& v) { v.set({2, 4, 2}); }
void write_introduction(const Step& s, size_t i) {
  if (i == 0) return;
  s.put(",");
  s.push(comma);
  if (i == 1) {
    s.state.article = true;
    return s.push(trade);
  }
  s.word("who");
  s.inflected("lives", "live", "lived");
  s.word("at");
  s.push(home);
}

void weigh_trade(const View& v) {
  v.lexical(Class::trade);
  for (size_t p = 0; p < v.state.people; ++p) {
    if (v.state.cast[p].trade != Person::unknown) v.out[v.state.cast[p].trade] = 0;
  }
}
void write_trade(const Step& s, size_t i) {
  s.person().trade = static_cast<uint16_t>(i);
  s.word(s.word_of(Class::trade, i).one);
}

void write_home(const Step& s, size_t i) {
  s.person().home = static_cast<uint16_t>(i);
  s.word("the");
  s.word(s.word_of(Class::place, i).one);
}

// Clauses in clauses. `who` is the subject of the clause around it: a pronoun means them, so their name does not occur here.

void weigh_clause(const View& v) {
  v.set({5, v.symbol.who == kNobody ? 0 : 5});
  for (size_t p = 0; p < kCast; ++p) v.set({v.known(p) && v.symbol.who != p ? 3 : 0});
}
void write_clause(const Step& s, size_t i) {
  if (i == 0) return s.push(animals, 0);
  const auto who = static_cast<uint8_t>(i == 1 ? s.symbol.who : i - 2);
  if (i == 1) s.pronoun(who, "she", "he");
  else s.name(who);
  s.push_verb_phrase(who, false, std::max<uint8_t>(s.symbol.depth, 1));
}

// Noun phrases of animals. use: 0 subject, 1 subject of a relative clause about what stands before, 2 subject of a sentence, 3 object

void weigh_number(const View& v) { v.set({3, 2}); }
void write_animals(const Step& s, size_t i) {
  Symbol next = s.symbol;
  next.rule = determiner;
  next.many = static_cast<uint8_t>(i);
  s.state.push(next);
}

void weigh_determiner(const View& v) {
  if (v.symbol.many) v.set({3, 2, 2, 2});
  else v.set({5, 2, 2, 0});
}
void write_determiner(const Step& s, size_t i) {
  constexpr std::array<std::array<const char*, 4>, 2> words{{{"", "every", "this", ""}, {"some", "many", "these", "two"}}};
  if (!s.symbol.many && i == 0) s.state.article = true;
  else s.word(words[s.symbol.many][i]);
  s.push(animal, s.symbol.use);
}

void write_animal(const Step& s, size_t i) {
  s.noun(s.word_of(Class::animal, i), s.symbol.many);
  if (s.symbol.use == 3) return;
  const auto head = static_cast<uint16_t>(s.state.words - 1);
  Symbol next = s.symbol;
  next.head = head;
  next.who = kNobody;
  next.rule = s.symbol.use == 1 ? verb : verb_phrase;
  next.use = s.symbol.use == 1 ? static_cast<uint8_t>(Class::deed) : 0;
  s.state.push(next);
  next.rule = modifier;
  s.state.push(next);
  if (s.symbol.use != 2) return;
  s.state.last = kNobody;
  s.state.last_animal = true;
  s.state.last_many = s.symbol.many;
  s.state.last_head = head;
}

void weigh_modifier(const View& v) {
  const int nest = v.may_nest();
  v.set({5, 4, 4 * nest, 2 * nest});
  for (size_t p = 0; p < kCast; ++p) v.set({v.known(p) ? nest : 0});
}
void write_modifier(const Step& s, size_t i) {
  if (i == 0) return;
  if (i == 1) return s.push(near_place);
  s.word("that");
  const auto deeper = static_cast<uint8_t>(s.symbol.depth + 1);
  if (i == 2) return s.push(verb_phrase, deeper, 0);
  if (i == 3) return s.push(animals, deeper, 1);
  const auto who = static_cast<uint8_t>(i - 4);
  s.name(who);
  Symbol next;
  next.rule = verb;
  next.use = static_cast<uint8_t>(Class::deed);
  next.head = static_cast<uint16_t>(s.state.words - 1);
  s.state.push(next);
}

// Verb phrases

constexpr int kMostCount = 9;

void weigh_verb_phrase(const View& v) {
  const bool cast = v.symbol.who != kNobody, main = cast && v.symbol.depth == 0;
  v.set({6, 5, 7, 3, 3, v.may_nest() ? 3 : 0});
  if (!main) return v.set({0, 0, 0, 0, 0});
  const Person& p = v.person();
  const bool more = p.count > 0 && p.count < kMostCount, less = p.count > 1;
  v.set({p.home == Person::unknown ? 2 : 4, p.verb == Person::unknown ? 0 : 5,
         p.count == 0 ? 5
         : more       ? 3
                      : 0,
         less ? 3 : 0, p.mood == Person::unknown ? 0 : 4});
}

void write_verb_phrase(const Step& s, size_t i) {
  const auto push_verb = [&](Class c) { s.push(verb, static_cast<uint8_t>(c)); };
  switch (i) {
    case 0: return s.push(manner), push_verb(Class::action);
    case 1: return s.push(person_object), push_verb(Class::deed);
    case 2: return s.push(thing), push_verb(Class::handling);
    case 3: return s.be(), s.push(mood);
    case 4: return s.be(), s.push(near_place);
    case 5: return s.push(clause, static_cast<uint8_t>(s.symbol.depth + 1), 0), s.push(literal_that), push_verb(Class::belief);
    case 6:
      s.inflected("goes", "go", "went");
      s.word("home");
      s.word("to");
      if (s.person().home == Person::unknown) return s.push(home);
      return write_home(s, s.person().home);
    case 7:
      s.inflected(s.word_of(Class::handling, s.person().verb));
      s.word("the");
      s.write(s.person().thing);
      return s.word("again");
    case 8:
      if (s.person().count == 0) return s.inflected("has", "have", "had"), s.push(count);
      return s.inflected("gets", "get", "got"), s.push(and_now), s.push(gain);
    case 9: return s.inflected("drops", "drop", "dropped"), s.push(and_now), s.push(loss);
    default: break;
  }
  s.be();
  s.word("still");
  s.word(s.word_of(Class::mood, s.person().mood).one);
}

void weigh_verb(const View& v) { v.lexical(static_cast<Class>(v.symbol.use)); }
void write_verb(const Step& s, size_t i) {
  const auto c = static_cast<Class>(s.symbol.use);
  if (c == Class::handling && s.symbol.who != kNobody && s.symbol.depth == 0) s.person().verb = static_cast<uint16_t>(i);
  s.inflected(s.word_of(c, i));
}

void write_manner(const Step& s, size_t i) {
  const auto& all = s.machine.lexicon().of(Class::manner);
  if (i < all.size()) s.word(all[i].one);
}

void write_mood(const Step& s, size_t i) {
  if (s.symbol.who != kNobody && s.symbol.depth == 0) s.person().mood = static_cast<uint16_t>(i);
  s.word(s.word_of(Class::mood, i).one);
}

void write_near_place(const Step& s, size_t i) {
  s.word("near");
  s.word("the");
  s.word(s.word_of(Class::place, i).one);
}

void weigh_person_object(const View& v) {
  for (size_t p = 0; p < kCast; ++p) v.set({v.known(p) && v.symbol.who != p ? 4 : 0});
  v.set({v.state.people < kCast ? 1 : 0, 3});
}
void write_person_object(const Step& s, size_t i) {
  if (i < kCast) return s.name(static_cast<uint8_t>(i));
  if (i == kCast) s.push(new_person, 0);
  else s.push(animals, 3);
}

// Things. A new one comes with "a", "some" or somebody's "her"; "the" brings back one of the last three, with its adjective.

void weigh_thing(const View& v) {
  v.set({4, 2, 2});
  constexpr std::array recent{6, 4, 3};
  for (size_t i = 0; i < kThings; ++i) v.set({i < v.state.known_things ? recent[i] : 0});
}
void write_thing(const Step& s, size_t i) {
  if (i > 2) {
    s.word("the");
    s.write(s.state.things[i - 3]);
    std::rotate(s.state.things.begin(), s.state.things.begin() + static_cast<std::ptrdiff_t>(i - 3),
                s.state.things.begin() + static_cast<std::ptrdiff_t>(i - 2));
    if (s.symbol.who != kNobody && s.symbol.depth == 0) s.person().thing = s.state.things[0];
    return;
  }
  s.state.draft = {};
  s.state.draft.many = i == 1;
  if (i == 0) s.state.article = true;
  else if (i == 1) s.word("some");
  else if (s.symbol.who == kNobody) s.agreeing(s.symbol.many ? "their" : "its", s.symbol.head);
  else s.pronoun(s.symbol.who, "her", "his");
  s.push(thing_noun);
  s.push(thing_quality);
}

void weigh_thing_quality(const View& v) { v.lexical_or_nothing(Class::quality); }
void write_thing_quality(const Step& s, size_t i) {
  const auto& all = s.machine.lexicon().of(Class::quality);
  if (i == all.size()) return;
  s.state.draft.described = true;
  s.state.draft.quality = static_cast<uint16_t>(i);
  s.word(all[i].one);
}

void weigh_thing_noun(const View& v) {
  v.lexical(Class::thing);
  for (size_t i = 0; i < v.state.known_things; ++i) v.out[v.state.things[i].noun] = 0;
}
void write_thing_noun(const Step& s, size_t i) {
  State& state = s.state;
  state.draft.noun = static_cast<uint16_t>(i);
  s.noun(s.word_of(Class::thing, i), state.draft.many);
  std::move_backward(state.things.begin(), state.things.end() - 1, state.things.end());
  state.things[0] = state.draft;
  state.known_things = static_cast<uint8_t>(std::min<size_t>(state.known_things + 1U, kThings));
  if (s.symbol.who != kNobody && s.symbol.depth == 0) s.person().thing = state.draft;
}

// Counts: "has three lamps", "gets two more lamps and now has five", "together they have eight lamps". One kind of thing a document.

constexpr std::array<uint16_t, 6> kCounts{4, 4, 3, 3, 2, 2};

void weigh_counts(const View& v, int most) {
  for (int n = 1; n <= 6; ++n) v.out.push_back(n <= most ? kCounts[static_cast<size_t>(n - 1)] : 0);
}
void weigh_count(const View& v) { weigh_counts(v, 6); }
void weigh_gain(const View& v) { weigh_counts(v, kMostCount - v.person().count); }
void weigh_loss(const View& v) { weigh_counts(v, v.person().count - 1); }

void counted_noun(const Step& s, size_t n) { s.noun(s.word_of(Class::thing, s.state.counted), n != 1); }

void write_count(const Step& s, size_t i) {
  s.person().count = static_cast<uint8_t>(i + 1);
  s.word(numerals[i + 1]);
  if (s.state.counted == Person::unknown) s.push(count_noun);
  else counted_noun(s, i + 1);
}
void write_count_noun(const Step& s, size_t i) {
  s.state.counted = static_cast<uint16_t>(i);
  counted_noun(s, s.person().count);
}
void write_gain(const Step& s, size_t i) {
  s.person().count = static_cast<uint8_t>(s.person().count + i + 1);
  s.word(numerals[i + 1]);
  s.word("more");
  counted_noun(s, i + 1);
}
void write_loss(const Step& s, size_t i) {
  s.person().count = static_cast<uint8_t>(s.person().count - i - 1);
  s.word(numerals[i + 1]);
  counted_noun(s, i + 1);
}
void write_and_now(const Step& s, size_t) {
  s.word("and");
  s.word("now");
  s.inflected("has", "have", "had");
  s.word(numerals[s.person().count]);
}

void write_comma(const Step& s, size_t) { s.put(","); }
void write_that(const Step& s, size_t) { s.word("that"); }

struct RuleEntry {
  void (*weigh)(const View&);
  void (*write)(const Step&, size_t alternative);
};

// In the order of `Rule`.
constexpr std::array<RuleEntry, rules> table{{
    {[](const View& v) { v.set({1, 1}); }, write_opening},
    {lexical<Class::time>, write_time},
    {[](const View& v) { v.out.assign(v.machine.lexicon().of(Class::place).size(), 1); }, write_scene},
    {weigh_end, write_end},
    {weigh_sentence, write_sentence},
    {weigh_opener, write_opener},
    {weigh_subject, write_subject},
    {weigh_new_person, write_new_person},
    {weigh_introduction, write_introduction},
    {weigh_trade, write_trade},
    {lexical<Class::place>, write_home},
    {weigh_clause, write_clause},
    {weigh_verb_phrase, write_verb_phrase},
    {weigh_verb, write_verb},
    {[](const View& v) { v.lexical_or_nothing(Class::manner); }, write_manner},
    {lexical<Class::mood>, write_mood},
    {lexical<Class::place>, write_near_place},
    {weigh_person_object, write_person_object},
    {weigh_number, write_animals},
    {weigh_determiner, write_determiner},
    {lexical<Class::animal>, write_animal},
    {weigh_modifier, write_modifier},
    {weigh_thing, write_thing},
    {weigh_thing_quality, write_thing_quality},
    {weigh_thing_noun, write_thing_noun},
    {weigh_count, write_count},
    {lexical<Class::thing>, write_count_noun},
    {weigh_gain, write_gain},
    {weigh_loss, write_loss},
    {only, write_and_now},
    {weigh_addend, write_addend},
    {weigh_operation, write_operation},
    {only, write_result},
    {only, write_comma},
    {only, write_that},
}};

}  // namespace

Machine::Machine(int64_t words, int64_t depth) : lexicon_(static_cast<size_t>(words)), depth_(static_cast<uint8_t>(depth)) {}

State Machine::start() const {
  State state;
  state.push({});  // rule 0: opening
  return state;
}

void Machine::weights(const State& state, Symbol symbol, std::vector<uint16_t>& out) const {
  out.clear();
  table[symbol.rule].weigh({*this, state, symbol, out});
}

void Machine::apply(State& state, Symbol symbol, size_t alternative, Pen& pen) const {
  table[symbol.rule].write({*this, state, symbol, pen}, alternative);
}

bool Machine::ends(Symbol symbol, size_t alternative) { return symbol.rule == end && alternative >= 2; }

}  // namespace assay::data::grammar
