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

  bool byte_fallback = false;  // every character has tokens: those of its bytes where there are no others
  bool dummy_prefix = true;    // encoding puts a space before each text
  bool dummy_suffix = false;   // the same space, put behind the text
  bool removes_spaces = true;  // at the ends of a text, and all but one of several
  bool escapes_spaces = true;  // a space is written as U+2581
  bool denormalizes = false;   // decoding rewrites text by rules
  uint32_t longest_rule = 0;   // bytes that a normalisation rule writes at most; 0: there are no rules
};
SoundModel check_sentencepiece_model(std::string_view bytes, const std::string& path);

// The same for one table of normalisation rules (a double-array trie over bytes and the strings that its values point to); "" where it
// is sound, else what is wrong.
std::string fault_of_normalization_table(std::string_view table);
// At least as many bytes as any rule of a sound table writes, at least 1; 0 for an empty table.
uint32_t longest_rule(std::string_view table);

}  // namespace assay::data
