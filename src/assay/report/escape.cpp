#include "assay/report/escape.h"

#include <algorithm>
#include <cstdint>

#include "assay/core/error.h"

namespace assay::report {
namespace {

// Replaces each character that `replacement` gives a text for; nullptr: stays.
template <class F>
std::string replaced(std::string_view text, F&& replacement) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (const char* by = replacement(c)) out += by;
    else out += c;
  }
  return out;
}

// Each byte may become four; nothing is cut.
std::string printable(std::string_view text) { return core::printable(text, 4 * text.size() + 16); }

const char* html_entity(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return nullptr;
  }
}

const char* script_escape(char c) {
  switch (c) {
    case '&': return "\\u0026";
    case '<': return "\\u003c";
    case '>': return "\\u003e";
    default: return nullptr;
  }
}

const char* latex_escape(char c) {
  switch (c) {
    case '\\': return "\\textbackslash{}";
    case '~': return "\\textasciitilde{}";
    case '^': return "\\textasciicircum{}";
    case '<': return "\\textless{}";
    case '>': return "\\textgreater{}";
    case '|': return "\\textbar{}";
    case '"': return "\\textquotedbl{}";
    case '[': return "{[}";  // after the end of a row it would be an argument
    case '{': return "\\{";
    case '}': return "\\}";
    case '$': return "\\$";
    case '&': return "\\&";
    case '#': return "\\#";
    case '%': return "\\%";
    case '_': return "\\_";
    default: return nullptr;
  }
}

const char* markdown_escape(char c) {
  switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '\\': return "\\\\";
    case '`': return "\\`";
    case '*': return "\\*";
    case '_': return "\\_";
    case '[': return "\\[";
    case ']': return "\\]";
    case '|': return "\\|";
    case '#': return "\\#";
    case '!': return "\\!";
    case '~': return "\\~";
    case '$': return "\\$";
    default: return nullptr;
  }
}

// A signed number, which a spreadsheet may have as it is.
bool is_signed_number(std::string_view text) {
  const std::string_view digits = text.substr(1);
  const auto allowed = [](char c) { return (c >= '0' && c <= '9') || std::string_view(".e+-").find(c) != std::string_view::npos; };
  return (text.front() == '-' || text.front() == '+') && !digits.empty() && digits.front() >= '0' && digits.front() <= '9' &&
         std::all_of(digits.begin(), digits.end(), allowed);
}

}  // namespace

std::string html_text(std::string_view text) { return replaced(printable(text), html_entity); }
std::string script_json(const core::Value& v) { return replaced(core::to_json(v), script_escape); }
std::string markdown_text(std::string_view text) { return replaced(printable(text), markdown_escape); }
std::string latex_text(std::string_view text) { return replaced(printable(text), latex_escape); }

std::string html_lines(std::string_view text) {
  std::string out;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\t", start), text.size());
    out += html_text(text.substr(start, end - start));
    if (end < text.size()) out += text[end];
    start = end + 1;
  }
  return out;
}

std::string csv_text(std::string_view text) {
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r\n").find(text.front()) != std::string_view::npos && !is_signed_number(text);
  std::string cell = (formula ? "'" : "") + printable(text);
  if (cell.find_first_of(",\"") == std::string::npos) return cell;
  return "\"" + replaced(cell, [](char c) { return c == '"' ? "\"\"" : nullptr; }) + "\"";
}

std::string shell_word(std::string_view text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_-./+,:").find(c) != std::string_view::npos;
  };
  std::string shown = printable(text);
  if (!shown.empty() && shown.front() != '-' && std::all_of(shown.begin(), shown.end(), plain)) return shown;
  return "'" + replaced(shown, [](char c) { return c == '\'' ? "'\\''" : nullptr; }) + "'";
}

std::string base64(std::string_view bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < n ? static_cast<unsigned char>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) out += k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

}  // namespace assay::report
