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
class Grid {
 public:
  explicit Grid(Cells heading) { rows_.push_back(std::move(heading)); }
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

std::string percent(const Value& results) { return fmt::format("{:g} %", 100 * results.at("confidence").as_double()); }

std::string head(const Value& results, const Page& page) {
  const std::string name = results.at("name").as_string(), question = core::printable(results.at("question").as_string());
  std::string out = wrapped(name + (question.empty() ? "" : ": " + question), page, 2);
  return out + wrapped(fmt::format("{} of {} members done; {} (lower is better) after {} tokens each; control: {}",
                                   results.at("done").as_int(), results.at("members").size(), results.at("metric").as_string(),
                                   results.at("tokens").as_int(), results.at("control").as_string()),
                       page, 2);
}

std::string arms(const Value& results, const Page& page) {
  std::map<std::string, double> seconds;
  for (const Value& m : results.at("members").as_array())
    if (m.at("status").as_string() == "done")
      seconds[m.at("arm").as_string()] += m.at("seconds").is_null() ? 0 : m.at("seconds").as_double();
  Grid grid({"arm", "n", "mean", "sd", "time"});
  for (const Value& a : results.at("arms").as_array()) {
    const std::string name = a.at("name").as_string();
    grid.add({shortened(name, kNameLimit), std::to_string(a.at("n").as_int()), number(a.at("mean")), number(a.at("sd")),
              core::duration_text(seconds[name])});
  }
  return grid.text(page);
}

std::string difference_at(const Value& arm, int64_t seed) {
  for (const Value& d : arm.at("differences").as_array())
    if (d.at("seed").as_int() == seed) return signed_number(d.at("difference"));
  return "-";
}

std::string differences(const Value& results, const Page& page) {
  std::vector<const Value*> compared;
  for (const Value& a : results.at("arms").as_array())
    if (a.at("name").as_string() != results.at("control").as_string()) compared.push_back(&a);
  if (compared.empty()) return "";
  const auto row = [&](const std::string& label, const auto& cell) {
    Cells cells = {label};
    for (const Value* a : compared) cells.push_back(cell(*a));
    return cells;
  };
  Grid grid(row("seed", [](const Value& a) { return shortened(a.at("name").as_string(), kNameLimit); }));
  for (const Value& seed : results.at("seeds").as_array())
    grid.add(row(std::to_string(seed.as_int()), [&](const Value& a) { return difference_at(a, seed.as_int()); }));
  grid.add(row("mean", [](const Value& a) { return signed_number(a.at("mean_difference")); }));
  grid.add(row(percent(results) + " interval", [](const Value& a) { return interval_text(a.at("interval")); }));
  grid.add(row("p", [](const Value& a) { return number(a.at("p_value"), "{:.4g}"); }));
  grid.add(row("pairs", [](const Value& a) { return std::to_string(a.at("differences").size()); }));
  return "\n" +
         wrapped("Paired differences by seed, " + results.at("control").as_string() + " - arm (positive: the arm is better)", page, 2) +
         grid.text(page);
}

// Members that count for nothing: what they are, and why.
std::string missing(const Value& results, const Page& page) {
  std::string out;
  for (const Value& m : results.at("members").as_array()) {
    const std::string status = m.at("status").as_string(), error = m.at("error").as_string();
    if (status == "done") continue;
    const std::string so_far = status == "failed" || status == "waiting" ? "" : fmt::format(" after {} tokens", m.at("tokens").as_int());
    out += wrapped(fmt::format("{}, seed {}: {}{}{}{}", m.at("arm").as_string(), m.at("seed").as_int(), status, so_far,
                               error.empty() ? "" : ": ", core::printable(error)),
                   page, 2);
  }
  return out.empty() ? out : "\n" + bold("Not in the figures", page) + "\n" + out;
}

std::string caution(const Value& results, const Page& page) {
  const size_t seeds = results.at("seeds").size();
  return "\n" +
         wrapped(fmt::format(
                     "The interval is Student's t for a fixed n: it means what it says for the {} seed{} that the recipe fixed beforehand, "
                     "not when seeds are added until a result appears. Fewer than 2 pairs give no interval.",
                     seeds, seeds == 1 ? "" : "s"),
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
  return head(results, page) + "\n" + arms(results, page) + compared + missing(results, page) +
         (compared.empty() ? "" : caution(results, page));
}

}  // namespace assay::lab
