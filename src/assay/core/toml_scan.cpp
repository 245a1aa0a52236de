#include "assay/core/toml_scan.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

namespace assay::core {

namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

bool is_ascii(char c) { return static_cast<unsigned char>(c) < 0x80; }
bool ends_value(char c) { return std::string_view(" \t\r\n],}#").find(c) != std::string_view::npos; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || std::string_view("+-._:").find(c) != std::string_view::npos; }

// Follows strings, comments, keys and brackets of a TOML text as far as it is well-formed; what it makes of the rest does not matter,
// because the parser stops at the first fault.
class Scan {
 public:
  Scan(std::string_view text, int limit) : text_(text), limit_(limit) {}

  std::optional<TomlFault> run() {
    if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
    while (at_ < text_.size() && !fault_) {
      step(text_[at_]);
      if (depth_ + dots_ > limit_) refuse("nested deeper than " + std::to_string(limit_) + " levels");
    }
    return fault_;
  }

 private:
  struct Open {
    char bracket;
    int depth;  // what depth_ and dots_ were before it
    int dots;
  };

  void refuse(std::string what) {
    if (!fault_) fault_ = TomlFault{std::min(at_, text_.size()), std::move(what)};
  }

  void refuse_beyond_ascii() { refuse("a character beyond ASCII outside of quotes"); }

  void step(char c) {
    if (!is_ascii(c)) return refuse_beyond_ascii();
    if (in_value_ && is_word(c)) return skip_word();
    switch (c) {
      case '#': return skip_comment();
      case '"':
      case '\'': return skip_string(c);
      case '\n': end_line(); break;
      case '=': in_value_ = true; break;
      case '.': ++dots_; break;
      case ',': end_member(); break;
      case '[':
        if (!in_value_ && open_.empty()) return header();
        open(c);
        break;
      case '{': open(c); break;
      case ']':
      case '}': close(); break;
      default: break;
    }
    ++at_;
  }

  // "[a.b]" or "[[a.b]]": sets the depth of the lines that follow.
  void header() {
    depth_ = 2;
    dots_ = 0;
    if (text_.substr(at_, 2) == "[[") ++depth_;
    while (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '#') {
      const char c = text_[at_];
      if (!is_ascii(c)) return refuse_beyond_ascii();
      if (c == '"' || c == '\'') {
        skip_string(c);
      } else {
        depth_ += c == '.';
        ++at_;
      }
    }
  }

  void open(char bracket) {
    open_.push_back({bracket, depth_, dots_});
    depth_ += dots_ + 1;
    dots_ = 0;
    in_value_ = bracket == '[';
  }

  void close() {
    if (open_.empty()) return;
    depth_ = open_.back().depth;
    dots_ = open_.back().dots;
    in_value_ = true;
    open_.pop_back();
  }

  void end_line() {
    if (open_.empty()) start_key();
  }

  void end_member() {
    if (!open_.empty() && open_.back().bracket == '{') start_key();
  }

  void start_key() {
    dots_ = 0;
    in_value_ = false;
  }

  void skip_comment() {
    const size_t end = text_.find('\n', at_);
    at_ = end == std::string_view::npos ? text_.size() : end;
  }

  // A number, boolean or date. The parser takes all up to white space or punctuation for the value, quotes and brackets, too.
  void skip_word() {
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    if (at_ < text_.size() && !ends_value(text_[at_])) refuse("a character that no value holds");
  }

  void skip_string(char quote) {
    const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
    const bool many_lines = text_.substr(at_, 3) == three;
    at_ += many_lines ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && quote == '"') {
        skip_escape(many_lines);
      } else if (many_lines ? text_.substr(at_, 3) == three : (text_[at_] == quote || text_[at_] == '\n')) {
        return end_string(quote, many_lines);
      }
    }
    at_ = text_.size();
  }

  // Ends on the escaped character. What a continued line skips needs no care: white space is ordinary text to this scan.
  void skip_escape(bool many_lines) {
    ++at_;
    if (!many_lines) return;
    const size_t next = text_.find_first_not_of(" \t\r\n", at_);
    if (next == std::string_view::npos || is_ascii(text_[next])) return;
    at_ = next;
    refuse("a continued line that goes on with a character beyond ASCII");
  }

  void end_string(char quote, bool many_lines) {
    if (!many_lines) {
      at_ += text_[at_] == quote;
      return;
    }
    at_ += 3;  // the text itself may end with up to two more quotes
    for (int more = 0; more < 2 && at_ < text_.size() && text_[at_] == quote; ++more) ++at_;
  }

  std::string_view text_;
  int limit_;
  size_t at_ = 0;
  int depth_ = 1;  // of the innermost container
  int dots_ = 0;   // levels that the dotted key at hand adds
  bool in_value_ = false;
  std::vector<Open> open_;
  std::optional<TomlFault> fault_;
};

}  // namespace

std::optional<TomlFault> scan_toml(std::string_view text, int depth) { return Scan(text, depth).run(); }

}  // namespace assay::core
