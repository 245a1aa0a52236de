#include <array>

#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/data/tokenizer.h"

namespace assay::data {
namespace {

constexpr uint16_t kPad = 0, kBos = 1, kEos = 2, kUnknown = 3, kFirstByte = 4;
constexpr int64_t kSize = kFirstByte + 256;

std::string hexadecimal(uint16_t byte) {
  constexpr const char* digits = "0123456789ABCDEF";
  return std::string{'<', '0', 'x', digits[byte >> 4], digits[byte & 15], '>'};
}

class ByteTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return kSize; }
  int64_t bos() const override { return kBos; }
  int64_t eos() const override { return kEos; }

  std::vector<uint16_t> encode(std::string_view text) const override {
    std::vector<uint16_t> ids(text.size());
    for (size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<uint16_t>(kFirstByte + static_cast<uint8_t>(text[i]));
    return ids;
  }

  std::string decode(const std::vector<uint16_t>& ids) const override {
    std::string text;
    text.reserve(ids.size());
    for (const uint16_t id : ids) {
      if (id >= kSize) throw core::DataError("tokenizer", "id " + std::to_string(id) + " is none of the 260 ids of bytes");
      if (id >= kFirstByte) text.push_back(static_cast<char>(id - kFirstByte));
    }
    return text;
  }

  std::string piece(int64_t id) const override {
    constexpr std::array<const char*, kFirstByte> controls{"<pad>", "<bos>", "<eos>", "<unk>"};
    if (id < 0 || id >= kSize) throw core::DataError("tokenizer", "id " + std::to_string(id) + " is none of the 260 ids of bytes");
    if (id < kFirstByte) return controls[static_cast<size_t>(id)];
    const auto byte = static_cast<uint16_t>(id - kFirstByte);
    return byte > 0x20 && byte < 0x7F ? std::string(1, static_cast<char>(byte)) : hexadecimal(byte);
  }

  std::string hash() const override { return core::hash128_hex("bytes: pad 0, bos 1, eos 2, unk 3, byte b = 4 + b"); }
  std::string description() const override { return "bytes"; }

  ByteTable byte_table() const override {
    ByteTable table;
    table.bytes.assign(kSize, 1);
    table.leading_space.assign(kSize, 0);
    table.boundary.assign(kSize, 0);
    for (const uint16_t control : {kPad, kBos, kEos, kUnknown}) {
      table.bytes[control] = 0;
      table.boundary[control] = 1;
    }
    return table;
  }

  TextTable text_table() const override {
    TextTable table;
    table.kind.assign(kSize, TextTable::Kind::byte);
    table.inside.assign(kSize, {1, 1});
    for (const uint16_t control : {kPad, kBos, kEos, kUnknown}) {
      table.kind[control] = TextTable::Kind::control;
      table.inside[control] = {0, 0};
    }
    // No text is encoded to the unknown id; whoever wrote one may have meant anything.
    table.kind[kUnknown] = TextTable::Kind::unknown;
    table.inside[kUnknown] = {0, TextTable::kUnbounded};
    table.first = table.inside;
    return table;
  }
};

}  // namespace

std::unique_ptr<Tokenizer> byte_tokenizer() { return std::make_unique<ByteTokenizer>(); }

}  // namespace assay::data
