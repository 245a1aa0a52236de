#include <string>

#include "assay/data/grammar_rules.h"

namespace assay::data::grammar {

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

}  // namespace assay::data::grammar
