#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace assay::data {

// Text <-> ids. `decode(encode(x)) == x` for valid UTF-8 with the byte tokenizer, and with SentencePiece models that have
// byte fallback and identity normalisation.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  virtual int64_t vocab_size() const = 0;
  virtual int64_t bos() const = 0;  // -1 where there is none
  virtual int64_t eos() const = 0;
  virtual std::vector<uint16_t> encode(std::string_view text) const = 0;   // without bos
  virtual std::string decode(const std::vector<uint16_t>& ids) const = 0;  // control ids give nothing
  virtual std::string piece(int64_t id) const = 0;                         // for people: "▁the", "<0x0A>", "<bos>"
  virtual std::string hash() const = 0;                                    // identity, 32 hex digits
  virtual std::string description() const = 0;                             // "bytes", "sentencepiece books1024.model"

  // Bytes table (vocab-space 6): bytes of target y after token x = bytes[y] + (leading_space[y] && !boundary[x]).
  struct ByteTable {
    std::vector<int32_t> bytes;
    std::vector<uint8_t> leading_space, boundary;
  };
  virtual ByteTable byte_table() const = 0;

  // Bytes of text behind each id, as encoding and decoding have it (the byte table is a rule about the spelling of pieces): at least
  // and at most, `first` right after a control id, where a document begins, `inside` elsewhere. data/byte_count.h sums them up.
  struct TextTable {
    static constexpr uint32_t kUnbounded = 0xFFFFFFFF;
    enum class Kind : uint8_t { text, byte, control, unknown, unused };  // encoding never writes control and unused ids
    struct Extent {
      uint32_t least = 0, most = 0;
    };
    std::vector<Kind> kind;
    std::vector<Extent> inside, first;
    uint32_t longest_rule = 0;          // most bytes that normalisation writes for one place of the text; 0: it leaves text alone
    bool drops_spaces = false;          // spaces at the ends of a text, and all but one of several, leave no trace
    bool dummy_suffix = false;          // a space that is no text ends each document
    bool spaces_as_characters = false;  // a space is written as U+2581, and so is a U+2581
  };
  virtual TextTable text_table() const = 0;
};

// Ids 0 pad, 1 bos, 2 eos, 3 unk, 4 + b for byte b; 260 in all.
std::unique_ptr<Tokenizer> byte_tokenizer();
// A SentencePiece .model file (at most 16 MiB). DataError where it is none, or its size is above 65536.
std::unique_ptr<Tokenizer> sentencepiece_tokenizer(const std::string& model_path);
// Words of the grammar corpus with a lexicon of `grammar_words` (data/grammar.h): ids 0 to 259 as the byte tokenizer's, then the words
// with the space before them, where a sentence may begin also with a capital, and marks. Encoding takes the longest match, where a word
// does not match a part of a longer one, and bytes for everything else: decode(encode(x)) == x for every text.
std::unique_ptr<Tokenizer> word_tokenizer(int64_t grammar_words);
// "bytes", "words" (the default lexicon's), "words:N" or the path of a .model file.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& name);

// Trains SentencePiece BPE (byte fallback, identity normalisation, no dummy prefix; pad 0, bos 1, eos 2, unk 3) on documents and
// returns the .model file's bytes. Deterministic: one thread.
std::string train_sentencepiece(const std::vector<std::string>& documents, int64_t vocab_size);

}  // namespace assay::data
