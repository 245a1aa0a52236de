#include "assay/data/overlap_side.h"

#include <algorithm>

#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "assay/data/manifest.h"
#include "assay/data/path.h"
#include "assay/data/source_kind.h"

namespace assay::data {
namespace {

constexpr uint64_t kSideBytes = uint64_t{1} << 20;

void append_document(std::vector<uint16_t>& tokens, std::string_view text, const Tokenizer& bytes) {
  const std::vector<uint16_t> ids = bytes.encode(text);
  tokens.push_back(static_cast<uint16_t>(bytes.bos()));
  tokens.insert(tokens.end(), ids.begin(), ids.end());
}

OverlapSide text_side(const std::string& path, const std::vector<std::string>& files, bool split_paragraphs) {
  OverlapSide side;
  side.path = path;
  side.tokenizer = byte_tokenizer();
  std::vector<uint16_t> tokens;
  for (const std::string& file : files) {
    side.files.emplace_back(file, tokens.size());
    for (const std::string& d : read_documents(file, split_paragraphs)) append_document(tokens, d, *side.tokenizer);
  }
  side.tokens = tokens_in_memory(std::move(tokens));
  return side;
}

OverlapSide documents_side(const std::string& path, const std::vector<std::string>& documents) {
  OverlapSide side;
  side.path = path;
  side.tokenizer = byte_tokenizer();
  side.tokens = tokens_in_memory(tokenize(documents, *side.tokenizer).tokens);
  side.files.emplace_back(path, 0);
  return side;
}

OverlapSide embedded_side(const std::string& name, std::string_view split) {
  DataConfig config;
  config.path = name;
  Corpus corpus = open_corpus(config);
  OverlapSide side;
  side.path = name;
  side.tokenizer = std::move(corpus.tokenizer);
  side.tokens = std::move(split == "train" ? corpus.train : corpus.val);
  side.files.emplace_back(name + " (" + std::string(split) + ")", 0);
  return side;
}

OverlapSide shard_side(const std::string& path, std::string_view split, const std::string& tokenizer) {
  OverlapSide side;
  side.path = path;
  side.from_shards = true;
  const std::vector<std::string> files = find_shards(path, split);
  side.tokenizer = tokenizer == "auto" ? tokenizer_beside(path) : open_tokenizer(tokenizer);
  side.tokens = open_shards(files, 0);
  uint64_t at = 0;
  for (const std::string& file : files) {
    side.files.emplace_back(file, at);
    at += (core::file_size(file) - kShardHeaderBytes) / sizeof(uint16_t);
  }
  return side;
}

// Images are no text that could stand in two places.
SourceKind kind_for_overlap(const std::string& path) {
  const SourceKind kind = source_kind(path);
  if (kind == SourceKind::images) throw core::ConfigError("overlap", path + ": wanted shards or text, found images");
  return kind;
}

std::vector<std::string> texts_in(const std::string& directory) {
  std::vector<std::string> found;
  for (const std::string& name : core::list_directory(directory)) {
    if (name.ends_with(".bin")) return {};
    if (is_text_file(name)) found.push_back(join_path(directory, name));
  }
  return found;
}

OverlapSide open_side(const std::string& path, std::string_view split, const OverlapPaths& paths) {
  if (path.empty()) throw core::ConfigError("overlap", "wanted shards, a directory, a text or an embedded corpus; found an empty name");
  const SourceKind kind = kind_for_overlap(path);
  if (kind == SourceKind::embedded) return embedded_side(path, split);
  if (kind == SourceKind::text) return text_side(path, {path}, paths.split_paragraphs);
  if (core::directory_exists(path)) {
    const std::vector<std::string> texts = texts_in(path);
    return texts.empty() ? shard_side(path, split, paths.tokenizer) : text_side(path, texts, paths.split_paragraphs);
  }
  return shard_side(path, split, paths.tokenizer);
}

OverlapSides open_one(const OverlapPaths& paths) {
  const std::string& path = paths.train;
  const SourceKind kind = kind_for_overlap(path);
  if (kind == SourceKind::embedded) return {embedded_side(path, "train"), embedded_side(path, "val")};
  if (core::directory_exists(path)) return {shard_side(path, "train", paths.tokenizer), shard_side(path, "val", paths.tokenizer)};
  if (kind != SourceKind::text)
    throw core::ConfigError("overlap", "VAL: wanted, because " + path + " is no directory, text or embedded corpus");
  const DataConfig config;  // as a run divides the text
  const auto [train, val] = split_documents(read_documents(path, config.split_paragraphs), config.val_fraction);
  return {documents_side(path, train), documents_side(path, val)};
}

// The same side as text; a document belongs to the file in which it begins.
void decode(OverlapSide& side) {
  if (side.bytes()) return;
  const auto bytes = byte_tokenizer();
  std::vector<uint16_t> text, chunk, document;
  std::vector<std::pair<std::string, uint64_t>> files;
  uint64_t begin = 0;
  const auto close = [&](uint64_t next) {
    const std::string& file = side.files[side.file_at(begin)].first;
    if (files.empty() || files.back().first != file) files.emplace_back(file, text.size());
    append_document(text, side.tokenizer->decode(document), *bytes);
    document.clear();
    begin = next;
  };
  for (uint64_t at = 0; at < side.tokens->size(); at += chunk.size()) {
    chunk.resize(std::min(kSideBytes, side.tokens->size() - at));
    side.tokens->read(at, chunk.size(), chunk.data());
    for (size_t i = 0; i < chunk.size(); ++i) {
      if (chunk[i] != side.bos()) document.push_back(chunk[i]);
      else if (at + i > 0) close(at + i);
    }
  }
  if (side.tokens->size() > 0) close(0);
  side.tokens = tokens_in_memory(std::move(text));
  side.tokenizer = byte_tokenizer();
  side.files = std::move(files);
  side.from_shards = false;
}

void bring_together(OverlapSides& sides) {
  const Tokenizer *a = sides.train.tokenizer.get(), *b = sides.val.tokenizer.get();
  if (!a && !b) return;
  if (a && b && a->hash() == b->hash()) return;
  for (OverlapSide* side : {&sides.train, &sides.val}) {
    if (!side->tokenizer) {
      throw core::ConfigError("overlap", "--tokenizer: wanted, because no tokenizer lies beside " + side->path +
                                             ", and the other side's tokens or text cannot be compared with its ids");
    }
    decode(*side);
  }
}

}  // namespace

bool OverlapSide::bytes() const { return tokenizer && tokenizer->description() == "bytes"; }

size_t OverlapSide::file_at(uint64_t token) const {
  const auto after = std::upper_bound(files.begin(), files.end(), token, [](uint64_t t, const auto& f) { return t < f.second; });
  return static_cast<size_t>(after - files.begin()) - 1;
}

OverlapSides open_overlap_sides(const OverlapPaths& paths) {
  OverlapSides sides =
      paths.val.empty() ? open_one(paths) : OverlapSides{open_side(paths.train, "train", paths), open_side(paths.val, "val", paths)};
  bring_together(sides);
  return sides;
}

}  // namespace assay::data
