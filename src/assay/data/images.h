#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "assay/data/shards.h"

namespace assay::data {

// An image as a row of tokens: red, green and blue, each side x side brightness levels (ids 0 to 255) line by line, then its class (256 + c).
// So the answer is the target at position 3 side^2 - 1, and every model of sequences can be asked for it.
inline constexpr int64_t kLevels = 256, kImageClasses = 10, kPlanes = 3;
inline constexpr int64_t kImageVocab = kLevels + kImageClasses;
constexpr int64_t image_row(int64_t side) { return kPlanes * side * side + 1; }

// Digits drawn from three by five cells, each cell 1 to 3 pixels wide, anywhere in 16 x 16 pixels, in one random colour on another; uniform noise
// of at most kDigitNoise on every level. In one plane at least the colours are kDigitContrast apart, so that the noise never hides a digit. A tenth
// of the classes is drawn anew from all ten: an oracle that reads the digit is right in 0.91 of the cases.
inline constexpr int64_t kDigitSide = 16, kDigitNoise = 10, kDigitContrast = 90;
struct DigitImage {
  std::vector<uint16_t> row;  // image_row(kDigitSide) tokens
  int64_t digit = 0;          // what is drawn, whatever the class says
};
DigitImage digit_image(uint64_t seed, std::string_view split, uint64_t n);
// Whether a digit has a dot in this cell.
bool digit_cell(int64_t digit, int64_t line, int64_t column);
inline constexpr int64_t kDigitLines = 5, kDigitColumns = 3;

// CIFAR-10 in its binary version: a directory with data_batch_1.bin to data_batch_5.bin (train) and test_batch.bin (val), each 10000 records of a
// class byte and 3072 levels. The rows in the order of the files, and the first token again, so that each image is a window of image_row(32) tokens.
// Read as they are asked for. DataError names the file and what was wanted: one is missing, has another size, or a class beyond 9 (with the record).
bool is_cifar10(const std::string& path);  // a directory that holds one of these names
std::unique_ptr<TokenSource> open_cifar10(const std::string& directory, std::string_view split);
inline constexpr int64_t kCifarSide = 32;

}  // namespace assay::data
