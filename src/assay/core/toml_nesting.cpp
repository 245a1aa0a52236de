#include "assay/core/toml_nesting.h"

#include <vector>

namespace assay::core {

namespace {

// Follows strings, comments, keys and brackets of a TOML text as far as it is well-formed; what it makes of the rest does not matter,
// because the parser stops at the first fault.
class NestingScan {
 public:
  NestingScan(std::string_view text, int limit) : text_(text), limit_(limit) {}

  std::optional<size_t> run() {
    while (at_ < text_.size() && !exceeded()) step(text_[at_]);
    return exceeded() ? std::optional<size_t>(at_) : std::nullopt;
  }

 private:
  struct Open {
    char bracket;
    int depth;  // what depth_ and dots_ were before it
    int dots;
  };

  bool exceeded() const { return depth_ + dots_ > limit_; }

  void step(char c) {
    switch (c) {
      case '#': return skip_comment();
      case '"':
      case '\'': return skip_string(c);
      case '\n': end_line(); break;
      case '=': in_value_ = true; break;
      case '.': dots_ += !in_value_; break;
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

  void skip_string(char quote) {
    const std::string_view three = quote == '"' ? "\"\"\"" : "'''";
    const bool many_lines = text_.substr(at_, 3) == three;
    at_ += many_lines ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\\' && quote == '"') {
        ++at_;
      } else if (many_lines ? text_.substr(at_, 3) == three : (text_[at_] == quote || text_[at_] == '\n')) {
        return end_string(quote, many_lines);
      }
    }
    at_ = text_.size();
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
};

}  // namespace

std::optional<size_t> too_deep(std::string_view text, int limit) { return NestingScan(text, limit).run(); }

}  // namespace assay::core
