#include <sentencepiece_processor.h>

#include <algorithm>
#include <limits>

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
    lines_are_independent_ = check_sentencepiece_model(bytes, path).lines_are_independent;
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
      const size_t line = lines_are_independent_ ? std::min(text.find('\n'), text.size() - 1) + 1 : text.size();
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

 private:
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
  bool lines_are_independent_ = false;
};

}  // namespace

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& model_path) {
  return std::make_unique<SentencePieceTokenizer>(core::read_file(model_path, kModelFileLimit), model_path);
}

}  // namespace assay::data
