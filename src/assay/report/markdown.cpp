#include <algorithm>

#include "assay/report/escape.h"
#include "assay/report/forms.h"

namespace assay::report {
namespace {

std::string pipe_row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) out += " " + markdown_text(cell) + " |";
  return out + "\n";
}

// A fence longer than any run of backticks in the text.
std::string fence_of(const std::string& text) {
  size_t longest = 2, run = 0;
  for (const char c : text) longest = std::max(longest, run = c == '`' ? run + 1 : 0);
  return std::string(longest + 1, '`');
}

class MarkdownWriter {
 public:
  explicit MarkdownWriter(std::string& out) : out_(out) {}
  void operator()(const Paragraph& p) { out_ += markdown_text(p.text) + "\n\n"; }
  void operator()(const Notice& n) { out_ += "> " + markdown_text(n.text) + "\n\n"; }
  void operator()(const Claims& claims) {
    for (const Claim& c : claims.all)
      out_ += "- **" + markdown_text(c.arm) + ": " + markdown_text(c.word) + ".** " + markdown_text(c.sentence) + "\n";
    out_ += "\n";
  }
  void operator()(const Figure& f) {
    for (const Table& t : f.numbers) (*this)(t);
  }
  void operator()(const Folded& f) { (*this)(f.table); }
  void operator()(const Table& t) {
    if (!t.for_papers) return;
    std::vector<std::string> names;
    std::string rule = "|";
    for (const Column& c : t.columns) {
      names.push_back(c.name);
      rule += c.number ? " ---: |" : " --- |";
    }
    out_ += markdown_text(t.caption) + "\n\n" + pipe_row(names) + rule + "\n";
    for (const auto& row : t.rows) out_ += pipe_row(row);
    out_ += "\n";
  }
  void operator()(const Code& c) {
    const std::string fence = fence_of(c.text);
    out_ += fence + "\n" + c.text + (c.text.ends_with('\n') ? "" : "\n") + fence + "\n\n";
  }
  void operator()(const Downloads&) {}
  void operator()(const Fragment&) {}

 private:
  std::string& out_;
};

}  // namespace

std::string markdown_form(const Document& d) {
  std::string out = "# " + markdown_text(d.title) + "\n\n";
  for (const auto& [name, text] : d.facts) out += "- " + markdown_text(name) + ": " + markdown_text(text) + "\n";
  out += "\n";
  for (const Section& s : d.sections) {
    std::string body;
    for (const Block& b : s.blocks) std::visit(MarkdownWriter(body), b);
    if (!body.empty()) out += "## " + markdown_text(s.title) + "\n\n" + body;
  }
  while (out.ends_with("\n\n")) out.pop_back();
  return out;
}

}  // namespace assay::report
