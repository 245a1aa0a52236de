#include <algorithm>
#include <cmath>
#include <cstdio>

#include "assay/cli/data_actions.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/data/overlap.h"
#include "assay/data/overlap_side.h"
#include "assay/data/utf8.h"

namespace assay::cli::data_command {
namespace {

using core::Value;

constexpr int64_t kTokens = 50, kBytes = 200, kLongestGram = 100000;  // --ngram
constexpr uint64_t kLong = uint64_t{1} << 24;                         // tokens to read, from which on progress is shown
constexpr uint64_t kExcerpt = 160;

std::string excerpt(const data::OverlapSide& side, const data::SharedText& shared) {
  std::vector<uint16_t> ids(std::min(shared.length, side.bytes() ? kExcerpt : kExcerpt / 4));
  side.tokens->read(shared.val, ids.size(), ids.data());
  if (side.tokenizer) {
    const int64_t known = side.tokenizer->vocab_size();
    std::erase_if(ids, [&](uint16_t id) { return id >= known; });  // padding of a larger vocabulary
    return core::printable(data::with_replacements(side.tokenizer->decode(ids)));
  }
  std::string text;
  for (const uint16_t id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text;
}

Value place(const data::OverlapSide& side, uint64_t token, uint64_t document, uint64_t offset) {
  const auto& [file, begin] = side.files[side.file_at(token)];
  Value out = Value::object();
  out["file"] = file;
  out["file_offset"] = side.from_shards ? Value(token - begin) : Value();
  out["document"] = document;
  out["offset"] = offset;
  return out;
}

Value about_side(const data::OverlapSide& side, uint64_t documents, uint64_t size) {
  Value out = Value::object();
  out["path"] = side.path;
  out["documents"] = documents;
  out["size"] = size;
  return out;
}

double share(uint64_t part, uint64_t whole) { return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0; }

Value report(const data::OverlapSides& sides, const data::Overlap& found, int64_t ngram) {
  Value out = Value::object();
  out["shared"] = found.val_tokens_shared > 0;
  out["unit"] = sides.val.bytes() ? "bytes" : "tokens";
  out["ngram"] = ngram;
  out["train"] = about_side(sides.train, found.train_documents, found.train_tokens);
  out["val"] = about_side(sides.val, found.val_documents, found.val_tokens);
  out["identical_documents"] = found.val_documents_identical;
  out["shared_documents"] = found.val_documents_shared;
  out["shared_document_fraction"] = share(found.val_documents_shared, found.val_documents);
  out["shared_size"] = found.val_tokens_shared;
  out["shared_fraction"] = share(found.val_tokens_shared, found.val_tokens);
  out["longest"] = Value::array();
  for (const data::SharedText& s : found.longest) {
    Value one = Value::object();
    one["kind"] = s.document ? "document" : "passage";
    one["length"] = s.length;
    one["train"] = place(sides.train, s.train, s.train_document, s.train_offset);
    one["val"] = place(sides.val, s.val, s.val_document, s.val_offset);
    one["excerpt"] = excerpt(sides.val, s);
    out["longest"].push_back(std::move(one));
  }
  return out;
}

// At least the smallest amount that is not nothing: 0.00 % would say that there is none.
std::string percent(double fraction) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f %%", fraction > 0 ? std::max(100 * fraction, 0.01) : 0.0);
  return text;
}

std::string words(const Value& p, const std::string& unit) {
  const Value& at = p.at("file_offset");
  const std::string in_file = at.is_null() ? "" : ", token " + std::to_string(at.as_int());
  return core::printable(p.at("file").as_string()) + in_file + " (document " + std::to_string(p.at("document").as_int()) + ", " +
         (unit == "bytes" ? "byte " : "token ") + std::to_string(p.at("offset").as_int()) + ")";
}

void print_report(const Value& r) {
  const std::string unit = r.at("unit").as_string();
  const auto number = [&](const char* key) { return std::to_string(r.at(key).as_int()); };
  if (!r.at("shared").as_bool()) return print("nothing of " + number("ngram") + " " + unit + " or more is shared, and no document\n");
  print("validation documents with shared text: " + number("shared_documents") + " of " +
        std::to_string(r.at("val").at("documents").as_int()) + " (" + percent(r.at("shared_document_fraction").as_double()) +
        "), identical to a training document: " + number("identical_documents") + "\n");
  print("validation " + unit + " in shared text: " + number("shared_size") + " of " + std::to_string(r.at("val").at("size").as_int()) +
        " (" + percent(r.at("shared_fraction").as_double()) + ")\n");
  for (const Value& s : r.at("longest").as_array()) {
    print(s.at("kind").as_string() + " of " + std::to_string(s.at("length").as_int()) + " " + unit + "\n  train: " +
          words(s.at("train"), unit) + "\n  val: " + words(s.at("val"), unit) + "\n  " + s.at("excerpt").as_string() + "\n");
  }
}

}  // namespace

int run_overlap(const Arguments& args) {
  CommandLine line("data overlap", "Find text that training and validation data share. Exit code 1: there is some.");
  data::OverlapPaths paths;
  int64_t ngram = 0, longest = 10;
  line.positional("TRAIN", paths.train, "shards, a directory or glob of them, .txt, .jsonl, a directory of texts, or an embedded corpus");
  line.positional("VAL", paths.val, "the same (the validation part of TRAIN, where that is a directory, a text or a corpus)", false);
  line.option("--ngram", ngram, "shortest passage to look for (50 tokens; 200 bytes where text is compared)");
  line.option("--longest", longest, "how many of the longest findings to name (10)");
  line.option("--tokenizer", paths.tokenizer, "of shards: bytes, a SentencePiece .model file, or auto: what lies beside them (auto)");
  line.flag("--split-paragraphs", paths.split_paragraphs, "a blank line ends a document of a .txt file");
  if (!line.parse(args)) return 0;
  if (line.given("--ngram")) check_range("--ngram", ngram, 2, kLongestGram);
  check_range("--longest", longest, 0, 10000);
  if (line.given("VAL") && paths.val.empty()) throw core::ConfigError("data", "VAL: wanted a path, found an empty name");
  const data::OverlapSides sides = data::open_overlap_sides(paths);
  if (!line.given("--ngram")) ngram = sides.val.bytes() ? kBytes : kTokens;
  data::OverlapOptions options;
  options.ngram = static_cast<uint64_t>(ngram);
  options.longest = static_cast<size_t>(longest);
  std::unique_ptr<core::Progress> progress;
  options.progress = [&](uint64_t done, uint64_t total) {
    if (total < kLong) return;
    if (!progress) progress = std::make_unique<core::Progress>("overlap", static_cast<int64_t>(total));
    progress->update(static_cast<int64_t>(done), "tokens");
  };
  const data::Overlap found = data::find_overlap(*sides.train.tokens, *sides.val.tokens, sides.train.bos(), options);
  progress.reset();
  const Value result = report(sides, found, ngram);
  line.json ? print_json(result) : print_report(result);
  return static_cast<int>(found.val_tokens_shared > 0 ? core::Exit::check_failed : core::Exit::ok);
}

}  // namespace assay::cli::data_command
