#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/random.h"

using namespace assay::core;

namespace {

using Block = std::array<uint32_t, 4>;

std::vector<uint64_t> all_of(const Permutation& p, uint64_t n) {
  std::vector<uint64_t> out;
  for (uint64_t i = 0; i < n; ++i) {
    out.push_back(p(i));
  }
  return out;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  double sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sa += a[i];
    sb += b[i];
    saa += a[i] * a[i];
    sbb += b[i] * b[i];
    sab += a[i] * b[i];
  }
  return (sab - sa * sb / n) / std::sqrt((saa - sa * sa / n) * (sbb - sb * sb / n));
}

std::vector<double> uniforms(const Stream& s, size_t n) {
  std::vector<double> out;
  for (size_t i = 0; i < n; ++i) {
    out.push_back(s.uniform(i));
  }
  return out;
}

}  // namespace

TEST_CASE("Philox gives the known answers of the Random123 distribution") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// Computed by a second implementation in another language. If one of these changes, no stored run can be repeated.
TEST_CASE("a stream's values are frozen") {
  const Stream s(1337, "order", 3);
  CHECK(s.block(5) == Block{0xffa869ae, 0x8693a6a4, 0xb0be1d24, 0x9a593164});
  CHECK(s.bits(5) == 0xffa869ae);
  CHECK(s.uniform(5) == 0x1.0d274d49ff50dp-1);
  CHECK(s.normal(5) == doctest::Approx(-0.9050730586122049).epsilon(1e-14));
  CHECK(s.below(5, 1000) == 525);
}

TEST_CASE("value i does not depend on what was asked before") {
  const Stream s(1, "init/x");
  const double seventh = s.uniform(7);
  s.normal(0);
  s.below(3, 10);
  CHECK(s.uniform(7) == seventh);
  CHECK(Stream(1, "init/x").uniform(7) == seventh);
}

TEST_CASE("indices and steps use all of their 64 bits") {
  const Stream s(1, "x", 1);
  CHECK(s.block(1) != s.block(1 | uint64_t{1} << 32));
  CHECK(s.block(1) != Stream(1, "x", 1 | uint64_t{1} << 32).block(1));
  CHECK(Stream(1, "x", 0).block(1) != Stream(1 | uint64_t{1} << 32, "x", 0).block(1));
  CHECK(Stream(1, "x", 2).block(3) != Stream(1, "x", 3).block(2));
}

TEST_CASE("uniform numbers have the moments of (0, 1) and fill its cells evenly") {
  constexpr size_t n = 200000;
  const auto u = uniforms(Stream(42, "uniform"), n);
  std::vector<int> cells(20, 0);
  double sum = 0, squares = 0;
  for (const double x : u) {
    REQUIRE(x > 0);
    REQUIRE(x < 1);
    sum += x;
    squares += x * x;
    ++cells[static_cast<size_t>(x * 20)];
  }
  CHECK(std::abs(sum / n - 0.5) < 4 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(squares / n - 1.0 / 3) < 4 * std::sqrt(4.0 / 45 / n));
  double chi2 = 0;
  for (const int c : cells) {
    chi2 += (c - n / 20.0) * (c - n / 20.0) / (n / 20.0);
  }
  CHECK(chi2 < 45);  // 19 degrees of freedom, p = 0.0007
}

TEST_CASE("normal numbers have the first four moments and the tails") {
  constexpr size_t n = 200000;
  const Stream s(42, "normal");
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  int beyond_two = 0;
  for (size_t i = 0; i < n; ++i) {
    const double x = s.normal(i);
    m1 += x / n;
    m2 += x * x / n;
    m3 += x * x * x / n;
    m4 += x * x * x * x / n;
    beyond_two += std::abs(x) > 2;
  }
  const double root = std::sqrt(static_cast<double>(n));
  CHECK(std::abs(m1) < 4 / root);
  CHECK(std::abs(m2 - 1) < 4 * std::sqrt(2.0) / root);
  CHECK(std::abs(m3) < 4 * std::sqrt(15.0) / root);
  CHECK(std::abs(m4 - 3) < 4 * std::sqrt(96.0) / root);
  CHECK(std::abs(beyond_two / double{n} - 0.0455003) < 4 * std::sqrt(0.0434) / root);
}

TEST_CASE("streams of other names, seeds and steps are independent") {
  constexpr size_t n = 20000;
  const auto base = uniforms(Stream(1, "init/a", 0), n);
  const Stream others[] = {Stream(1, "init/b", 0), Stream(2, "init/a", 0), Stream(1, "init/a", 1), Stream(1, "init/", 0)};
  for (const Stream& other : others) {
    CHECK(std::abs(correlation(base, uniforms(other, n))) < 4 / std::sqrt(double{n}));
  }
  auto lagged = uniforms(Stream(1, "init/a", 0), n + 1);
  lagged.erase(lagged.begin());
  CHECK(std::abs(correlation(base, lagged)) < 4 / std::sqrt(double{n}));
}

