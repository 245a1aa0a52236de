#include <sentencepiece_processor.h>

#include <algorithm>
#include <utility>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/data/path.h"
#include "assay/data/sentencepiece_log.h"
#include "assay/data/sentencepiece_model.h"
#include "assay/data/tokenizer.h"

namespace assay::data {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, how pieces write a space

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(const std::string& bytes, const std::string& path)
      : hash_(core::hash128_hex(bytes)), description_("sentencepiece " + base_name(path)) {
    model_ = check_sentencepiece_model(bytes, path);
    silence_sentencepiece();
    try {
      const auto status = processor_.LoadFromSerializedProto(bytes);
      if (!status.ok()) throw core::DataError("tokenizer", path + ": no SentencePiece model: " + status.ToString());
    } catch (const core::Error&) {
      throw;
    } catch (const std::exception& e) {  // the trie builder throws where pieces repeat
      throw core::DataError("tokenizer", path + ": no SentencePiece model: " + e.what());
    }
  }

  int64_t vocab_size() const override { return processor_.GetPieceSize(); }
  int64_t bos() const override { return processor_.bos_id(); }
  int64_t eos() const override { return processor_.eos_id(); }

  std::vector<uint16_t> encode(std::string_view text) const override {
    std::vector<uint16_t> ids;
    while (!text.empty()) {
      const size_t line = model_.lines_are_independent ? std::min(text.find('\n'), text.size() - 1) + 1 : text.size();
      encode_part(text.substr(0, line), ids);
      text.remove_prefix(line);
    }
    return ids;
  }

  // Stretch by stretch between control ids: each document for itself, as it was encoded.
  std::string decode(const std::vector<uint16_t>& ids) const override {
    std::string text;
    std::vector<int> stretch;
    for (const uint16_t id : ids) {
      check_id(id);
      if (!processor_.IsControl(id)) stretch.push_back(id);
      else decode_stretch(stretch, text);
    }
    decode_stretch(stretch, text);
    return text;
  }

  std::string piece(int64_t id) const override {
    check_id(id);
    return processor_.IdToPiece(static_cast<int>(id));
  }

  std::string hash() const override { return hash_; }
  std::string description() const override { return description_; }

  ByteTable byte_table() const override {
    const auto size = static_cast<size_t>(vocab_size());
    ByteTable table;
    table.bytes.assign(size, 0);
    table.leading_space.assign(size, 0);
    table.boundary.assign(size, 0);
    for (size_t id = 0; id < size; ++id) fill(table, static_cast<int>(id));
    return table;
  }

  TextTable text_table() const override;

 private:
  using Extent = TextTable::Extent;
  static constexpr size_t kTextLimit = size_t{1} << 30;  // offsets into a text are int inside the library

  void fill(ByteTable& table, int id) const {
    const auto at = static_cast<size_t>(id);
    if (processor_.IsControl(id) || processor_.IsUnknown(id) || processor_.IsUnused(id)) {
      table.boundary[at] = 1;
    } else if (processor_.IsByte(id)) {
      table.bytes[at] = 1;
    } else {
      const std::string& piece = processor_.IdToPiece(id);
      table.leading_space[at] = piece.starts_with(kSpace);
      table.bytes[at] = static_cast<int32_t>(piece.size() - (table.leading_space[at] ? kSpace.size() : 0));
    }
  }

  TextTable::Kind kind(int id) const;
  bool has_space_piece() const;
  std::pair<Extent, Extent> extents(int id, TextTable::Kind kind, bool space_piece) const;
  std::pair<Extent, Extent> extents_of_text(int id) const;
  void widen_by_decoding(TextTable& table) const;

  void encode_part(std::string_view text, std::vector<uint16_t>& to) const {
    if (text.size() > kTextLimit) {
      throw core::DataError("tokenizer", "a text of " + std::to_string(text.size()) + " bytes; SentencePiece takes at most " +
                                             std::to_string(kTextLimit) + " at once");
    }
    std::vector<int> ids;
    check(processor_.Encode({text.data(), text.size()}, &ids));
    to.insert(to.end(), ids.begin(), ids.end());
  }

  void decode_stretch(std::vector<int>& ids, std::string& text) const {
    if (ids.empty()) return;
    std::string decoded;
    check(processor_.Decode(ids, &decoded));
    text += decoded;
    ids.clear();
  }

  void check_id(int64_t id) const {
    if (id >= 0 && id < vocab_size()) return;
    throw core::DataError("tokenizer",
                          "id " + std::to_string(id) + " is none of the " + std::to_string(vocab_size()) + " ids of " + description_);
  }

