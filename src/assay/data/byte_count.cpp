#include "assay/data/byte_count.h"

#include <algorithm>
#include <string_view>

#include "assay/core/error.h"
#include "assay/data/corpus.h"

namespace assay::data {
namespace {

using Kind = Tokenizer::TextTable::Kind;
using Extent = Tokenizer::TextTable::Extent;

constexpr uint64_t kCountBytes = uint64_t{1} << 20;

uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

std::string several(uint64_t n, const std::string& what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

class Counter {
 public:
  explicit Counter(const Tokenizer& tokenizer) : bytes_(tokenizer.byte_table()), text_(tokenizer.text_table()) {}

  void begin(uint16_t x) { controls_seen_ += border(x) ? 1 : 0; }

  void add(uint16_t x, uint16_t y) {
    ++count_.tokens;
    if (y >= text_.kind.size()) return void(++beyond_);
    const bool starts = border(x);
    count_.table_bytes += static_cast<uint64_t>(bytes_.bytes[y]);
    if (bytes_.leading_space[y] != 0 && x < bytes_.boundary.size() && bytes_.boundary[x] == 0) ++count_.table_bytes;
    const Kind kind = text_.kind[y];
    controls_ += kind == Kind::control ? 1 : 0;
    unknown_ += kind == Kind::unknown ? 1 : 0;
    unused_ += kind == Kind::unused ? 1 : 0;
    const Extent extent = starts ? text_.first[y] : text_.inside[y];
    count_.lower += extent.least;
    vague_ |= kind != Kind::unknown && kind != Kind::unused && extent.least != extent.most;
    if (kind != Kind::unknown) count_.decoded_bytes += extent.most;
    if (!starts) hidden_ += less(text_.inside[y].least, text_.first[y].least);
  }

  // `delimited`: the source is known to begin with a control id.
  ByteCount result(bool delimited) {
    const bool borders = delimited || controls_ + controls_seen_ > 0;
    count_.upper = count_.decoded_bytes;
    say_what_is_unknown();
    if (!borders && hidden_ > 0) {
      count_.lower = less(count_.lower, hidden_);
      say("no control id shows where documents begin, and the tokenizer puts a space that is no text before each");
    }
    if (text_.dummy_suffix) {
      count_.lower = less(count_.lower, borders ? controls_ + 1 : count_.tokens);
      say("the tokenizer puts a space that is no text behind each document");
    }
    allow_for_normalization();
    count_.exact = count_.lower == count_.upper;
    if (count_.exact) say_what_is_assumed();
    count_.reason = reason_;
    return count_;
  }

 private:
  bool border(uint16_t x) const { return x >= text_.kind.size() || text_.kind[x] == Kind::control; }

  void say(const std::string& why) { reason_ += (reason_.empty() ? "" : "; ") + why; }

  void say_what_is_unknown() {
    if (unknown_ + beyond_ > 0) count_.upper = ByteCount::kUnbounded;
    if (unknown_ > 0) say(several(unknown_, "unknown id") + ", each of which may stand for a run of characters of any length");
    if (beyond_ > 0) say(several(beyond_, "id") + " beyond the tokenizer");
    if (unused_ > 0) say(several(unused_, "unused id") + ", which encoding never writes");
    if (vague_) say("some pieces can stand for texts of different sizes");
  }

  // Each place of the text that normalisation looks at has at least one byte, and gives at most `most` bytes; a border may cut one on
  // either side.
  void allow_for_normalization() {
    if (text_.longest_rule == 0 && !text_.drops_spaces) return;
    const std::string bytes = std::to_string(count_.decoded_bytes) + " bytes are those of the normalised text";
    if (text_.longest_rule > 0) {
      const uint64_t most = std::max<uint64_t>(4, text_.longest_rule);
      count_.lower = (less(count_.lower, 2 * (most - 1)) + most - 1) / most;
      say("the tokenizer normalises text: " + bytes);
    } else {
      say("the tokenizer drops spaces at the ends of a text and all but one of several: " + bytes);
    }
    count_.upper = ByteCount::kUnbounded;
  }

  void say_what_is_assumed() {
    if (text_.spaces_as_characters) say("exact for a text without U+2581, which the tokenizer cannot tell from a space");
    if (count_.table_bytes != count_.lower) {
      say("the byte table differs: it leaves out the space that begins a document, and counts a space inside or at the end of a piece as "
          "three bytes");
    }
  }

  Tokenizer::ByteTable bytes_;
  Tokenizer::TextTable text_;
  ByteCount count_;
  uint64_t controls_seen_ = 0, controls_ = 0, unknown_ = 0, beyond_ = 0, unused_ = 0;
  uint64_t hidden_ = 0;  // bytes that would be no text if every piece that can begin a document did
  bool vague_ = false;
  std::string reason_;
};

bool begins_with_control(const TokenSource& source, const Tokenizer& tokenizer) {
  if (source.size() == 0) return false;
  uint16_t id = 0;
  source.read(0, 1, &id);
  return id < tokenizer.vocab_size() && tokenizer.bos() == id;
}

// A document among the tokens of tokenize().
struct Place {
  uint64_t begin, text, end;  // of its tokens; of those that stand for text; one behind them
};

uint64_t spaces_look_alikes(std::string_view text) {
  constexpr std::string_view mark = "\xE2\x96\x81";
  uint64_t n = 0;
  for (size_t at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at + mark.size())) ++n;
  return n;
}

// Adds the bounds of one document, of which some tokens may be outside of the range.
void add_document(const Place& place, const std::string& document, uint64_t first, uint64_t end, const TokenSource& tokens,
                  const Tokenizer& tokenizer, ByteCount& count) {
  const uint64_t size = document.size();
  if (place.text > first && place.end <= end) {
    count.lower += size;
    count.upper += size;
    return;
  }
  const uint64_t from = place.text > first ? place.text - 1 : first, to = std::min(end, place.end);
  if (from >= to) return;
  const ByteCount part = count_bytes(tokens, tokenizer, from, to);
  const uint64_t most = part.upper == ByteCount::kUnbounded ? size : part.upper + 2 * spaces_look_alikes(document);
  count.lower += std::min(part.lower, size);
  count.upper += std::min(most, size);
  if (!part.exact) count.reason = "a border of the range cuts a document, and " + part.reason;
}

}  // namespace

ByteCount count_bytes(const TokenSource& source, const Tokenizer& tokenizer, uint64_t first, uint64_t end) {
  if (end > source.size() || (first >= end && end > 0)) {
    throw core::DataError("data", "bytes of the tokens behind " + std::to_string(first) + " and before " + std::to_string(end) +
                                      " of a source that holds " + std::to_string(source.size()));
  }
  Counter counter(tokenizer);
  std::vector<uint16_t> tokens;
  for (uint64_t at = first; at < end; at += std::max<uint64_t>(tokens.size() - 1, 1)) {
    if (at + 1 == end && at > first) break;
    tokens.resize(std::min(kCountBytes, end - at));
    source.read(at, tokens.size(), tokens.data());
    if (at == first) counter.begin(tokens.front());
    for (size_t i = 1; i < tokens.size(); ++i) counter.add(tokens[i - 1], tokens[i]);
  }
  return counter.result(begins_with_control(source, tokenizer));
}

ByteCount count_bytes(const std::vector<std::string>& documents, const Tokenizer& tokenizer, uint64_t first, uint64_t end) {
  std::vector<uint16_t> ids;
  std::vector<Place> places;
  uint64_t changed = 0;
  for (const std::string& document : documents) {
    const Tokenized one = tokenize({document}, tokenizer);
    const uint64_t bos = tokenizer.bos() >= 0 ? 1 : 0;
    places.push_back({ids.size(), ids.size() + bos, ids.size() + one.tokens.size()});
    ids.insert(ids.end(), one.tokens.begin(), one.tokens.end());
    if (tokenizer.decode(one.tokens) != document) ++changed;
  }
  const auto tokens = tokens_in_memory(std::move(ids));
  ByteCount count = count_bytes(*tokens, tokenizer, first, end);
  count.lower = count.upper = 0;
  count.reason.clear();
  for (size_t i = 0; i < documents.size(); ++i) add_document(places[i], documents[i], first, end, *tokens, tokenizer, count);
  count.exact = count.lower == count.upper;
  if (changed > 0) {
    const std::string why = "documents that do not come back from their tokens: " + std::to_string(changed) + " of " +
                            std::to_string(documents.size()) + "; the bytes are those of the text before encoding";
    count.reason = why + (count.reason.empty() ? "" : "; ") + count.reason;
  }
  return count;
}

ByteCount count_bytes(const std::vector<std::string>& documents, const Tokenizer& tokenizer) {
  return count_bytes(documents, tokenizer, 0, tokenize(documents, tokenizer).tokens.size());
}

}  // namespace assay::data
