#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/options.h"

namespace assay::core {

namespace {

constexpr size_t kListed = 20;

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Damerau-Levenshtein distance in its optimal-string-alignment form: insert, delete, replace, swap two neighbours.
size_t distance(const std::string& a, const std::string& b) {
  std::array<std::vector<size_t>, 3> rows;  // row i is rows[i % 3]
  for (auto& row : rows) row.resize(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) rows[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    auto& row = rows[i % 3];
    const auto& up = rows[(i - 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({up[j] + 1, row[j - 1] + 1, up[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], rows[(i - 2) % 3][j - 2] + 1);
    }
  }
  return rows[a.size() % 3][b.size()];
}

// Names that begin with the word; where none does, names that contain it. One letter says nothing.
std::vector<std::string> containing(std::string_view word, const std::vector<std::string>& names) {
  const std::string low = word.size() <= 256 ? lowered(word) : std::string();
  std::vector<std::string> begin, hold;
  for (const std::string& name : names) {
    const size_t at = low.size() < 2 ? std::string::npos : lowered(name).find(low);
    if (at != std::string::npos) (at == 0 ? begin : hold).push_back(name);
  }
  return begin.empty() ? hold : begin;
}

std::string listed(const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) out += (i ? ", " : "") + names[i];
  if (names.size() > kListed) out += " and " + std::to_string(names.size() - kListed) + " more";
  return out;
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  const std::string low = word.size() <= 256 ? lowered(word) : std::string();  // nobody's name is longer
  std::string best;
  size_t best_distance = std::string::npos;
  for (const std::string& name : known) {
    const size_t longer = std::max(low.size(), name.size());
    const size_t apart = longer - std::min(low.size(), name.size());
    if (low.empty() || apart > longer / 3) continue;
    const size_t d = distance(low, lowered(name));
    if (d > longer / 3 || d >= best_distance) continue;
    best = name;
    best_distance = d;
  }
  return best;
}

std::string unknown_name(std::string_view what, std::string_view word, const std::vector<std::string>& known,
                         const std::vector<std::string>& also) {
  std::string out = "unknown " + std::string(what) + " '" + printable(word, 80) + "'; ";
  std::vector<std::string> all = known;
  all.insert(all.end(), also.begin(), also.end());
  if (const std::string near = nearest(word, all); !near.empty()) return out + "did you mean '" + near + "'?";
  if (const std::vector<std::string> longer = containing(word, all); longer.size() == 1) return out + "did you mean '" + longer[0] + "'?";
  else if (!longer.empty()) return out + "did you mean one of " + listed(longer) + "?";
  if (known.empty()) return out + "there are none";
  return out + "known: " + listed(known);
}

}  // namespace assay::core
