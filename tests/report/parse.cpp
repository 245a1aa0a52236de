#include "report/parse.h"

#include <algorithm>
#include <regex>
#include <sstream>

namespace assay::test {
namespace {

std::string between(const std::string& text, const std::string& open, const std::string& close, size_t& at) {
  const size_t start = text.find(open, at);
  if (start == std::string::npos) return at = std::string::npos, "";
  const size_t end = text.find(close, start + open.size());
  at = end;
  return text.substr(start + open.size(), end - start - open.size());
}

std::string replaced(std::string text, const std::vector<std::pair<std::string, std::string>>& pairs) {
  for (const auto& [from, to] : pairs)
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}

std::string without_tags(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t tag = std::min(text.find('<', at), text.size());
    out += text.substr(at, tag - at);
    at = tag == text.size() ? tag : text.find('>', tag) + 1;
  }
  return out;
}

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(' '), last = text.find_last_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, last - first + 1);
}

// Cells between separators that no backslash precedes.
std::vector<std::string> cells(const std::string& line, char separator) {
  std::vector<std::string> out(1);
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == separator && (i == 0 || line[i - 1] != '\\')) out.emplace_back();
    else out.back() += line[i];
  }
  for (std::string& cell : out) cell = trimmed(cell);
  return out;
}

std::string markdown_unescaped(const std::string& text) {
  return replaced(std::regex_replace(text, std::regex(R"(\\([\\`*_\[\]|#!~$]))"), "$1"), {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}});
}

std::string latex_unescaped(const std::string& text) {
  const std::string words = replaced(text, {{"{[}", "["},
                                            {"\\textasciitilde{}", "~"},
                                            {"\\textasciicircum{}", "^"},
                                            {"\\textless{}", "<"},
                                            {"\\textgreater{}", ">"},
                                            {"\\textbar{}", "|"},
                                            {"\\textquotedbl{}", "\""}});
  return replaced(std::regex_replace(words, std::regex(R"(\\([{}$&#%_]))"), "$1"), {{"\\textbackslash{}", "\\"}});
}

}  // namespace

std::string html_unescaped(const std::string& text) {
  return replaced(without_tags(text), {{"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}});
}

Rows html_table(const std::string& html, const std::string& caption) {
  for (size_t at = 0; at != std::string::npos;) {
    const std::string table = between(html, "<table", "</table>", at);
    size_t in = 0;
    if (html_unescaped(between(table, "<caption>", "</caption>", in)) != caption) continue;
    Rows out;
    for (in = 0;;) {
      const std::string row = between(table, "<tr>", "</tr>", in);
      if (in == std::string::npos) return out;
      out.emplace_back();
      for (size_t cell = 0; (cell = std::min(row.find("<td", cell), row.find("<th", cell))) != std::string::npos;) {
        const size_t end = row.find("</t", cell);
        out.back().push_back(html_unescaped(row.substr(cell, end - cell)));
        cell = end;
      }
    }
  }
  return {};
}

Rows markdown_table(const std::string& markdown, const std::string& caption) {
  std::istringstream lines(markdown);
  Rows out;
  bool found = false;
  for (std::string line; std::getline(lines, line);) {
    if (!found) found = markdown_unescaped(line) == caption;
    else if (line.starts_with("| ---") || line.starts_with("| ---:")) continue;
    else if (line.starts_with("|")) {
      std::vector<std::string> row = cells(line, '|');
      out.emplace_back();
      for (size_t i = 1; i + 1 < row.size(); ++i) out.back().push_back(markdown_unescaped(row[i]));
    } else if (!out.empty()) return out;
  }
  return out;
}

Rows latex_table(const std::string& latex, const std::string& caption) {
  for (size_t at = 0; at != std::string::npos;) {
    const std::string table = between(latex, "\\begin{table}", "\\end{table}", at);
    size_t in = 0;
    if (latex_unescaped(between(table, "\\caption{", "}\n", in)) != caption) continue;
    Rows out;
    std::istringstream lines(table.substr(table.find("\\toprule")));
    for (std::string line; std::getline(lines, line);) {
      if (!line.ends_with(" \\\\")) continue;
      out.push_back(cells(line.substr(0, line.size() - 3), '&'));
      for (std::string& cell : out.back()) cell = latex_unescaped(cell);
    }
    return out;
  }
  return {};
}

Rows json_table(const core::Value& document, const std::string& caption) {
  const auto texts = [](const core::Value& list) {
    std::vector<std::string> out;
    for (const core::Value& v : list.as_array()) out.push_back(v.as_string());
    return out;
  };
  for (const core::Value& t : document.at("tables").as_array()) {
    if (t.at("caption").as_string() != caption) continue;
    Rows out = {texts(t.at("columns"))};
    for (const core::Value& row : t.at("rows").as_array()) out.push_back(texts(row));
    return out;
  }
  return {};
}

core::Value data_of(const std::string& html, const std::string& id) {
  size_t at = 0;
  return core::parse_json(between(html, "<script type=\"application/json\" id=\"" + id + "\">", "</script>", at), id,
                          {.bytes = size_t{64} << 20});
}

}  // namespace assay::test
