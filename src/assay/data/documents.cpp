#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/value.h"
#include "assay/data/corpus.h"
#include "assay/data/utf8.h"

namespace assay::data {
namespace {

constexpr std::string_view kMark = "\xEF\xBB\xBF";  // the byte-order mark that some editors put before a text
constexpr std::string_view kBlank = " \t\r";
constexpr core::ParseLimits kLineLimits{size_t{64} << 20, 64};

[[noreturn]] void fail(const std::string& where, const std::string& message) { throw core::DataError("text", where + ": " + message); }

// Calls f(line without its '\n', offset of the line) for each line.
template <class F>
void for_each_line(std::string_view text, F f) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    f(text.substr(at, end - at), at);
    at = end + 1;
  }
}

std::vector<std::string> paragraphs(std::string_view text) {
  std::vector<std::string> found;
  bool open = false;
  for_each_line(text, [&](std::string_view line, size_t) {
    const bool blank = line.find_first_not_of(kBlank) == std::string_view::npos;
    if (!blank && open) found.back().append("\n").append(line);
    if (!blank && !open) found.emplace_back(line);
    open = !blank;
  });
  return found;
}

core::Value parse_line(std::string_view line, const std::string& path, const std::string& number) {
  try {
    return core::parse_json(line, number, kLineLimits);
  } catch (const core::DataError& e) {  // "[json] line 7 at line 1, column 3: ...": the parser saw one line only
    std::string message = std::string(e.what()).substr(std::string_view("[json] ").size());
    const std::string position = number + " at line 1,";
    if (message.starts_with(position)) message.replace(0, position.size(), number + ",");
    fail(path, message);
  }
}

std::string text_of(std::string_view line, const std::string& path, const std::string& number) {
  const core::Value value = parse_line(line, path, number);
  const std::string where = path + ": " + number;
  if (!value.is_object()) fail(where, std::string("wanted an object with the field \"text\", found ") + value.kind());
  const core::Value* text = value.find("text");
  if (!text) fail(where, "wanted the field \"text\"; it is missing");
  if (!text->is_string()) fail(where, std::string("field \"text\": wanted a string, found ") + text->kind());
  return text->as_string();
}

std::vector<std::string> json_lines(std::string_view text, const std::string& path) {
  std::vector<std::string> found;
  size_t number = 0;
  for_each_line(text, [&](std::string_view line, size_t) {
    ++number;
    if (line.find_first_not_of(kBlank) == std::string_view::npos) return;
    found.push_back(text_of(line, path, "line " + std::to_string(number)));
  });
  return found;
}

}  // namespace

bool is_text_file(std::string_view path) { return path.ends_with(".txt") || path.ends_with(".jsonl"); }

std::vector<std::string> read_documents(const std::string& path, bool split_paragraphs) {
  if (!is_text_file(path)) throw core::ConfigError("text", path + ": wanted a file named .txt or .jsonl");
  const std::string content = core::read_file(path);
  if (content.empty()) fail(path, "wanted text, found an empty file");
  if (const auto at = invalid_utf8(content)) {
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(content[*at]));
    fail(path, "wanted UTF-8, found byte " + std::to_string(byte) + " at offset " + std::to_string(*at) +
                   ", where no character begins or goes on so");
  }
  std::string_view text = content;
  if (text.starts_with(kMark)) text.remove_prefix(kMark.size());
  std::vector<std::string> found;
  if (path.ends_with(".jsonl")) found = json_lines(text, path);
  else if (split_paragraphs) found = paragraphs(text);
  else found.emplace_back(text);
  if (found.empty()) fail(path, "wanted documents, found blank lines only");
  return found;
}

}  // namespace assay::data
