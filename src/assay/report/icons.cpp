#include "assay/report/icons.h"

#include <algorithm>

#include "assay/report/escape.h"

namespace assay::report {
namespace {

struct Icon {
  const char* word;
  const char* path;  // in a square of 16
};

constexpr const char* kTick = "M6.2 13.4 1 8.2l2-2 3.2 3.2L13 2.6l2 2z";
constexpr const char* kCross = "m3 1 5 5 5-5 2 2-5 5 5 5-2 2-5-5-5 5-2-2 5-5-5-5z";
constexpr const char* kClock = "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zm0 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM7 4h2v3.6l3 1.8-1 1.6-4-2.4z";

constexpr Icon kIcons[] = {
    {"better", "M8 1 16 15H0z"},
    {"worse", "M8 15 0 1h16z"},
    {"equivalent", "M1 3.5h14v3H1zm0 6h14v3H1z"},
    {"undecided", "M8 11.8a1.7 1.7 0 1 1 0 3.4 1.7 1.7 0 0 1 0-3.4zM6.6 10.4C6.4 7 10 7 10 4.9 10 3.6 9.200 3 8 3S5.800 3.800 5.700 "
                  "5.200H3C3.100 2.300 5.100.6 8 .6s5 1.500 5 4.100c0 3.300-3.600 3.200-3.500 5.700z"},
    {"refused", "M8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0zm-4.300 10.300 6.600-6.600A5 5 0 0 0 3.700 10.300zm1.900 1.900a5 5 0 0 0 6.600-6.600z"},
    {"control", "M8 3a5 5 0 1 1 0 10A5 5 0 0 1 8 3z"},
    {"passed", kTick},
    {"done", kTick},
    {"failed", kCross},
    {"not audited", "M1 6.500h14v3H1z"},
    {"not needed", "M1 6.500h14v3H1z"},
    {"no verdict yet", kClock},
    {"waiting", kClock},
    {"unfinished", kClock},
    {"interrupted", "M3 1h4v14H3zm6 0h4v14H9z"},
};

}  // namespace

std::string icon(const std::string& word) {
  const auto* at = std::find_if(std::begin(kIcons), std::end(kIcons), [&](const Icon& i) { return word == i.word; });
  if (at == std::end(kIcons)) return "";
  return std::string(R"(<svg viewBox="0 0 16 16" aria-hidden="true"><path d=")") + at->path + "\"/></svg>";
}

std::string class_of(const std::string& word) {
  if (icon(word).empty()) return "";
  if (word == "passed") return "done";
  std::string out = word == "not audited" ? "not needed" : word;
  std::replace(out.begin(), out.end(), ' ', '-');
  return out;
}

std::string badge(const std::string& word, const std::string& kind) {
  return "<span class=\"" + kind + " " + class_of(word) + "\">" + icon(word) + html_text(word) + "</span>";
}

}  // namespace assay::report
