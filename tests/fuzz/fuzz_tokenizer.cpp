#include <string>

#include "assay/core/error.h"
#include "assay/data/tokenizer.h"
#include "memory_file.h"

// Any bytes are either refused with a printable message or a tokenizer that encodes, decodes and describes its ids.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace assay;
  const fuzz::MemoryFile file(data, size);
  try {
    const auto tokenizer = data::sentencepiece_tokenizer(file.path());
    const int64_t vocab = tokenizer->vocab_size();
    fuzz::require(vocab > 0 && vocab <= 65536);
    for (const std::string& text : {std::string("the cat  sat\n on a mat."), std::string("\xC3\xA9\xE4\xBD\xA0\xEF\xBC\xA1\xEF\xB7\xBA"),
                                    std::string(300, 'a'), std::string("\0\1\2", 3), std::string()}) {
      const auto ids = tokenizer->encode(text);
      for (const uint16_t id : ids) fuzz::require(id < vocab);
      tokenizer->decode(ids);
    }
    fuzz::require(tokenizer->byte_table().bytes.size() == static_cast<size_t>(vocab));
    fuzz::require(tokenizer->bos() < vocab && tokenizer->eos() < vocab);
  } catch (const core::DataError& e) {
    fuzz::require(fuzz::is_printable(e.what()));
  }
  return 0;
}