TEST_CASE("whole numbers below n are even for an n that is no power of two") {
  constexpr int draws = 70000;
  const Stream s(9, "below");
  std::vector<int> counts(7, 0);
  for (uint64_t i = 0; i < draws; ++i) {
    const uint64_t x = s.below(i, 7);
    REQUIRE(x < 7);
    ++counts[x];
  }
  double chi2 = 0;
  for (const int c : counts) {
    chi2 += (c - draws / 7.0) * (c - draws / 7.0) / (draws / 7.0);
  }
  CHECK(chi2 < 24);  // 6 degrees of freedom, p = 0.0005
}

TEST_CASE("whole numbers below a huge n reach both of its halves") {
  const Stream s(9, "below");
  constexpr uint64_t n = (uint64_t{1} << 63) + 1;
  int high = 0;
  for (uint64_t i = 0; i < 1000; ++i) {
    REQUIRE(s.below(i, n) < n);
    high += s.below(i, n) > n / 2;
  }
  CHECK(high > 400);
  CHECK(high < 600);
  CHECK(s.below(0, 1) == 0);
}

TEST_CASE("a permutation visits every position once") {
  for (const uint64_t n : {1, 2, 3, 4, 5, 16, 17, 100, 4096, 4097}) {
    CAPTURE(n);
    auto values = all_of(Permutation(n, 1337, "order", 2), n);
    std::sort(values.begin(), values.end());
    std::vector<uint64_t> identity(n);
    for (uint64_t i = 0; i < n; ++i) {
      identity[i] = i;
    }
    CHECK(values == identity);
  }
}

TEST_CASE("permutations differ by epoch, seed and name, and from the identity") {
  constexpr uint64_t n = 4097;
  const auto base = all_of(Permutation(n, 1, "order", 0), n);
  for (const auto& other :
       {all_of(Permutation(n, 1, "order", 1), n), all_of(Permutation(n, 2, "order", 0), n), all_of(Permutation(n, 1, "sample", 0), n)}) {
    uint64_t equal = 0;
    for (uint64_t i = 0; i < n; ++i) {
      equal += base[i] == other[i];
    }
    CHECK(equal < 10);  // 1 expected
  }
  uint64_t fixed = 0;
  for (uint64_t i = 0; i < n; ++i) {
    fixed += base[i] == i;
  }
  CHECK(fixed < 10);
}

TEST_CASE("all six orders of three come up equally often over the epochs") {
  constexpr uint64_t epochs = 6000;
  std::map<std::vector<uint64_t>, int> counts;
  for (uint64_t e = 0; e < epochs; ++e) {
    ++counts[all_of(Permutation(3, 5, "order", e), 3)];
  }
  CHECK(counts.size() == 6);
  for (const auto& [order, count] : counts) {
    CHECK(std::abs(count - 1000) < 130);  // 4.5 standard deviations
  }
}

// Frozen like the streams.
TEST_CASE("permutations are the same on every machine and for ever") {
  using Order = std::vector<uint64_t>;
  CHECK(all_of(Permutation(10, 1, "order", 0), 10) == Order{9, 7, 2, 4, 6, 8, 1, 0, 3, 5});
  CHECK(all_of(Permutation(10, 1, "order", 1), 10) == Order{9, 5, 8, 4, 3, 0, 7, 6, 2, 1});
  CHECK(all_of(Permutation(10, 2, "order", 0), 10) == Order{8, 4, 3, 2, 5, 0, 7, 1, 9, 6});
}

TEST_CASE("permutations beyond 32 bits are frozen too") {
  constexpr uint64_t sizes[] = {4294967297u, 1099511627776u, ~uint64_t{0}};
  constexpr uint64_t expected[][3] = {{1704588737u, 177098450u, 1488968425u},
                                      {421501471662u, 1079241173670u, 547517506978u},
                                      {14964021761451844889u, 8538132139006712339u, 8164064122757476754u}};
  for (size_t k = 0; k < 3; ++k) {
    const Permutation p(sizes[k], 7, "order", 2);
    CHECK(p(0) == expected[k][0]);
    CHECK(p(1) == expected[k][1]);
    CHECK(p(sizes[k] - 1) == expected[k][2]);
  }
}

TEST_CASE("a position outside a permutation is an error") {
  CHECK_THROWS_AS(Permutation(5, 1, "order", 0)(5), ConfigError);
  CHECK_THROWS_AS(Permutation(0, 1, "order", 0)(0), ConfigError);
}
