#include <string>

#include "assay/data/grammar_rules.h"

namespace assay::data::grammar {

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

static void weigh_counts(const View& v, int most) {
  for (int n = 1; n <= 6; ++n) v.out.push_back(n <= most ? kCounts[static_cast<size_t>(n - 1)] : 0);
}
void weigh_count(const View& v) { weigh_counts(v, 6); }
void weigh_gain(const View& v) { weigh_counts(v, kMostCount - v.person().count); }
void weigh_loss(const View& v) { weigh_counts(v, v.person().count - 1); }

static void counted_noun(const Step& s, size_t n) { s.noun(s.word_of(Class::thing, s.state.counted), n != 1); }

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

}  // namespace assay::data::grammar
