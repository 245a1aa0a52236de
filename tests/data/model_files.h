#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "assay/data/corpus.h"
#include "assay/data/tokenizer.h"

// SentencePiece models for tests: one trained, and protocol-buffer pieces to make hostile ones.
namespace assay::test {

inline std::vector<std::string> grammar_documents(size_t n) {
  std::vector<std::string> out;
  for (size_t i = 0; i < n; ++i) out.push_back(data::grammar_document({}, 1, "train", i).text);
  return out;
}

inline const std::string& small_model() {
  static const std::string model = data::train_sentencepiece(grammar_documents(60), 400);
  return model;
}

inline std::string varint(uint64_t v) {
  std::string out;
  for (; v >= 128; v >>= 7) out.push_back(static_cast<char>((v & 127) | 128));
  return out + static_cast<char>(v);
}

inline std::string field(uint64_t number, std::string_view bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + std::string(bytes);
}
inline std::string field(uint64_t number, uint64_t value) { return varint(number << 3) + varint(value); }
inline std::string field(uint64_t number, float value) {
  std::string out = varint(number << 3 | 5) + std::string(4, '\0');
  std::memcpy(out.data() + out.size() - 4, &value, 4);
  return out;
}

enum PieceType : uint64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

inline std::string piece(std::string_view text, uint64_t type = kNormal, float score = 0) {
  return field(1, field(1, text) + field(2, score) + field(3, type));
}

// <unk>, <s>, </s> and the letters a, b: the smallest model that the library takes.
inline std::string letters() {
  return piece("<unk>", kUnknown) + piece("<s>", kControl) + piece("</s>", kControl) + piece("a") + piece("b");
}
inline std::string trainer(uint64_t type) { return field(2, field(3, type)); }
inline std::string normalizer(std::string_view table) { return field(3, field(2, table)); }

}  // namespace assay::test
