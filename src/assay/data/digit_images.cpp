#include <algorithm>
#include <array>

#include "assay/data/images.h"
#include "assay/data/task_draw.h"

namespace assay::data {
namespace {

constexpr uint64_t kDrawsOfImage = 1024;
constexpr int64_t kLargestCell = 3;
constexpr uint64_t kMislabelled = 10;  // one in so many
constexpr std::array<std::array<const char*, kDigitLines>, kImageClasses> kDigits{{{"###", "#.#", "#.#", "#.#", "###"},
                                                                                   {"##.", ".#.", ".#.", ".#.", "###"},
                                                                                   {"###", "..#", "###", "#..", "###"},
                                                                                   {"###", "..#", "###", "..#", "###"},
                                                                                   {"#.#", "#.#", "###", "..#", "..#"},
                                                                                   {"###", "#..", "###", "..#", "###"},
                                                                                   {"###", "#..", "###", "#.#", "###"},
                                                                                   {"###", "..#", "..#", "..#", "..#"},
                                                                                   {"###", "#.#", "###", "#.#", "###"},
                                                                                   {"###", "#.#", "###", "..#", "###"}}};

struct Colours {
  std::array<int64_t, kPlanes> ink{}, paper{};
};

// Anything that the noise cannot carry out of range; far apart in one plane, either one the brighter.
Colours colours(TaskDraw& draw) {
  constexpr int64_t range = kLevels - 2 * kDigitNoise;
  Colours c;
  for (size_t plane = 0; plane < c.ink.size(); ++plane) {
    c.ink[plane] = kDigitNoise + draw.below(range);
    c.paper[plane] = kDigitNoise + draw.below(range);
  }
  const auto clear = static_cast<size_t>(draw.below(kPlanes));
  const int64_t apart = kDigitContrast + draw.below(range - kDigitContrast), dark = kDigitNoise + draw.below(range - apart);
  c.ink[clear] = dark;
  c.paper[clear] = dark + apart;
  if (draw.below(2) == 0) std::swap(c.ink[clear], c.paper[clear]);
  return c;
}

}  // namespace

bool digit_cell(int64_t digit, int64_t line, int64_t column) {
  return kDigits.at(static_cast<size_t>(digit)).at(static_cast<size_t>(line))[column] == '#';
}

DigitImage digit_image(uint64_t seed, std::string_view split, uint64_t n) {
  TaskDraw draw(seed, "digits", split, n, kDrawsOfImage);
  DigitImage image;
  image.digit = draw.below(kImageClasses);
  const bool wrong = draw.below(kMislabelled) == 0;
  const int64_t said = wrong ? draw.below(kImageClasses) : image.digit;
  const int64_t cell = 1 + draw.below(kLargestCell), top = draw.below(kDigitSide - kDigitLines * cell + 1),
                left = draw.below(kDigitSide - kDigitColumns * cell + 1);
  const Colours c = colours(draw);
  const auto inked = [&](int64_t y, int64_t x) {
    y -= top, x -= left;
    return y >= 0 && x >= 0 && y < kDigitLines * cell && x < kDigitColumns * cell && digit_cell(image.digit, y / cell, x / cell);
  };
  for (size_t plane = 0; plane < kPlanes; ++plane)
    for (int64_t y = 0; y < kDigitSide; ++y)
      for (int64_t x = 0; x < kDigitSide; ++x) {
        const int64_t noise = draw.below(2 * kDigitNoise + 1) - kDigitNoise;
        image.row.push_back(static_cast<uint16_t>((inked(y, x) ? c.ink[plane] : c.paper[plane]) + noise));
      }
  image.row.push_back(static_cast<uint16_t>(kLevels + said));
  return image;
}

}  // namespace assay::data
