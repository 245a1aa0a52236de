#include "assay/data/tasks.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <mutex>
#include <numeric>

#include "assay/core/error.h"
#include "assay/core/random.h"
#include "assay/data/images.h"
#include "assay/data/legacy_shuffle.h"
#include "assay/data/task_draw.h"

namespace assay::data {
namespace {

using Row = std::vector<uint16_t>;

constexpr uint16_t kModulus = 97, kSeparator = 97, kEqual = 98, kBos = 99, kEos = 100, kReverse = 101;
constexpr std::array<uint16_t, 4> kOperators{97, 101, 102, 103};  // one each, where the published files have one for all
constexpr uint32_t kPublishedSeed = 42;

// ---- modular arithmetic: BOS a OP b EQ c EOS EOS ----

uint16_t result(size_t operation, uint32_t a, uint32_t b) {
  const uint32_t p = kModulus;
  const std::array<uint32_t, 4> c{(a + b) % p, (a + p - b) % p, a * b % p, (a * a + b * b) % p};
  return static_cast<uint16_t>(c[operation]);
}

Row equation(size_t operation, uint16_t a, uint16_t b, uint16_t symbol) {
  return {kBos, a, symbol, b, kEqual, result(operation, a, b), kEos, kEos};
}

struct Split {
  std::vector<Row> train, val;
};

// The published split: permuted, halved, each half shuffled again.
Split published(std::vector<Row> all) {
  LegacyShuffle shuffle(kPublishedSeed);
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  shuffle(order);
  Split s;
  for (size_t i = 0; i < order.size(); ++i) (i < order.size() / 2 ? s.train : s.val).push_back(all[order[i]]);
  shuffle(s.train);
  shuffle(s.val);
  return s;
}

Split modular(size_t operation) {
  std::vector<Row> all;
  for (uint16_t a = 0; a < kModulus; ++a)
    for (uint16_t b = 0; b < kModulus; ++b) all.push_back(equation(operation, a, b, kOperators[0]));
  return published(std::move(all));
}

// a, b and b, a on one side, for every operation alike: nobody learns an answer from its mirror image.
Split unordered(const std::vector<size_t>& operations, bool own_symbols) {
  std::vector<std::pair<uint16_t, uint16_t>> pairs;
  for (uint16_t a = 0; a < kModulus; ++a)
    for (uint16_t b = a; b < kModulus; ++b) pairs.emplace_back(a, b);
  LegacyShuffle shuffle(kPublishedSeed);
  shuffle(pairs);
  Split s;
  for (size_t i = 0; i < pairs.size(); ++i) {
    std::vector<Row>& side = i < pairs.size() / 2 ? s.train : s.val;
    const auto [a, b] = pairs[i];
    for (const size_t operation : operations) {
      const uint16_t symbol = kOperators[own_symbols ? operation : 0];
      side.push_back(equation(operation, a, b, symbol));
      if (a != b) side.push_back(equation(operation, b, a, symbol));
    }
  }
  shuffle(s.train);
  shuffle(s.val);
  return s;
}

// ---- binary words, every one of them: BOS x ... EOS, rows of 20 ----

constexpr size_t kFormalRow = 20;

Row padded(Row row, size_t length) {
  row.resize(length, kEos);
  return row;
}

std::vector<Row> words_of(int length) {
  std::vector<Row> all;
  for (int code = 0; code < 1 << length; ++code) {
    Row w;
    for (int bit = length - 1; bit >= 0; --bit) w.push_back(static_cast<uint16_t>(code >> bit & 1));
    all.push_back(w);
  }
  return all;
}

uint16_t ones(const Row& word) { return static_cast<uint16_t>(std::count(word.begin(), word.end(), 1)); }

// `tail`: what follows the word.
Split formal(int length, const std::function<Row(const Row& word)>& tail) {
  std::vector<Row> all;
  for (const Row& word : words_of(length)) {
    Row row{kBos};
    row.insert(row.end(), word.begin(), word.end());
    const Row rest = tail(word);
    row.insert(row.end(), rest.begin(), rest.end());
    all.push_back(padded(std::move(row), kFormalRow));
  }
  return published(std::move(all));
}

Row after(uint16_t symbol, Row word) {
  word.insert(word.begin(), symbol);
  return word;
}

Row parity(const Row& w) { return {kEqual, static_cast<uint16_t>(ones(w) % 2)}; }
Row majority(const Row& w) { return {kEqual, static_cast<uint16_t>(2 * ones(w) > w.size())}; }
Row copy(const Row& w) { return after(kSeparator, w); }
Row reverse(const Row& w, uint16_t symbol) { return after(symbol, {w.rbegin(), w.rend()}); }

// ---- drawn examples ----

constexpr uint64_t kDrawsOfExample = 64;
constexpr size_t kLongest = 16, kPairs = 8;
constexpr uint16_t kLetters = 64;

Row copied(const Row& x) {
  Row row(kLongest - x.size(), kEos);  // padding in front: the separator stands at one place
  row.push_back(kBos);
  row.insert(row.end(), x.begin(), x.end());
  row.push_back(kSeparator);
  row.insert(row.end(), x.begin(), x.end());
  return padded(std::move(row), 2 * kLongest + 4);
}

Row copy_string(TaskDraw& draw, std::string_view) {
  Row x;
  for (size_t i = 0; i < kLongest; ++i) x.push_back(static_cast<uint16_t>(draw.below(kLetters)));
  return copied(x);
}

// Words of 1 to 8 in training, of 9 to 16 in validation.
Row copy_length(TaskDraw& draw, std::string_view split) {
  const size_t length = static_cast<size_t>(draw.below(kLongest / 2)) + (split == "val" ? kLongest / 2 + 1 : 1);
  Row x;
  for (size_t i = 0; i < length; ++i) x.push_back(static_cast<uint16_t>(draw.below(2)));
  return copied(x);
}

// BOS k v ... SEP k v ...: the same pairs again in another order; keys are letters 0 to 31, values 32 to 63.
Row recall(TaskDraw& draw, std::string_view) {
  Row keys(kLetters / 2);
  std::iota(keys.begin(), keys.end(), uint16_t{0});
  const auto shuffle = [&](Row& r, size_t first) {
    for (size_t i = 0; i < first; ++i) std::swap(r[i], r[i + static_cast<size_t>(draw.below(static_cast<int64_t>(r.size() - i)))]);
    r.resize(first);
  };
  shuffle(keys, kPairs);
  std::map<uint16_t, uint16_t> value;
  for (const uint16_t key : keys) value[key] = static_cast<uint16_t>(kLetters / 2 + draw.below(kLetters / 2));
  Row row{kBos};
  const auto say = [&] {
    for (const uint16_t key : keys) row.insert(row.end(), {key, value[key]});
  };
  say();
  row.push_back(kSeparator);
  shuffle(keys, kPairs);
  say();
  return row;
}

// ---- the list ----

struct Source {
  Task task;
  std::function<Split()> all;                                                 // a fixed set
  std::function<Row(uint64_t seed, std::string_view split, uint64_t n)> one;  // or an example at a time
};

auto drawn(std::string_view task, Row (*example)(TaskDraw& draw, std::string_view split)) {
  return [task, example](uint64_t seed, std::string_view split, uint64_t n) {
    TaskDraw draw(seed, task, split, n, kDrawsOfExample);
    return example(draw, split);
  };
}

std::vector<Source> make_sources() {
  const double of_residues = std::log(97.0), of_bits = std::log(2.0);
  // A residue is the answer of 97 pairs of the 97^2, but 0 that of 193 where two are multiplied or squared: 97 = 1 mod 4.
  const double of_even = 1.0 / 97, of_zero = 193.0 / 9409;
  const auto modular_task = [&](std::string_view name, std::string_view summary, double most_frequent, int64_t vocab = 101) {
    return Task{name, summary, 8, vocab, 4, 4, of_residues, 0, most_frequent, 1};
  };
  const auto formal_task = [&](std::string_view name, std::string_view summary, int64_t first, int64_t last, int64_t vocab = 101) {
    return Task{name, summary, static_cast<int64_t>(kFormalRow), vocab, first, last, of_bits, 0, 0.5, 1};
  };
  constexpr int64_t row = 2 * kLongest + 4, answer = kLongest + 1;
  // Which key is asked next is never known: log(8!) nats over eight keys and eight values.
  const double asked = std::lgamma(kPairs + 1.0) / (2 * kPairs), of_letters = std::log(kLetters / 2.0);
  double guessed = 0;  // share of the asked keys that a guess among those that are left hits
  for (size_t left = 1; left <= kPairs; ++left) guessed += 1.0 / static_cast<double>(left * kPairs);
  // Validation's words have 9 to 16 bits; what follows them of the 17 positions is the end, which the prompt's length tells.
  const double bits = 12.5 / 17;
  return {
      {modular_task("add97", "a + b mod 97, the published halves; rows of 8, answer at position 4: chance ln 97, oracle 0", of_even),
       [] { return modular(0); },
       {}},
      {modular_task("sub97", "a - b mod 97, the published halves; rows of 8, answer at position 4: chance ln 97, oracle 0", of_even),
       [] { return modular(1); },
       {}},
      {modular_task("mul97", "a b mod 97, the published halves; rows of 8, answer at position 4: chance ln 97, oracle 0", of_zero),
       [] { return modular(2); },
       {}},
      {modular_task("squares97", "a^2 + b^2 mod 97, the published halves; rows of 8, answer at position 4: chance ln 97, oracle 0",
                    of_zero),
       [] { return modular(3); },
       {}},
      {modular_task("add97-unordered", "add97 split by unordered pairs: no answer is the mirror image of a training example", of_even),
       [] { return unordered({0}, false); },
       {}},
      {modular_task("mul97-unordered", "mul97 split by unordered pairs", of_zero), [] { return unordered({2}, false); }, {}},
      {modular_task("arithmetic97", "add, sub, mul and squares, each with a symbol of its own, split by unordered pairs",
                    (of_even + of_zero) / 2, 104),
       [] { return unordered({0, 1, 2, 3}, true); },
       {}},
      {formal_task("parity8", "parity of 8 bits, the published halves; rows of 20, answer at position 9: chance ln 2, oracle 0", 9, 9),
       [] { return formal(8, parity); },
       {}},
      {formal_task("majority9", "majority of 9 bits, the published halves; rows of 20, answer at position 10", 10, 10),
       [] { return formal(9, majority); },
       {}},
      {formal_task("copy8", "8 bits said again, the published halves; rows of 20, answer at positions 9 to 16", 9, 16),
       [] { return formal(8, copy); },
       {}},
      {formal_task("reverse8", "8 bits backwards, the published halves; the prompt is copy8's", 9, 16),
       [] { return formal(8, [](const Row& w) { return reverse(w, kSeparator); }); },
       {}},
      {formal_task("reverse8-marked", "reverse8 with a separator of its own, so that one model can learn copy8 too", 9, 16, 102),
       [] { return formal(8, [](const Row& w) { return reverse(w, kReverse); }); },
       {}},
      {Task{"copy-string", "16 of 64 letters said again; rows of 36, answer at positions 17 to 32: chance ln 64, oracle 0", row, 101,
            answer, answer + static_cast<int64_t>(kLongest) - 1, std::log(static_cast<double>(kLetters)), 0, 1.0 / kLetters, 1},
       {},
       drawn("copy-string", copy_string)},
      {Task{"copy-length", "bits said again with the end: 1 to 8 in training, 9 to 16 in validation; rows of 36, positions 17 to 33", row,
            101, answer, answer + static_cast<int64_t>(kLongest), bits * of_bits, 0, bits * 0.5 + (1 - bits), 1},
       {},
       drawn("copy-length", copy_length)},
      {Task{"recall", "8 keys with values, then asked in another order; rows of 34, positions 17 to 32: the asked key is never known", 34,
            101, 17, 32, (asked + of_letters / 2), asked, (guessed + 2.0 / kLetters) / 2, (guessed + 1) / 2},
       {},
       drawn("recall", recall)},
      {Task{"digits",
            "images of a digit, 3 x 16 x 16 levels and the class; rows of 769, position 767: chance ln 10, oracle 0.50 (0.91 right)",
            image_row(kDigitSide), kImageVocab, image_row(kDigitSide) - 2, image_row(kDigitSide) - 2, std::log(10.0),
            -(0.91 * std::log(0.91) + 0.09 * std::log(0.01)), 0.1, 0.91},
       {},
       [](uint64_t seed, std::string_view split, uint64_t n) { return digit_image(seed, split, n).row; }},
  };
}

const std::vector<Source>& sources() {
  static const std::vector<Source> all = make_sources();
  return all;
}

const Source& source_of(const Task& task) {
  const auto found = std::find_if(sources().begin(), sources().end(), [&](const Source& s) { return s.task.name == task.name; });
  if (found == sources().end()) throw core::ConfigError("data", "no task '" + std::string(task.name) + "'");
  return *found;
}

const std::vector<Row>& examples_of(const Source& s, std::string_view split) {
  static std::mutex guard;
  static std::map<std::string_view, Split> made;
  const std::lock_guard lock(guard);
  auto found = made.find(s.task.name);
  if (found == made.end()) found = made.emplace(s.task.name, s.all()).first;
  return split == "val" ? found->second.val : found->second.train;
}

}  // namespace

std::vector<Task> tasks() {
  std::vector<Task> out;
  for (const Source& s : sources()) out.push_back(s.task);
  return out;
}

std::optional<Task> find_task(std::string_view name) {
  for (const Source& s : sources())
    if (s.task.name == name) return s.task;
  return std::nullopt;
}

std::vector<EmbeddedCorpus> task_corpora() {
  std::vector<EmbeddedCorpus> out;
  for (const Source& s : sources()) out.push_back({s.task.name.data(), s.task.summary.data()});
  return out;
}

uint64_t task_examples(const Task& task, std::string_view split) {
  const Source& s = source_of(task);
  return s.all ? examples_of(s, split).size() : 0;
}

std::vector<uint16_t> task_tokens(const Task& task, uint64_t seed, std::string_view split, size_t n) {
  const Source& s = source_of(task);
  std::vector<uint16_t> out;
  for (uint64_t i = 0; out.size() < n; ++i) {
    Row row;
    if (s.all) {
      const std::vector<Row>& all = examples_of(s, split);
      row = all[i % all.size()];
    } else {
      row = s.one(seed, split, i);
    }
    out.insert(out.end(), row.begin(), row.end());
  }
  out.resize(n);
  return out;
}

}  // namespace assay::data
