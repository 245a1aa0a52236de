#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>

#include "assay/core/error.h"
#include "assay/data/sentencepiece_log.h"
#include "assay/data/tokenizer.h"

namespace assay::data {
namespace {

constexpr size_t kSentenceBytes = 4000;  // the trainer leaves out sentences above 4192 bytes
constexpr int64_t kSmallest = 4 + 256 + 1, kLargest = 65536;

// Lines of documents without their ends; long ones are cut at a space, or between characters where there is none. Pieces never
// cross a line or a space, so the cuts change nothing that is learnt from whole words.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& documents) : documents_(documents) { Next(); }
  bool done() const override { return done_; }
  const std::string& value() const override { return sentence_; }
  sentencepiece::util::Status status() const override { return {}; }

  void Next() override {
    for (; document_ < documents_.size(); ++document_, at_ = 0) {
      const std::string& text = documents_[document_];
      at_ = text.find_first_not_of('\n', at_);
      if (at_ == std::string::npos) continue;
      const size_t end = end_of_sentence(text);
      sentence_ = text.substr(at_, end - at_);
      at_ = end;
      return;
    }
    done_ = true;
  }

 private:
  size_t end_of_sentence(const std::string& text) const {
    const size_t line = std::min(text.find('\n', at_), text.size());
    if (line - at_ <= kSentenceBytes) return line;
    const size_t space = text.rfind(' ', at_ + kSentenceBytes);
    if (space != std::string::npos && space > at_) return space;
    size_t cut = at_ + kSentenceBytes;
    while ((static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    return cut;
  }

  const std::vector<std::string>& documents_;
  size_t document_ = 0, at_ = 0;
  std::string sentence_;
  bool done_ = false;
};

std::unordered_map<std::string, std::string> settings(int64_t vocab_size) {
  return {{"model_type", "bpe"},
          {"vocab_size", std::to_string(vocab_size)},
          {"byte_fallback", "true"},
          {"normalization_rule_name", "identity"},
          {"add_dummy_prefix", "false"},
          {"remove_extra_whitespaces", "false"},
          {"pad_id", "0"},
          {"bos_id", "1"},
          {"eos_id", "2"},
          {"unk_id", "3"},
          {"num_threads", "1"},
          {"minloglevel", "3"}};
}

}  // namespace

std::string train_sentencepiece(const std::vector<std::string>& documents, int64_t vocab_size) {
  if (vocab_size < kSmallest || vocab_size > kLargest) {
    throw core::ConfigError("tokenizer", "vocab-size: wanted " + std::to_string(kSmallest) + " (4 control pieces, 256 bytes, 1 more) to " +
                                             std::to_string(kLargest) + ", found " + std::to_string(vocab_size));
  }
  silence_sentencepiece();
  Sentences sentences(documents);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(settings(vocab_size), &sentences, &model);
  if (!status.ok()) {
    std::string why = status.ToString();
    why.erase(std::min(why.find(" Increase vocab_size"), why.size()));  // advice about options of the library's own program
    throw core::DataError("tokenizer", "training with vocab-size " + std::to_string(vocab_size) + ": " + why);
  }
  return model;
}

}  // namespace assay::data
