#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "assay/core/error.h"
#include "assay/data/corpus.h"
#include "assay/data/images.h"
#include "assay/data/loader.h"
#include "assay/data/tasks.h"
#include "data/files.h"

using namespace assay;
using Row = std::vector<uint16_t>;

namespace {

constexpr int64_t kSide = data::kDigitSide, kPlane = kSide * kSide;

// Reads the digit off the levels, as the oracle does: the plane with the widest range is cut at its middle, the fewer pixels are ink, and what they
// cover is compared with every digit at every size.
int64_t read_digit(const Row& row) {
  Row best;
  int64_t widest = -1;
  for (int64_t plane = 0; plane < data::kPlanes; ++plane) {
    const Row levels(row.begin() + plane * kPlane, row.begin() + (plane + 1) * kPlane);
    const auto [low, high] = std::minmax_element(levels.begin(), levels.end());
    if (*high - *low > widest) widest = *high - *low, best = levels;
  }
  const auto [low, high] = std::minmax_element(best.begin(), best.end());
  const int64_t middle = *low + *high;
  const auto bright = std::count_if(best.begin(), best.end(), [&](int64_t v) { return 2 * v > middle; });
  const auto ink = [&](int64_t y, int64_t x) { return (2 * best[static_cast<size_t>(y * kSide + x)] > middle) == (2 * bright < kPlane); };
  int64_t top = kSide, left = kSide, bottom = -1, right = -1;
  for (int64_t y = 0; y < kSide; ++y)
    for (int64_t x = 0; x < kSide; ++x)
      if (ink(y, x)) top = std::min(top, y), left = std::min(left, x), bottom = std::max(bottom, y), right = std::max(right, x);
  const int64_t cell = (bottom - top + 1) / data::kDigitLines;
  if (cell < 1 || (bottom - top + 1) != cell * data::kDigitLines || right - left + 1 != cell * data::kDigitColumns) return -1;
  for (int64_t digit = 0; digit < data::kImageClasses; ++digit) {
    bool same = true;
    for (int64_t y = top; y <= bottom; ++y)
      for (int64_t x = left; x <= right; ++x) same = same && ink(y, x) == data::digit_cell(digit, (y - top) / cell, (x - left) / cell);
    if (same) return digit;
  }
  return -1;
}

// The six files, zeros where nothing is written.
class Cifar {
 public:
  Cifar() {
    for (const char* name :
         {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"})
      size(name, 30730000);
  }
  std::string path(const std::string& name) const { return directory.path() + "/" + name; }
  void size(const std::string& name, off_t bytes) const {
    const int fd = open(path(name).c_str(), O_RDWR | O_CREAT, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(ftruncate(fd, bytes) == 0);
    close(fd);
  }
  void put(const std::string& name, off_t offset, std::vector<uint8_t> bytes) const {
    const int fd = open(path(name).c_str(), O_RDWR);
    REQUIRE(pwrite(fd, bytes.data(), bytes.size(), offset) == static_cast<ssize_t>(bytes.size()));
    close(fd);
  }
  test::Scratch directory;
};

}  // namespace

TEST_CASE("digits: the oracle reads every one of them whatever noise and colours are, and the classes are right as often as stated") {
  const data::Task task = *data::find_task("digits");
  constexpr uint64_t kImages = 1500;
  int64_t said = 0;
  std::vector<int64_t> of_class(data::kImageClasses);
  for (uint64_t n = 0; n < kImages; ++n) {
    const data::DigitImage image = data::digit_image(5, n % 2 == 0 ? "train" : "val", n);
    REQUIRE(image.row.size() == static_cast<size_t>(task.row));
    REQUIRE(*std::max_element(image.row.begin(), image.row.end() - 1) < data::kLevels);
    REQUIRE(read_digit(image.row) == image.digit);
    const int64_t label = image.row.back() - data::kLevels;
    REQUIRE(label >= 0);
    ++of_class.at(static_cast<size_t>(label));
    said += label == image.digit ? 1 : 0;
  }
  const double share = static_cast<double>(said) / kImages, sd = std::sqrt(0.91 * 0.09 / kImages);
  CHECK(std::abs(share - task.oracle_accuracy) < 4 * sd);
  for (const int64_t n : of_class) CHECK(std::abs(static_cast<double>(n) / kImages - task.chance_accuracy) < 4 * std::sqrt(0.09 / kImages));
  // A tenth drawn anew: 0.91 for the digit, 0.01 for each other class.
  CHECK(task.oracle_nats == doctest::Approx(-0.91 * std::log(0.91) - 9 * 0.01 * std::log(0.01)));
  CHECK(task.chance_nats == doctest::Approx(std::log(10.0)));
}

TEST_CASE("digits: an image is a function of seed, split and number, and the task's rows are these images") {
  const data::Task task = *data::find_task("digits");
  const Row tokens = data::task_tokens(task, 7, "val", static_cast<size_t>(3 * task.row));
  for (uint64_t n = 0; n < 3; ++n)
    CHECK(std::equal(tokens.begin() + static_cast<int64_t>(n) * task.row, tokens.begin() + static_cast<int64_t>(n + 1) * task.row,
                     data::digit_image(7, "val", n).row.begin()));
  CHECK(data::digit_image(7, "val", 0).row != data::digit_image(7, "train", 0).row);
  CHECK(data::digit_image(7, "val", 0).row != data::digit_image(8, "val", 0).row);
  std::set<std::string> drawn;
  for (int64_t digit = 0; digit < data::kImageClasses; ++digit) {
    std::string cells;
    for (int64_t line = 0; line < data::kDigitLines; ++line)
      for (int64_t column = 0; column < data::kDigitColumns; ++column) cells += data::digit_cell(digit, line, column) ? '#' : '.';
    CHECK(drawn.insert(cells).second);
    CHECK(2 * 9 * std::count(cells.begin(), cells.end(), '#') < kPlane);  // ink is the smaller part of the largest image, too
  }
}

TEST_CASE("CIFAR-10: a record's levels, then its class, in the order of the files, and every image is a window") {
  const Cifar cifar;
  cifar.put("data_batch_1.bin", 0, {3, 11, 12, 13});
  cifar.put("data_batch_1.bin", 3073 * 9999, {9, 200});
  cifar.put("data_batch_2.bin", 0, {1, 77});
  cifar.put("data_batch_5.bin", 3073 * 10000 - 1, {255});
  cifar.put("test_batch.bin", 3073, {4, 5});
  data::DataConfig config;
  config.path = cifar.directory.path();
  const data::Corpus corpus = data::open_corpus(config);
  CHECK(corpus.vocab_size == 266);
  CHECK(corpus.tokenizer == nullptr);
  CHECK(corpus.train->size() == 50000 * 3073 + 1);
  CHECK(corpus.val->size() == 10000 * 3073 + 1);
  const auto read = [](const data::TokenSource& source, uint64_t offset, uint64_t n) {
    Row out(n);
    source.read(offset, n, out.data());
    return out;
  };
  CHECK(read(*corpus.train, 0, 4) == Row{11, 12, 13, 0});
  CHECK(read(*corpus.train, 3071, 3) == Row{0, 256 + 3, 0});
  CHECK(read(*corpus.train, 9999 * 3073, 1) == Row{200});
  CHECK(read(*corpus.train, 10000 * 3073 - 1, 3) == Row{256 + 9, 77, 0});  // across the border of two files
  CHECK(read(*corpus.train, 50000 * 3073 - 2, 3) == Row{255, 256, 11});    // and the first token again
  CHECK(read(*corpus.val, 3073, 1) == Row{5});
  CHECK(data::Loader(*corpus.train, 4, 3073, data::Loader::Order::shuffled, 1).windows() == 50000);
  CHECK(data::validation_windows(*corpus.val, 3073) == 10000);
  const data::Rows rows = data::validation_rows(*corpus.val, 3073, 1, 1);
  CHECK(rows.inputs.front() == 5);
  CHECK(rows.targets[3071] == 256 + 4);
  CHECK_THROWS_WITH_AS(read(*corpus.val, 10000 * 3073, 2), doctest::Contains("asked for 2 tokens"), core::DataError);
  const std::string before = corpus.hash;
  cifar.put("test_batch.bin", 3073, {4, 6});
  CHECK(data::open_corpus(config).hash != before);
}

TEST_CASE("CIFAR-10: a missing file, another size, a class beyond 9 and options that do not fit are refused by name") {
  const Cifar cifar;
  data::DataConfig config;
  config.path = cifar.directory.path();
  const auto refused = [&](const char* what) { CHECK_THROWS_WITH(data::open_corpus(config), doctest::Contains(what)); };
  cifar.put("data_batch_3.bin", 3073 * 42, {10});
  refused("data_batch_3.bin: record 42, class: wanted 0 to 9, found 10");
  cifar.size("data_batch_2.bin", 30729999);
  refused("data_batch_2.bin: wanted 30730000 bytes (10000 records of 3073), found 30729999");
  unlink(cifar.path("data_batch_1.bin").c_str());
  refused("data_batch_1.bin: wanted beside the other files of CIFAR-10's binary version");
  CHECK_THROWS_AS(data::open_corpus(config), core::DataError);
  config.tokenizer = "bytes";
  refused("tokenizer: wanted auto");
  config.tokenizer = "auto";
  config.vocab_size = 256;
  refused("vocab_size: wanted 0 or at least the 266 symbols of images, found 256");
  config.vocab_size = 0;
  config.val_path = "grammar";
  refused("val_path: wanted empty");
}
