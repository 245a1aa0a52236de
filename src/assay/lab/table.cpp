#include "assay/lab/table.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <string_view>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/stats/metric.h"

namespace assay::lab {
namespace {

using core::Value;
using Cells = std::vector<std::string>;

constexpr size_t kGap = 2;
constexpr size_t kMinWidth = 40;
constexpr size_t kNameLimit = 28;

std::string bold(const std::string& text, const Page& page) { return page.colour ? "\033[1m" + text + "\033[0m" : text; }

std::string shortened(const std::string& text, size_t limit) { return text.size() <= limit ? text : text.substr(0, limit - 2) + ".."; }

std::string number(const Value& v, const char* format = "{:.4f}") {
  return v.is_null() ? "-" : fmt::format(fmt::runtime(format), v.as_double());
}
std::string signed_number(const Value& v) { return number(v, "{:+.4f}"); }

std::string interval_text(const Value& v) {
  if (v.is_null()) return "-";
  return "[" + signed_number(v.as_array()[0]) + ", " + signed_number(v.as_array()[1]) + "]";
}

// Text broken between words at the page's width, further lines indented. Words longer than a line are left whole.
std::string wrapped(const std::string& text, const Page& page, size_t indent) {
  std::string out, line;
  size_t start = 0;
  while (start < text.size()) {
    const size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    if (!line.empty() && line.size() + 1 + word.size() > page.width) {
      out += line + "\n";
      line = std::string(indent, ' ') + word;
    } else {
      line += (line.empty() ? "" : " ") + word;
    }
    start = end + 1;
  }
  return out + line + "\n";
}

// Columns as wide as their widest cell, the first flush left and the others flush right. The first row is the heading.
class TextGrid {
 public:
  explicit TextGrid(Cells heading) { rows_.push_back(std::move(heading)); }
  void add(Cells row) { rows_.push_back(std::move(row)); }

  // Where the columns do not fit the page they are split into blocks, each with the first column again.
  std::string text(const Page& page) const {
    const std::vector<size_t> widths = column_widths();
    std::string out;
    for (size_t first = 1; first < widths.size();) {
      size_t last = first, used = widths[0] + kGap + widths[first];
      while (last + 1 < widths.size() && used + kGap + widths[last + 1] <= page.width) used += kGap + widths[++last];
      if (!out.empty()) out += "\n";
      out += block(widths, first, last, page);
      first = last + 1;
    }
    return out;
  }

 private:
  std::vector<size_t> column_widths() const {
    std::vector<size_t> widths(rows_.front().size());
    for (const Cells& row : rows_)
      for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    return widths;
  }

  std::string block(const std::vector<size_t>& widths, size_t first, size_t last, const Page& page) const {
    std::string out;
    for (size_t r = 0; r < rows_.size(); ++r) {
      std::string line = fmt::format("{:<{}}", rows_[r][0], widths[0]);
      for (size_t i = first; i <= last; ++i) line += fmt::format("{:>{}}", rows_[r][i], widths[i] + kGap);
      line.erase(line.find_last_not_of(' ') + 1);
      out += (r == 0 ? bold(line, page) : line) + "\n";
    }
    return out;
  }

