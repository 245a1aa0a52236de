#pragma once
#include <string>
#include <string_view>
#include <utility>

namespace assay::data::grammar {

// Puts words together to text: spaces, capitals at the beginning of sentences, "a" or "an".
class Writer {
 public:
  void word(std::string_view w) {
    if (indefinite_) put(starts_with_vowel(w) ? "an" : "a");
    indefinite_ = false;
    put(w);
  }
  void indefinite_article() { indefinite_ = true; }  // of the word that follows
  void mark(char c) { text_.push_back(c); }          // stands close to the word before it
  void end_sentence() {
    mark('.');
    capital_ = true;
  }
  void end_paragraph() {
    mark('\n');
    capital_ = true;
  }
  std::string take() { return std::move(text_); }

 private:
  static bool starts_with_vowel(std::string_view w) { return std::string_view("aeiou").find(w.front()) != std::string_view::npos; }

  void put(std::string_view w) {
    if (!text_.empty() && text_.back() != '\n') text_.push_back(' ');
    text_.append(w);
    char& first = text_[text_.size() - w.size()];
    if (std::exchange(capital_, false) && first >= 'a' && first <= 'z') first = static_cast<char>(first - 'a' + 'A');
  }

  std::string text_;
  bool capital_ = true, indefinite_ = false;
};

}  // namespace assay::data::grammar
