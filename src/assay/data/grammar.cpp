#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "assay/data/choices.h"
#include "assay/data/corpus.h"
#include "assay/data/grammar_words.h"
#include "assay/data/grammar_writer.h"

namespace assay::data {
namespace {

using namespace grammar;

enum class Number : uint8_t { one, many };
enum class Tense : uint8_t { present, past };

// Weights of the alternatives of each rule, in the order of its cases. Rules that nest have one row for each depth; the last row leaves
// no way to go deeper, so that every document ends.
using Weights = std::span<const uint16_t>;
constexpr size_t kDepths = 4;

constexpr uint16_t kParagraphs[] = {4, 3, 2, 1};    // 1 + index
constexpr uint16_t kSentences[] = {2, 3, 3, 2, 1};  // 2 + index
constexpr uint16_t kTenses[] = {3, 1};
constexpr uint16_t kNumbers[] = {3, 2};
constexpr uint16_t kSentenceKinds[] = {8, 8, 3, 2, 2, 2, 2};  // clause, cast, when, there is, sum, story of a sum, saying
constexpr uint16_t kSubjects[] = {3, 2, 4};                   // the other of the cast, the same by name, the same by pronoun
constexpr uint16_t kIntroductions[] = {4, 1, 2};              // name alone, "the baker", "who lives near the mill"
constexpr uint16_t kCreatures[] = {3, 2};                     // people, animals
constexpr uint16_t kSingularDeterminers[] = {6, 5, 1, 1};     // the, a, this, every
constexpr uint16_t kPluralDeterminers[] = {6, 2, 2, 1, 2};    // the, some, many, these, a numeral
constexpr uint16_t kCounts[] = {6, 5, 4, 3, 2, 2, 1, 1};      // two ... nine
constexpr uint16_t kQualities[] = {6, 4, 1};                  // how many
constexpr uint16_t kModifiers[kDepths][4] = {
    {8, 4, 3, 3}, {9, 3, 2, 2}, {12, 3, 1, 1}, {12, 3, 0, 0}};  // none, place, subject and object relative
constexpr uint16_t kVerbPhrases[kDepths][6] = {
    {4, 6, 4, 3, 2, 2}, {4, 5, 4, 3, 2, 1}, {5, 3, 3, 3, 2, 0}, {5, 0, 3, 3, 2, 0}};  // action, deed, handling, mood, place, belief
constexpr uint16_t kTails[] = {7, 2, 2};                                              // none, manner, time
constexpr uint16_t kCompanions[] = {3, 2};                                            // someone of the cast, a noun phrase
constexpr uint16_t kSumKinds[] = {2, 1};                                              // plus, minus
constexpr uint16_t kAddends[] = {1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};                    // zero ... ten

struct Member {  // of the cast: someone who keeps name, trade and home through the document
  const Name* name;
  const Noun* trade;
  const char* preposition;
  const char* home;
};

class Document {
 public:
  explicit Document(core::Stream stream) : choices_(stream) {}

  std::string write() {
    choose_cast();
    const size_t paragraphs = 1 + choose(kParagraphs);
    for (size_t i = 0; i < paragraphs; ++i) paragraph();
    return out_.take();
  }

 private:
  size_t choose(Weights weights) { return choices_.choose(weights); }
  bool chance(Weights weights) { return choose(weights) == 1; }

  template <class Word>
  const Word& pick(const Lexicon<Word>& lexicon) {
    return lexicon.words[choose(lexicon.weights)];
  }

  void choose_cast() {
    std::vector<uint16_t> weights(names.weights.begin(), names.weights.end());
    for (Member& m : cast_) {
      const size_t i = choose(weights);
      weights[i] = 0;  // two people of one document have different names
      m = {&names.words[i], &pick(people), pick(prepositions), pick(places)};
    }
  }

  void paragraph() {
    tense_ = chance(kTenses) ? Tense::past : Tense::present;
    topic_ = -1;
    const size_t sentences = 2 + choose(kSentences);
    for (size_t i = 0; i < sentences; ++i) sentence();
    out_.end_paragraph();
  }

  void sentence() {
    switch (choose(kSentenceKinds)) {
      case 0: clause(0); break;
      case 1: cast_clause(); break;
      case 2: conditional(); break;
      case 3: existence(); break;
      case 4: sum(); break;
      case 5: story_of_sum(); break;
      default: saying(); break;
    }
    out_.end_sentence();
  }

  // S -> NP VP
  void clause(size_t depth) {
    const Number n = creature(depth);
    verb_phrase(n, depth);
  }

  // S -> Name VP, where the name was introduced, or a pronoun stands for it
  void cast_clause() {
    cast_subject();
    verb_phrase(Number::one, 1);
  }

  void conditional() {
    out_.word("when");
    clause(2);
    out_.mark(',');
    cast_clause();
  }

  void existence() {
    const Number n = number();
    out_.word("there");
    out_.word(be(n));
    if (n == Number::one) out_.indefinite_article();
    else out_.word(numerals[2 + choose(kCounts)]);
    noun(pick(things), n);
    place();
  }

  void saying() {
    cast_subject();
    verb(pick(sayings), Number::one);
    out_.word("that");
    clause(1);
  }

  // Digits: "3 + 4 = 7", "9 - 2 = 7"
  void sum() {
    const size_t a = choose(kAddends), b = choose(kAddends);
    const bool minus = chance(kSumKinds);
    digits(minus ? a + b : a);
    out_.word(minus ? "-" : "+");
    digits(b);
    out_.word("=");
    digits(minus ? a : a + b);
  }

