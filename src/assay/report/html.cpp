#include "assay/report/assets.h"
#include "assay/report/charts.h"
#include "assay/report/escape.h"
#include "assay/report/forms.h"
#include "assay/report/icons.h"

namespace assay::report {
namespace {

std::string attribute(const std::string& name, const std::string& value) { return " " + name + "=\"" + html_text(value) + "\""; }

std::string facts(const std::vector<std::pair<std::string, std::string>>& all, const std::string& attributes) {
  if (all.empty()) return "";
  std::string out = "<dl" + attributes + ">";
  for (const auto& [name, text] : all) out += "<div><dt>" + html_text(name) + "</dt><dd>" + html_text(text) + "</dd></div>";
  return out + "</dl>\n";
}

std::string tally(const Document& d) {
  std::string out = "<ul class=\"tally\" aria-label=\"Verdicts by word\">";
  for (const auto& [word, n] : d.tally)
    out += "<li class=\"badge " + class_of(word) + "\">" + icon(word) + std::to_string(n) + " " + html_text(word) + "</li>";
  return out + "</ul>\n";
}

// Writes the blocks of one section.
class Writer {
 public:
  explicit Writer(const Document& document) : document_(document) {}

  std::string section(const Section& s) {
    out_ = "<section" + attribute("id", s.id) + attribute("aria-labelledby", "title-" + s.id) + ">\n<h2" +
           attribute("id", "title-" + s.id) + ">" + html_text(s.title) + "</h2>\n";
    for (const Block& b : s.blocks) std::visit([this](const auto& block) { write(block); }, b);
    return out_ + "</section>\n";
  }

 private:
  void write(const Paragraph& p) { out_ += "<p>" + html_text(p.text) + "</p>\n"; }
  void write(const Notice& n) { out_ += "<p class=\"notice\" role=\"note\">" + html_text(n.text) + "</p>\n"; }

  void write(const Claims& claims) {
    out_ += tally(document_);
    out_ += "<ul class=\"claims\">\n";
    for (const Claim& c : claims.all) write(c);
    out_ += "</ul>\n";
  }

  void write(const Claim& c) {
    out_ += "<li class=\"claim " + class_of(c.word) + "\"><header><h3>" + html_text(c.arm);
    if (!c.arch.empty() && c.arch != c.arm) out_ += " <span class=\"arch\">" + html_text(c.arch) + "</span>";
    out_ += "</h3>" + badge(c.word, "badge") + "</header>\n";
    if (!c.effect.empty())
      out_ += "<p class=\"effect\">" + html_text(c.effect) + " <small>" +
              html_text(c.unit + (c.interval.empty() ? "" : "  " + c.interval)) + "</small></p>\n";
    out_ += "<blockquote>" + html_text(c.sentence) + "</blockquote>\n" + facts(c.facts, "") + "</li>\n";
  }

  void write(const Figure& f) {
    out_ += "<figure>\n<figcaption>" + html_text(f.caption) + "</figcaption>\n<div class=\"panels" +
            std::string(f.panels.size() > 1 ? " many" : "") + "\">\n";
    for (const Panel& p : f.panels) {
      out_ += "<div class=\"panel\">";
      if (!p.title.empty() && f.panels.size() > 1) out_ += "<h3>" + html_text(p.title) + "</h3>";
      out_ += "<div class=\"chart\"" + attribute("id", p.id) + " role=\"img\"" + attribute("aria-label", p.description) +
              "><noscript>Charts need scripts; the table has the numbers.</noscript></div></div>\n";
    }
    out_ += "</div>\n</figure>\n";
    if (f.numbers.empty()) return;
    out_ += "<details class=\"fold\"><summary>The numbers of this figure</summary>\n";
    for (const Table& t : f.numbers) write(t);
    out_ += "</details>\n";
  }

  void write(const Table& t) {
    out_ += "<div class=\"scroll\" tabindex=\"0\" role=\"region\"" + attribute("aria-label", t.caption) + "><table" +
            attribute("id", "table-" + t.id) + "><caption><span>" + html_text(t.caption) + "</span></caption>\n<thead><tr>";
    for (const Column& c : t.columns)
      out_ += "<th scope=\"col\"" + std::string(c.number ? " class=\"number\"" : "") + ">" + html_text(c.name) + "</th>";
    out_ += "</tr></thead>\n<tbody>\n";
    for (const auto& row : t.rows) write_row(t, row);
    out_ += "</tbody></table></div>\n";
  }

  void write_row(const Table& t, const std::vector<std::string>& row) {
    out_ += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const bool number = t.columns.at(i).number;
      const std::string text = static_cast<int>(i) == t.words ? badge(row[i], "word") : html_text(row[i]);
      if (i == 0) out_ += "<th scope=\"row\"" + std::string(number ? " class=\"number\">" : ">") + text + "</th>";
      else out_ += std::string("<td class=\"") + (number ? "number" : "text") + "\">" + text + "</td>";
    }
    out_ += "</tr>\n";
  }

  void write(const Folded& f) {
    out_ += "<details class=\"fold\"><summary>" + html_text(f.summary) + "</summary>\n";
    write(f.table);
    out_ += "</details>\n";
  }

