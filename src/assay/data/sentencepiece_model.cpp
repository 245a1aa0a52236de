#include "assay/data/sentencepiece_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "assay/core/error.h"
#include "assay/data/utf8.h"

namespace assay::data {
namespace {

constexpr int kPieceLimit = 65536;  // what uint16 tokens can name
constexpr size_t kPieceBytes = 1024;
constexpr size_t kSurfaceBytes = 256;  // what an unknown piece is decoded to

enum class Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Field {
  uint64_t number = 0;
  Wire wire = Wire::varint;
  uint64_t value = 0;      // of varint, fixed32, fixed64
  std::string_view bytes;  // of bytes
};

[[noreturn]] void fail_model(const std::string& path, const std::string& message) {
  throw core::DataError("tokenizer", path + ": no SentencePiece model: " + message);
}

// The fields of one protocol-buffer message, in order. Groups (wire types 3 and 4) are refused: no model has them.
class Message {
 public:
  Message(std::string_view bytes, const std::string& path, std::string name) : rest_(bytes), path_(path), name_(std::move(name)) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t tag = varint();
    field = {};
    field.number = tag >> 3;
    switch (tag & 7) {
      case 0:
        field.wire = Wire::varint;
        field.value = varint();
        break;
      case 1:
        field.wire = Wire::fixed64;
        field.value = fixed<uint64_t>();
        break;
      case 2:
        field.wire = Wire::bytes;
        field.bytes = take(varint());
        break;
      case 5:
        field.wire = Wire::fixed32;
        field.value = fixed<uint32_t>();
        break;
      default: bad("wire type " + std::to_string(tag & 7));
    }
    if (field.number == 0 || field.number >> 29 != 0) bad("field number " + std::to_string(field.number));
    return true;
  }

  void want(const Field& field, Wire wire) const {
    if (field.wire != wire) bad("field " + std::to_string(field.number) + " has wire type " + std::to_string(static_cast<int>(field.wire)));
  }

  [[noreturn]] void bad(const std::string& what) const { fail_model(path_, name_ + ": " + what); }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) bad("ends in the middle of a number");
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) return value;
    }
    bad("a number longer than ten bytes");
  }

  std::string_view take(uint64_t n) {
    if (n > rest_.size()) bad("a field of " + std::to_string(n) + " bytes where " + std::to_string(rest_.size()) + " are left");
    const std::string_view out = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return out;
  }

  template <class T>
  uint64_t fixed() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }

  std::string_view rest_;
  const std::string& path_;
  std::string name_;
};

void check_text(const Message& message, const char* name, std::string_view text, size_t limit) {
  if (text.size() > limit)
    message.bad(std::string(name) + " of " + std::to_string(text.size()) + " bytes; wanted at most " + std::to_string(limit));
  if (text.find('\0') != std::string_view::npos) message.bad(std::string(name) + " holds a zero byte");
  if (const auto at = invalid_utf8(text)) message.bad(std::string(name) + " is not UTF-8 at byte " + std::to_string(*at));
}

void check_score(const Message& message, uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float score;
  std::memcpy(&score, &low, sizeof score);
  if (!std::isfinite(score)) message.bad("its score is not a finite number");
}

// What decides how text is rewritten and whether lines are independent; the values are the format's defaults.
struct Traits {
  bool bpe = false, byte_fallback = false, line_end_in_piece = false, spaces_end_pieces = false;
  bool rules = false, dummy_prefix = true, removes_spaces = true, escapes_spaces = true;
  uint32_t longest_rule = 0;
};

void check_piece(std::string_view bytes, const std::string& path, int index, Traits& traits) {
  Message message(bytes, path, "piece " + std::to_string(index));
  bool named = false;
  for (Field f; message.next(f);) {
    if (f.number == 1) {
      message.want(f, Wire::bytes);
      check_text(message, "text", f.bytes, kPieceBytes);
      named = !f.bytes.empty();
      traits.line_end_in_piece |= f.bytes.find('\n') != std::string_view::npos;
    } else if (f.number == 2) {
      message.want(f, Wire::fixed32);
      check_score(message, f.value);
    } else if (f.number == 3) {
      message.want(f, Wire::varint);
      if (f.value < 1 || f.value > 6) message.bad("type " + std::to_string(f.value) + "; wanted 1 to 6");
    }
  }
  if (!named) message.bad("it has no text");
}

