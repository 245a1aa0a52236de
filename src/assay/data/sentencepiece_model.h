#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace assay::data {

inline constexpr uint64_t kModelFileLimit = uint64_t{16} << 20;

// The SentencePiece library trusts its models: it follows offsets of the normalisation table without looking. So a file is read here
// first, strictly, and is only handed on when every number that the library will use as an index, size or score is sound. DataError
// names the file, the field, what was wanted and what was found.
struct SoundModel {
  // Lines can be encoded each for itself, with the same result: BPE with byte fallback, no piece across the end of a line, and nothing
  // that rewrites text. Whole books are encoded several times as fast this way.
  bool lines_are_independent = false;
};
SoundModel check_sentencepiece_model(std::string_view bytes, const std::string& path);

// The same for one table of normalisation rules (a double-array trie over bytes and the strings that its values point to); "" where it
// is sound, else what is wrong.
std::string fault_of_normalization_table(std::string_view table);

}  // namespace assay::data