  // Words: "Anna has three apples and Tom has four apples. Together they have seven apples"
  void story_of_sum() {
    const Noun& what = pick(things);
    size_t total = 0;
    for (const Member& m : cast_) {
      const size_t n = choose(kAddends);
      if (&m != &cast_[0]) out_.word("and");
      out_.word(m.name->text);
      out_.word(tense_ == Tense::present ? "has" : "had");
      counted(what, n);
      total += n;
    }
    out_.end_sentence();
    out_.word("together they");
    out_.word(tense_ == Tense::present ? "have" : "had");
    counted(what, total);
    topic_ = -1;
  }

  void cast_subject() {
    if (topic_ < 0) {
      topic_ = 0;
      return introduce(cast_[0]);
    }
    switch (choose(kSubjects)) {
      case 0: topic_ = 1 - topic_; return introduce(cast_[topic_]);
      case 1: return out_.word(cast_[topic_].name->text);
      default: return out_.word(cast_[topic_].name->subject);
    }
  }

  void introduce(const Member& m) {
    out_.word(m.name->text);
    const size_t kind = choose(kIntroductions);
    if (kind == 0) return;
    out_.mark(',');
    if (kind == 1) {
      out_.word("the");
      out_.word(m.trade->singular);
    } else {
      out_.word(tense_ == Tense::present ? "who lives" : "who lived");
      out_.word(m.preposition);
      out_.word(m.home);
    }
    out_.mark(',');
  }

  // NP for people and animals; the verb far behind has to agree with the number that is returned.
  Number creature(size_t depth) {
    const bool person = !chance(kCreatures);
    const Number n = number();
    determiner(n);
    described(person ? pick(people) : pick(animals), n);
    modifier(n, person, depth);
    return n;
  }

  void thing() {
    const Number n = number();
    determiner(n);
    described(pick(things), n);
  }

  void modifier(Number n, bool person, size_t depth) {
    switch (choose(kModifiers[depth])) {
      case 0: return;
      case 1: return place();
      case 2: out_.word(person ? "who" : "that"); return verb_phrase(n, depth + 1);
      default: out_.word(person ? "whom" : "that"); return verb_by(creature(depth + 1));
    }
  }

  // The verb of an object relative: "whom the two dogs that the baker feeds | follow"
  void verb_by(Number n) { verb(pick(deeds), n); }

  void verb_phrase(Number n, size_t depth) {
    switch (choose(kVerbPhrases[depth])) {
      case 0: return verb(pick(actions), n), tail();
      case 1: return verb(pick(deeds), n), companion(depth);
      case 2: return verb(pick(handlings), n), thing(), tail();
      case 3: return out_.word(be(n)), out_.word(pick(moods));
      case 4: return out_.word(be(n)), place();
      default: return verb(pick(beliefs), n), out_.word("that"), clause(depth + 1);
    }
  }

  void companion(size_t depth) {
    if (chance(kCompanions)) creature(depth + 1);
    else out_.word(pick_member().name->text);
  }

  // Not the one whom the paragraph speaks of: nobody visits himself.
  const Member& pick_member() {
    const std::array<uint16_t, 2> weights{uint16_t(topic_ != 0), uint16_t(topic_ != 1)};
    return cast_[choose(weights)];
  }

  void tail() {
    switch (choose(kTails)) {
      case 0: return;
      case 1: return out_.word(pick(manners));
      default: return out_.word(pick(times));
    }
  }

  void place() {
    out_.word(pick(prepositions));
    out_.word(pick(places));
  }

  void determiner(Number n) {
    if (n == Number::one) {
      constexpr std::array words{"the", "", "this", "every"};
      const size_t i = choose(kSingularDeterminers);
      return i == 1 ? out_.indefinite_article() : out_.word(words[i]);
    }
    constexpr std::array words{"the", "some", "many", "these"};
    const size_t i = choose(kPluralDeterminers);
    out_.word(i < words.size() ? words[i] : numerals[2 + choose(kCounts)]);
  }

  // Adjectives, each different from the one before, then the noun
  void described(const Noun& what, Number n) {
    const size_t count = choose(kQualities);
    std::vector<uint16_t> weights;
    for (size_t i = 0; i < count; ++i) {
      if (i == 0) weights.assign(qualities.weights.begin(), qualities.weights.end());
      const size_t chosen = choose(weights);
      weights[chosen] = 0;
      out_.word(qualities.words[chosen]);
    }
    noun(what, n);
  }

  void counted(const Noun& what, size_t n) {
    out_.word(numerals[n]);
    noun(what, n == 1 ? Number::one : Number::many);
  }

  Number number() { return chance(kNumbers) ? Number::many : Number::one; }
  void noun(const Noun& what, Number n) { out_.word(n == Number::one ? what.singular : what.plural); }
  void digits(size_t n) { out_.word(std::to_string(n)); }

  void verb(const Verb& v, Number n) {
    if (tense_ == Tense::past) return out_.word(v.past);
    out_.word(n == Number::one ? v.singular : v.plural);
  }

  const char* be(Number n) const {
    if (tense_ == Tense::past) return n == Number::one ? "was" : "were";
    return n == Number::one ? "is" : "are";
  }

  Choices choices_;
  Writer out_;
  std::array<Member, 2> cast_{};
  Tense tense_ = Tense::present;
  int topic_ = -1;  // whom a pronoun would mean: 0, 1 or nobody yet
};

}  // namespace

std::string grammar_document(uint64_t seed, std::string_view split, uint64_t index) {
  return Document(core::Stream(seed, "corpus/grammar/" + std::string(split), index)).write();
}

}  // namespace assay::data