void check_trainer(std::string_view bytes, const std::string& path, Traits& traits) {
  constexpr uint64_t kModelType = 3, kSpacesEndPieces = 24, kByteFallback = 35, kUnknownSurface = 44, kBpe = 2;
  Message message(bytes, path, "trainer_spec");
  for (Field f; message.next(f);) {
    if (f.number == kModelType) {
      message.want(f, Wire::varint);
      if (f.value < 1 || f.value > 4) message.bad("model_type " + std::to_string(f.value) + "; wanted 1 to 4");
      traits.bpe = f.value == kBpe;
    } else if (f.number == kByteFallback || f.number == kSpacesEndPieces) {
      message.want(f, Wire::varint);
      (f.number == kByteFallback ? traits.byte_fallback : traits.spaces_end_pieces) = f.value != 0;
    } else if (f.number == kUnknownSurface) {
      message.want(f, Wire::bytes);
      check_text(message, "unk_surface", f.bytes, kSurfaceBytes);
    }
  }
}

void check_table(const Message& message, const Field& f) {
  message.want(f, Wire::bytes);
  const std::string fault = fault_of_normalization_table(f.bytes);
  if (!fault.empty()) message.bad("precompiled_charsmap: " + fault);
}

void check_normalizer(std::string_view bytes, const std::string& path, const char* name, Traits& traits) {
  constexpr uint64_t kTable = 2, kDummyPrefix = 3, kRemoveSpaces = 4, kEscapeSpaces = 5;
  Message message(bytes, path, name);
  for (Field f; message.next(f);) {
    if (f.number == kTable) {
      check_table(message, f);
      traits.rules |= !f.bytes.empty();
      traits.longest_rule = std::max(traits.longest_rule, longest_rule(f.bytes));
    } else if (f.number == kDummyPrefix || f.number == kRemoveSpaces || f.number == kEscapeSpaces) {
      message.want(f, Wire::varint);
      bool& trait = f.number == kDummyPrefix    ? traits.dummy_prefix
                    : f.number == kRemoveSpaces ? traits.removes_spaces
                                                : traits.escapes_spaces;
      trait = f.value != 0;
    }
  }
}

}  // namespace

SoundModel check_sentencepiece_model(std::string_view bytes, const std::string& path) {
  Message message(bytes, path, "model");
  Traits traits, of_decoding;
  int pieces = 0;
  for (Field f; message.next(f);) {
    if (f.number > 5) continue;  // extensions
    message.want(f, Wire::bytes);
    if (f.number == 1) check_piece(f.bytes, path, pieces++, traits);
    if (pieces > kPieceLimit) message.bad("more than " + std::to_string(kPieceLimit) + " pieces, which tokens of 16 bits cannot name");
    if (f.number == 2) check_trainer(f.bytes, path, traits);
    if (f.number == 3) check_normalizer(f.bytes, path, "normalizer_spec", traits);
    if (f.number == 5) check_normalizer(f.bytes, path, "denormalizer_spec", of_decoding);
  }
  if (pieces == 0) message.bad("it has no pieces");
  const bool rewrites = traits.rules || traits.dummy_prefix || traits.removes_spaces;
  SoundModel model;
  model.lines_are_independent = traits.bpe && traits.byte_fallback && !traits.line_end_in_piece && !rewrites;
  model.byte_fallback = traits.byte_fallback;
  model.dummy_prefix = traits.dummy_prefix && !traits.spaces_end_pieces;
  model.dummy_suffix = traits.dummy_prefix && traits.spaces_end_pieces;
  model.removes_spaces = traits.removes_spaces;
  model.escapes_spaces = traits.escapes_spaces;
  model.denormalizes = of_decoding.rules;
  model.longest_rule = traits.longest_rule;
  return model;
}

}  // namespace assay::data