  std::vector<Cells> rows_;
};

std::string text_of(const Value& object, const char* key) {
  const Value* v = object.find(key);
  return v && v->is_string() ? core::printable(v->as_string()) : "";
}

std::string level(const Value& arm) {
  const Value* v = arm.find("level");
  return v && v->is_number() ? fmt::format("{:.3g} %", 100 * v->as_double()) : "";
}

const stats::Metric& metric_of(const Value& results) { return stats::metric_named(text_of(results, "metric")); }

// What differences are.
std::string sides(const Value& results) {
  const std::string control = results.at("control").as_string();
  return metric_of(results).higher_is_better ? "arm - " + control : control + " - arm";
}

std::string head(const Value& results, const Page& page) {
  const std::string name = results.at("name").as_string(), question = core::printable(results.at("question").as_string());
  std::string out = wrapped(name + (question.empty() ? "" : ": " + question), page, 2);
  return out + wrapped(fmt::format("{} of {} members done; {} ({}) after {} tokens each; control: {}", results.at("done").as_int(),
                                   results.at("members").size(), results.at("metric").as_string(), metric_of(results).better(),
                                   results.at("tokens").as_int(), results.at("control").as_string()),
                       page, 2);
}

bool is_control(const Value& results, const Value& arm) {
  return arm.at("verdict") == Value("control") || arm.at("name") == results.at("control");
}

// The sentences that one may quote, first.
std::string sentences(const Value& results, const Page& page) {
  std::string out;
  for (const Value& a : results.at("arms").as_array()) {
    if (is_control(results, a)) {
      if (!text_of(a, "reason").empty())
        out += wrapped("The control " + a.at("name").as_string() + " is refused: " + text_of(a, "reason"), page, 2);
      continue;
    }
    const std::string word = text_of(a, "verdict");
    out += wrapped(bold(a.at("name").as_string() + ": " + (word.empty() ? "-" : word), page) + "  " + text_of(a, "sentence"), page, 2);
  }
  return out.empty() ? out : out + "\n";
}

std::string arms(const Value& results, const Page& page) {
  std::map<std::string, double> seconds;
  for (const Value& m : results.at("members").as_array())
    if (!m.at("seconds").is_null()) seconds[m.at("arm").as_string()] += m.at("seconds").as_double();
  TextGrid grid({"arm", "verdict", "n", "mean", "sd", "time"});
  for (const Value& a : results.at("arms").as_array()) {
    const std::string name = a.at("name").as_string();
    grid.add({shortened(name, kNameLimit), text_of(a, "verdict"), std::to_string(a.at("n").as_int()), number(a.at("mean")),
              number(a.at("sd")), core::duration_text(seconds[name])});
  }
  return grid.text(page);
}

std::string references(const Value& results, const Page& page) {
  const Value* lines = results.find("references");
  if (!lines || lines->size() == 0) return "";
  std::string out;
  for (const Value& r : lines->as_array())
    out += (out.empty() ? "" : ", ") + (text_of(r, "kind") == "entropy" ? "entropy of the text" : text_of(r, "name")) + " " +
           number(r.at("value"));
  return wrapped("For comparison: " + out, page, 2);
}

std::string difference_at(const Value& arm, int64_t seed) {
  for (const Value& d : arm.at("differences").as_array())
    if (d.at("seed").as_int() == seed) return signed_number(d.at("difference"));
  return "-";
}

std::string differences(const Value& results, const Page& page) {
  std::vector<const Value*> compared;
  for (const Value& a : results.at("arms").as_array())
    if (!is_control(results, a) && a.at("differences").size() > 0) compared.push_back(&a);
  if (compared.empty()) return "";
  const auto row = [&](const std::string& label, const auto& cell) {
    Cells cells = {label};
    for (const Value* a : compared) cells.push_back(cell(*a));
    return cells;
  };
  const auto found = [](const Value& a, const char* key) { return a.find(key) ? a.at(key) : Value(); };
  TextGrid grid(row("seed", [](const Value& a) { return shortened(a.at("name").as_string(), kNameLimit); }));
  for (const Value& seed : results.at("seeds").as_array()) {
    const auto there = [&](const Value* a) { return difference_at(*a, seed.as_int()) != "-"; };
    if (std::any_of(compared.begin(), compared.end(), there))
      grid.add(row(std::to_string(seed.as_int()), [&](const Value& a) { return difference_at(a, seed.as_int()); }));
  }
  grid.add(row("mean", [](const Value& a) { return signed_number(a.at("mean_difference")); }));
  grid.add(row("effect", [&](const Value& a) { return signed_number(found(a, "effect")); }));
  grid.add(row("interval", [&](const Value& a) { return interval_text(found(a, "interval")); }));
  grid.add(row("its level", [](const Value& a) { return level(a); }));
  grid.add(row("e", [&](const Value& a) { return number(found(a, "e_value"), "{:.4g}"); }));
  grid.add(row("p", [&](const Value& a) { return number(found(a, "p_value"), "{:.4g}"); }));
  grid.add(row("pairs", [](const Value& a) { return std::to_string(a.at("differences").size()); }));
  return "\n" + wrapped("Paired differences by seed, " + sides(results) + " (positive: the arm is better)", page, 2) + grid.text(page);
}

// Members that count for nothing: what they are, and why. Those that nobody needs are only counted.
std::string missing(const Value& results, const Page& page) {
  std::string out;
  for (const Value& m : results.at("members").as_array()) {
    const std::string status = m.at("status").as_string(), error = m.at("error").as_string();
    if (status == "done" || status == "not_needed" || status == "refused") continue;
    const std::string so_far = status == "failed" || status == "waiting" ? "" : fmt::format(" after {} tokens", m.at("tokens").as_int());
    out += wrapped(fmt::format("{}, seed {}: {}{}{}{}", m.at("arm").as_string(), m.at("seed").as_int(), status, so_far,
                               error.empty() ? "" : ": ", core::printable(error)),
                   page, 2);
  }
  return out.empty() ? out : "\n" + bold("Not in the figures", page) + "\n" + out;
}

std::string caution(const Value& results, const Page& page) {
  const size_t seeds = results.at("seeds").size();
  if (text_of(results, "rule") == "fixed")
    return "\n" +
           wrapped(
               fmt::format("Tests for a fixed n: they mean what they say for the {} seed{} that the recipe fixed beforehand, and are shown "
                           "only when all are there.",
                           seeds, seeds == 1 ? "" : "s"),
               page, 0);
  const int64_t saved = results.find("not_needed") ? results.at("not_needed").as_int() : 0;
  return "\n" + wrapped(fmt::format("Decided seed by seed, at any of {} looks: among better and worse the expected share of false ones is "
                                    "at most {:g}, if arms "
                                    "that do not differ are exchangeable. {} of {} trainings were not needed.",
                                    seeds, results.at("design").at("alpha").as_double(), saved, results.at("members").size()),
                        page, 0);
}

}  // namespace

Page page_of_stdout() {
  Page page;
  if (!::isatty(STDOUT_FILENO)) return page;
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) page.width = std::max<size_t>(kMinWidth, size.ws_col);
  const char* none = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  page.colour = !(none && *none) && !(term && std::string_view(term) == "dumb");
  return page;
}

std::string render(const Value& results, const Page& page) {
  const std::string compared = differences(results, page);
  return head(results, page) + "\n" + sentences(results, page) + arms(results, page) + references(results, page) + compared +
         missing(results, page) + (compared.empty() ? "" : caution(results, page));
}

}  // namespace assay::lab
