#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "assay/report/curves.h"
#include "assay/report/escape.h"
#include "assay/report/format.h"

using namespace assay::report;

TEST_CASE("losses have four decimals, differences a sign and at least two significant digits") {
  CHECK(loss_text(1.23456) == "1.2346");
  CHECK(loss_text(std::nullopt) == "-");
  CHECK(loss_text(std::numeric_limits<double>::quiet_NaN()) == "-");
  CHECK(difference_text(0.04213) == "+0.0421");
  CHECK(difference_text(-0.000123) == "-0.00012");
  CHECK(difference_text(-0.0) == "+0.0000");
  CHECK(interval_text(Interval{-0.5, std::nullopt}) == "[-0.5000, +inf]");
  CHECK(interval_text(std::nullopt) == "-");
}

TEST_CASE("evidence beyond what a double holds is written as a power") {
  CHECK(evidence_text(123.456, std::log(123.456)) == "123");
  CHECK(evidence_text(std::numeric_limits<double>::max(), 812.5) == "exp(812.5)");
  CHECK(evidence_text(std::nullopt, std::nullopt) == "-");
}

TEST_CASE("counts, scales, bytes and times") {
  CHECK(count_text(1234567) == "1,234,567");
  CHECK(count_text(999) == "999");
  CHECK(count_text(-1234) == "-1,234");
  CHECK(scaled_text(1454745) == "1.455 M");
  CHECK(bytes_text(1536.0 * 1024) == "1.500 MiB");
  CHECK(seconds_text(725) == "12:05");
}

TEST_CASE("markup, scripts, formulas and commands in text are only text") {
  CHECK(html_text("<a href=\"x\">'&\x01") == "&lt;a href=&quot;x&quot;&gt;&#39;&amp;\\x01");
  CHECK(html_lines("a\n\tb<\x02") == "a\n\tb&lt;\\x02");
  CHECK(script_json(assay::core::Value("</script><!--&")) == "\"\\u003c/script\\u003e\\u003c!--\\u0026\"");
  CHECK(csv_text("=1+2") == "'=1+2");
  CHECK(csv_text("@x") == "'@x");
  CHECK(csv_text("-0.5") == "-0.5");
  CHECK(csv_text("-cmd|' /C calc'!A0") == "'-cmd|' /C calc'!A0");
  CHECK(csv_text("a,\"b\"") == "\"a,\"\"b\"\"\"");
  CHECK(shell_word("runs/demo-1") == "runs/demo-1");
  CHECK(shell_word("a'; rm -rf /") == "'a'\\''; rm -rf /'");
  CHECK(latex_text("[50% of $x_1^2$ {\\input}") == "{[}50\\% of \\$x\\_1\\textasciicircum{}2\\$ \\{\\textbackslash{}input\\}");
  CHECK(markdown_text("a|b [x](javascript:1) <i>") == "a\\|b \\[x\\](javascript:1) &lt;i&gt;");
}

TEST_CASE("base64 of the vectors of RFC 4648") {
  const char* vectors[][2] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) CHECK(base64(plain) == coded);
}

TEST_CASE("a band goes from the lowest to the highest run at each place") {
  const std::vector<Point> a = {{0, 5}, {10, 3}, {20, 2}}, b = {{0, 5.5}, {10, 2}, {20, 2.5}}, c = {{0, 6}, {10, 4}};
  const auto band = band_of({&a, &b, &c}, 100);
  REQUIRE(band.size() == 3);
  CHECK(band[0].low == 5);
  CHECK(band[0].middle == 5.5);
  CHECK(band[0].high == 6);
  CHECK(band[1].middle == 3);
  CHECK(band[2].seeds == 2);
  CHECK(band[2].middle == 2.25);
}

TEST_CASE("many places become bins whose means keep the course, and the last place stays") {
  std::vector<Point> run;
  for (int i = 0; i <= 2000; ++i) run.push_back({static_cast<double>(i), 10 - i * 0.004});
  const auto band = band_of({&run}, 100);
  CHECK(band.size() == 101);
  for (const BandPoint& p : band) CHECK(p.middle == doctest::Approx(10 - p.x * 0.004));
  CHECK(band.back().x == 2000);
}

TEST_CASE("a thinned line keeps its ends, its order and its peak") {
  std::vector<Point> line;
  for (int i = 0; i < 5000; ++i) line.push_back({static_cast<double>(i), i == 3210 ? 9.0 : std::sin(i * 0.01)});
  const auto thin = thinned(line, 100);
  REQUIRE(thin.size() == 100);
  CHECK(thin.front().tokens == 0);
  CHECK(thin.back().tokens == 4999);
  bool peak = false;
  for (size_t i = 0; i < thin.size(); ++i) {
    peak = peak || thin[i].loss == 9.0;
    if (i > 0) CHECK(thin[i].tokens > thin[i - 1].tokens);
  }
  CHECK(peak);
  CHECK(thinned(thin, 100).size() == 100);
  CHECK(thinned({}, 100).empty());
}
