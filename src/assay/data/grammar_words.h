#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay::data::grammar {

enum class Class : uint8_t { name, trade, animal, thing, place, quality, mood, action, deed, handling, belief, manner, time };
inline constexpr size_t kClasses = 13;

// The forms of a word. Nouns: one, many. Verbs: "sees", "see", "saw". All others have one form.
struct Word {
  std::string one, many, past;
  bool female = false;  // of names
};

// The open classes of words, and how often each word is chosen. No form stands for two words.
//
// Each class is ranked by frequency, and each place of the lexicon has a ranking of its own (the same one, turned round): what is spoken
// of depends on where the document is set.
class Lexicon {
 public:
  explicit Lexicon(size_t words);  // at least 56
  const std::vector<Word>& of(Class c) const { return words_[static_cast<size_t>(c)]; }
  std::span<const uint16_t> weights(Class c, size_t scene) const;

 private:
  std::array<std::vector<Word>, kClasses> words_;
  std::array<std::vector<uint16_t>, kClasses> weights_;  // [scene][word]
};

// The first `n` words of a class: real ones, then regularly built pronounceable ones.
std::vector<Word> words_of(Class c, size_t n);

inline constexpr auto numerals =
    std::to_array<const char*>({"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"});

}  // namespace assay::data::grammar
