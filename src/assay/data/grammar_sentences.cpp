#include <string>

#include "assay/data/grammar_rules.h"

namespace assay::data::grammar {

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

static int holders(const State& s) {
  int n = 0;
  for (size_t p = 0; p < s.people; ++p) n += s.cast[p].count > 0;
  return n;
}
static size_t total(const State& s) {
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

}  // namespace assay::data::grammar
