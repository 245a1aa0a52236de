#include <fmt/format.h>

#include <cmath>

#include "assay/inspect/lens.h"

namespace assay::inspect {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += c;
    }
  }
  return out;
}

// The best guess as text, the probability of the truth as colour (and in words for those who do not see it).
std::string cell(const Reading& r, const data::Tokenizer* tokenizer) {
  std::string details;
  for (const Guess& g : r.top) details += fmt::format("{} {:.3f}\n", shown(static_cast<uint16_t>(g.id), tokenizer), g.probability);
  details += fmt::format("entropy {:.2f} nats", r.entropy);
  if (r.rank_of_truth > 0) details += fmt::format("\nnext token: rank {}, probability {:.3f}", r.rank_of_truth, r.truth);
  const std::string mark = r.rank_of_truth == 1 ? "<b>" : "", end = r.rank_of_truth == 1 ? "</b>" : "";
  return fmt::format("<td style=\"--p:{:.3f}\" title=\"{}\">{}{}{}</td>", r.truth, escaped(details), mark,
                     escaped(shown(static_cast<uint16_t>(r.top.front().id), tokenizer)), end);
}

constexpr const char* kStyle =
    "<style>.lens{overflow-x:auto}.lens table{border-collapse:collapse;font:13px/1.5 ui-monospace,monospace}.lens caption{text-align:left;"
    "font-family:system-ui,sans-serif;padding:.3em 0}.lens th,.lens td{padding:.1em .5em;border:1px solid color-mix(in srgb,currentColor "
    "20%,"
    "transparent);white-space:pre;text-align:left;font-weight:400}.lens td b{font-weight:700;text-decoration:underline}.lens td{background:"
    "color-mix(in srgb,#2a9d5c calc(var(--p)*70%),transparent)}.lens th[scope=row]{position:sticky;left:0;background:Canvas}</style>";

}  // namespace

std::string to_html(const Lens& lens, const data::Tokenizer* tokenizer) {
  std::string out =
      std::string(kStyle) +
      "<div class=\"lens\" tabindex=\"0\" role=\"region\" aria-label=\"register lens\"><table><caption>Best guess of each step for the "
      "next "
      "token. The greener, the more probability it gives to the token that really follows; underlined: its best guess is right."
      "</caption><thead><tr><th scope=\"col\">step</th>";
  for (const uint16_t id : lens.tokens) out += "<th scope=\"col\">" + escaped(shown(id, tokenizer)) + "</th>";
  out += "</tr></thead><tbody>";
  for (size_t s = 0; s < lens.steps.size(); ++s) {
    out += "<tr><th scope=\"row\">" + escaped(lens.steps[s]) + "</th>";
    for (const Reading& r : lens.readings[s]) out += cell(r, tokenizer);
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string html_page(const std::string& title, const std::string& fragment) {
  return "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
         "content=\"width=device-width,initial-scale=1\">"
         "<meta name=\"color-scheme\" content=\"light dark\"><title>" +
         escaped(title) + "</title></head><body style=\"font-family:system-ui,sans-serif;margin:1.5em\"><main><h1>" + escaped(title) +
         "</h1>" + fragment + "</main></body></html>\n";
}

}  // namespace assay::inspect