  void check(const sentencepiece::util::Status& status) const {
    if (!status.ok()) throw core::DataError("tokenizer", description_ + ": " + status.ToString());
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::string hash_, description_;
  SoundModel model_;
};

Tokenizer::TextTable::Kind SentencePieceTokenizer::kind(int id) const {
  using enum TextTable::Kind;
  return processor_.IsControl(id)   ? control
         : processor_.IsUnknown(id) ? unknown
         : processor_.IsUnused(id)  ? unused
         : processor_.IsByte(id)    ? byte
                                    : text;
}

bool SentencePieceTokenizer::has_space_piece() const {
  const int id = processor_.PieceToId({kSpace.data(), kSpace.size()});
  return processor_.IdToPiece(id) == kSpace && kind(id) == TextTable::Kind::text;
}

// Inside of a document, and at its beginning.
auto SentencePieceTokenizer::extents_of_text(int id) const -> std::pair<Extent, Extent> {
  const std::string& piece = processor_.IdToPiece(id);
  const std::string_view space = model_.escapes_spaces ? kSpace : " ";
  uint32_t spaces = 0;
  for (size_t at = piece.find(space); at != std::string::npos; at = piece.find(space, at + space.size())) ++spaces;
  const auto size = static_cast<uint32_t>(piece.size() - spaces * (space.size() - 1));
  const uint32_t first = size - (model_.dummy_prefix && piece.starts_with(space) ? 1 : 0);
  return {{size, size}, {first, first}};
}

auto SentencePieceTokenizer::extents(int id, TextTable::Kind kind, bool space_piece) const -> std::pair<Extent, Extent> {
  switch (kind) {
    case TextTable::Kind::control: return {};
    case TextTable::Kind::unknown: {
      // One id for a whole run of unknown characters, which at a document's end may be the dummy space alone. With byte fallback no text
      // is encoded to it.
      const bool wanted = !model_.byte_fallback && !model_.dummy_suffix;
      return {{wanted ? 1u : 0u, TextTable::kUnbounded}, {wanted && !model_.dummy_prefix ? 1u : 0u, TextTable::kUnbounded}};
    }
    case TextTable::Kind::byte: {
      // Where no piece is U+2581 itself, a space can come as that character's three bytes.
      const auto byte = static_cast<char>(std::stoi(processor_.IdToPiece(id).substr(3, 2), nullptr, 16));
      const bool of_space = !space_piece && model_.escapes_spaces && kSpace.find(byte) != std::string_view::npos;
      const Extent one{of_space ? 0u : 1u, 1};
      return {one, one};
    }
    case TextTable::Kind::unused: {
      const uint32_t most = extents_of_text(id).first.most;
      return {{0, most}, {0, most}};
    }
    case TextTable::Kind::text: break;
  }
  return extents_of_text(id);
}

// What the library's own decoder makes of each piece. It agrees with the rules above wherever they are right, and widens them where not.
void SentencePieceTokenizer::widen_by_decoding(TextTable& table) const {
  const auto length = [&](const std::vector<int>& ids) {
    std::string text;
    check(processor_.Decode(ids, &text));
    return static_cast<uint32_t>(text.size());
  };
  const auto widen = [](Extent& extent, uint32_t size) {
    extent.least = std::min(extent.least, size);
    extent.most = std::max(extent.most, size);
  };
  int before = -1;  // a piece with text, for others to stand behind
  for (int id = 0; id < processor_.GetPieceSize() && before < 0; ++id) {
    if (kind(id) == TextTable::Kind::text && !processor_.IdToPiece(id).starts_with(kSpace)) before = id;
  }
  const uint32_t prefix = before < 0 ? 0 : length({before});
  for (int id = 0; id < processor_.GetPieceSize(); ++id) {
    const auto at = static_cast<size_t>(id);
    if (table.kind[at] != TextTable::Kind::text) continue;
    widen(table.first[at], length({id}));
    if (before >= 0) widen(table.inside[at], length({before, id}) - prefix);
  }
}

Tokenizer::TextTable SentencePieceTokenizer::text_table() const {
  TextTable table;
  table.longest_rule = model_.longest_rule;
  table.drops_spaces = model_.removes_spaces;
  table.dummy_suffix = model_.dummy_suffix;
  table.spaces_as_characters = model_.escapes_spaces;
  const bool space_piece = has_space_piece();
  for (int id = 0; id < processor_.GetPieceSize(); ++id) {
    table.kind.push_back(kind(id));
    const auto [inside, first] = extents(id, table.kind.back(), space_piece);
    table.inside.push_back(inside);
    table.first.push_back(first);
  }
  if (!model_.denormalizes) widen_by_decoding(table);
  return table;
}

}  // namespace

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& model_path) {
  return std::make_unique<SentencePieceTokenizer>(core::read_file(model_path, kModelFileLimit), model_path);
}

}  // namespace assay::data