  void write(const Code& c) {
    const std::string code = "<div class=\"code\"><pre tabindex=\"0\"" + attribute("aria-label", c.label) + "><code>" + html_lines(c.text) +
                             "</code></pre><button type=\"button\" class=\"copy\"" + attribute("aria-label", "Copy " + c.label) +
                             ">Copy</button></div>\n";
    out_ += c.folded ? "<details class=\"fold\"><summary>" + html_text(c.label) + "</summary>\n" + code + "</details>\n" : code;
  }

  void write(const Downloads& d) {
    out_ += "<ul class=\"downloads\">\n";
    for (const Download& one : d.all)
      out_ += "<li><a" + attribute("download", one.file) + " href=\"data:" + one.type + ";charset=utf-8;base64," + base64(one.content) +
              "\">" + html_text(one.file) + "<small>" + html_text(one.label) + "</small></a></li>\n";
    out_ += "</ul>\n";
  }

  // The page cannot measure what is inside the frame: a caption of a few lines, the rows of its table, and a scroll bar.
  static size_t frame_height(std::string_view html) {
    size_t rows = 0;
    for (size_t at = html.find("<tr"); at != std::string_view::npos; at = html.find("<tr", at + 1)) ++rows;
    return std::min<size_t>(600, 130 + 28 * rows);
  }

  // Somebody else's markup stays in a frame of its own, where nothing can run and nothing can be fetched.
  void write(const Fragment& f) {
    out_ += "<h3>" + html_text(f.title) + "</h3>\n<iframe sandbox" + attribute("title", f.title) +
            attribute("height", std::to_string(frame_height(f.html))) + " srcdoc=\"" + html_lines(f.html) + "\"></iframe>\n";
  }

  const Document& document_;
  std::string out_;
};

core::Value chart_data(const Document& d) {
  core::Value v = core::Value::object();
  for (const Panel* p : panels_of(d)) v[p->id] = p->spec;
  return v;
}

core::Value themes() {
  core::Value v = core::Value::object();
  for (const char* name : {"light", "dark"}) v[name] = theme(name);
  return v;
}

// Scripts run only with this word, which nobody can know who wrote the campaign's files: it is a hash of them.
std::string policy(const std::string& nonce) {
  return "default-src 'none'; script-src 'nonce-" + nonce +
         "'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'";
}

std::string head(const Document& d) {
  return "<!doctype html>\n<html lang=\"en\" data-theme=\"light\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
         "http-equiv=\"Content-Security-Policy\" content=\"" +
         policy(d.identity) +
         "\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" "
         "content=\"no-referrer\">\n" +
         "<title>" + html_text(d.name + ": " + d.title) + "</title>\n<script nonce=\"" + d.identity +
         "\">if (matchMedia(\"(prefers-color-scheme: dark)\").matches) document.documentElement.dataset.theme = "
         "\"dark\";</script>\n<style>\n" +
         std::string(assets::page_style()) + "</style>\n</head>\n";
}

std::string page_top(const Document& d) {
  std::string out = "<header class=\"top\">\n<div><p class=\"kind\">Assay: " + html_text(d.kind) + "</p>\n<h1>" + html_text(d.title) +
                    "</h1></div>\n" +
                    "<button type=\"button\" id=\"theme\" aria-pressed=\"false\" aria-label=\"Dark colours\"><svg viewBox=\"0 0 16 16\" "
                    "aria-hidden=\"true\"><path d=\"M8 0a8 8 0 1 0 0 "
                    "16A8 8 0 0 0 8 0zm0 2v12A6 6 0 0 1 8 2z\"/></svg><span>Dark colours</span></button>\n";
  return out + facts(d.facts, " class=\"facts\"") + "</header>\n";
}

std::string contents(const Document& d) {
  std::string out = "<nav class=\"contents\" aria-label=\"Contents\"><ol>\n";
  for (const Section& s : d.sections) out += "<li><a href=\"#" + html_text(s.id) + "\">" + html_text(s.title) + "</a></li>\n";
  return out + "</ol></nav>\n";
}

std::string script(const std::string& nonce, std::string_view text) {
  return "<script nonce=\"" + nonce + "\">" + std::string(text) + "</script>\n";
}

std::string data_script(const std::string& id, const core::Value& v) {
  return "<script type=\"application/json\" id=\"" + id + "\">" + script_json(v) + "</script>\n";
}

}  // namespace

std::string html_form(const Document& d) {
  std::string out = head(d) + "<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n<div class=\"frame\">\n" + page_top(d) +
                    contents(d) + "<main id=\"main\" tabindex=\"-1\">\n";
  for (const Section& s : d.sections) out += Writer(d).section(s);
  out += "</main>\n<footer><p>Made by assay " + html_text(d.command) +
         ". Charts: Vega, Vega-Lite and Vega-Embed, &copy; University of Washington Interactive "
         "Data Lab "
         "and contributors, BSD 3-Clause.</p></footer>\n</div>\n";
  out += data_script("charts", chart_data(d)) + data_script("themes", themes());
  return out + script(d.identity, assets::chart_library()) + script(d.identity, assets::page_script()) + "</body>\n</html>\n";
}

}  // namespace assay::report
