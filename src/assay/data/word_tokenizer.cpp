#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/grammar.h"
#include "assay/data/tokenizer.h"

namespace assay::data {
namespace {

constexpr std::string_view kPrefix = "words";

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What a sentence may begin with, besides names; and what a line may.
constexpr auto sentence_starts = std::to_array<const char*>(
    {"She", "He", "It", "They", "The", "A", "An", "Every", "This", "Some", "Many", "These", "Two", "When", "Together"});
constexpr auto line_starts = std::to_array<const char*>({"It", "Later", "Soon", "Then"});

std::vector<std::string> pieces_of(int64_t grammar_words) {
  std::vector<std::string> out{".", ",", "!", ".\n", "!\n"};
  for (const std::string& w : shared_grammar({.words = grammar_words}).words()) out.push_back(" " + w);
  for (int n = 0; n <= 9; ++n) out.push_back(" " + std::to_string(n));
  for (const char* w : sentence_starts) out.push_back(std::string(" ") + w);
  for (const char* w : line_starts) out.emplace_back(w);
  return out;
}

class WordTokenizer final : public Tokenizer {
 public:
  explicit WordTokenizer(int64_t grammar_words)
      : grammar_words_(grammar_words), bytes_(byte_tokenizer()), pieces_(pieces_of(grammar_words)) {
    for (size_t i = 0; i < pieces_.size(); ++i) {
      ids_.emplace(pieces_[i], static_cast<uint16_t>(first() + i));
      longest_ = std::max(longest_, pieces_[i].size());
    }
  }

  int64_t vocab_size() const override { return static_cast<int64_t>(first() + pieces_.size()); }
  int64_t bos() const override { return bytes_->bos(); }
  int64_t eos() const override { return bytes_->eos(); }

  std::vector<uint16_t> encode(std::string_view text) const override {
    std::vector<uint16_t> ids;
    while (!text.empty()) {
      const auto [id, size] = match(text);
      if (size > 0) ids.push_back(id);
      else ids.push_back(bytes_->encode(text.substr(0, 1)).front());
      text.remove_prefix(std::max<size_t>(size, 1));
    }
    return ids;
  }

  std::string decode(const std::vector<uint16_t>& ids) const override {
    std::string text;
    for (const uint16_t id : ids) {
      check(id);
      text += id < first() ? bytes_->decode({id}) : pieces_[id - first()];
    }
    return text;
  }

  std::string piece(int64_t id) const override {
    check(id);
    if (id < static_cast<int64_t>(first())) return bytes_->piece(id);
    std::string text = pieces_[static_cast<size_t>(id) - first()];
    if (text.front() == ' ') text.replace(0, 1, "\u2581");
    if (text.back() == '\n') text.replace(text.size() - 1, 1, "<0x0A>");
    return text;
  }

  std::string hash() const override {
    std::string all = bytes_->hash();
    for (const std::string& p : pieces_) all += p + '\0';
    return core::hash128_hex(all);
  }
  std::string description() const override { return std::string(kPrefix) + ":" + std::to_string(grammar_words_); }

  ByteTable byte_table() const override {
    ByteTable table = bytes_->byte_table();
    for (const std::string& p : pieces_) table.bytes.push_back(static_cast<int32_t>(p.size()));
    table.leading_space.resize(table.bytes.size(), 0);
    table.boundary.resize(table.bytes.size(), 0);
    return table;
  }

  TextTable text_table() const override {
    TextTable table = bytes_->text_table();
    for (const std::string& p : pieces_) {
      const auto size = static_cast<uint32_t>(p.size());
      table.kind.push_back(TextTable::Kind::text);
      table.inside.push_back({size, size});
      table.first.push_back({size, size});
    }
    return table;
  }

 private:
  size_t first() const { return static_cast<size_t>(bytes_->vocab_size()); }

  void check(int64_t id) const {
    if (id >= 0 && id < vocab_size()) return;
    throw core::DataError("tokenizer",
                          "id " + std::to_string(id) + " is none of the " + std::to_string(vocab_size()) + " ids of " + description());
  }

  // The longest piece that the text begins with, and that does not end within a word.
  std::pair<uint16_t, size_t> match(std::string_view text) const {
    for (size_t size = std::min(longest_, text.size()); size > 0; --size) {
      if (size < text.size() && is_letter(text[size - 1]) && is_letter(text[size])) continue;
      const auto found = ids_.find(std::string(text.substr(0, size)));
      if (found != ids_.end()) return {found->second, size};
    }
    return {0, 0};
  }

  int64_t grammar_words_;
  std::unique_ptr<Tokenizer> bytes_;
  std::vector<std::string> pieces_;
  std::unordered_map<std::string, uint16_t> ids_;
  size_t longest_ = 1;
};

}  // namespace

std::unique_ptr<Tokenizer> word_tokenizer(int64_t grammar_words) { return std::make_unique<WordTokenizer>(grammar_words); }

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& name) {
  if (name == "bytes") return byte_tokenizer();
  if (name == kPrefix) return word_tokenizer(GrammarOptions{}.words);
  if (!name.starts_with("words:")) return sentencepiece_tokenizer(name);
  int64_t words = 0;
  const char* end = name.data() + name.size();
  const auto [at, error] = std::from_chars(name.data() + kPrefix.size() + 1, end, words);
  if (error != std::errc() || at != end) throw core::ConfigError("data", "tokenizer: wanted words:N with a whole number N, found " + name);
  return word_tokenizer(words);
}

}  // namespace assay::data
