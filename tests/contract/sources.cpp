#include "contract/sources.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>

namespace assay::contract {
namespace {

size_t after_line(const std::string& text, size_t i) { return std::min(text.find('\n', i), text.size()); }

size_t after_block(const std::string& text, size_t i) {
  const size_t end = text.find("*/", i + 2);
  return end == std::string::npos ? text.size() : end + 2;
}

// From the opening quote to after the closing one.
size_t after_literal(const std::string& text, size_t i) {
  const char quote = text[i];
  for (++i; i < text.size() && text[i] != quote && text[i] != '\n'; ++i) {
    if (text[i] == '\\') ++i;
  }
  return std::min(i + 1, text.size());
}

bool is_literal(const std::string& text, size_t i) {
  if (text[i] == '"') return true;
  return text[i] == '\'' && (i == 0 || std::isalnum(static_cast<unsigned char>(text[i - 1])) == 0);  // 1'000 is a number
}

// Comments and literals become blanks, so that words in them count for nothing. Raw strings are left as they are.
std::string code_only(const std::string& text) {
  std::string out = text;
  size_t i = 0;
  while (i < text.size()) {
    size_t end = i;
    if (text.compare(i, 2, "//") == 0) end = after_line(text, i);
    else if (text.compare(i, 2, "/*") == 0) end = after_block(text, i);
    else if (is_literal(text, i)) end = after_literal(text, i);
    if (end == i) {
      ++i;
      continue;
    }
    for (; i < end; ++i) out[i] = out[i] == '\n' ? '\n' : ' ';
  }
  return out;
}

std::vector<std::string> includes_of(const std::string& text) {
  static const std::regex line(R"(^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">])", std::regex::multiline);
  std::vector<std::string> out;
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) out.push_back((*it)[1]);
  return out;
}

}  // namespace

SourceFile parse_source(std::string path, const std::string& text) {
  SourceFile file;
  file.folder = path.substr(0, path.find('/'));
  file.path = std::move(path);
  file.text = code_only(text);
  file.includes = includes_of(text);
  return file;
}

std::vector<SourceFile> sources() {
  namespace fs = std::filesystem;
  const fs::path root = fs::path(ASSAY_SOURCE_DIR) / "src" / "assay";
  const std::vector<std::string> kinds = {".h", ".cpp", ".cu", ".cuh"};
  std::vector<SourceFile> out;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (std::find(kinds.begin(), kinds.end(), entry.path().extension()) == kinds.end()) continue;
    std::ifstream in(entry.path(), std::ios::binary);
    out.push_back(parse_source(fs::relative(entry.path(), root).generic_string(), {std::istreambuf_iterator<char>(in), {}}));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

}  // namespace assay::contract
