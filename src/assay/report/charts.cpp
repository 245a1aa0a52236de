#include "assay/report/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "assay/report/assets.h"
#include "assay/report/format.h"

namespace assay::report {
namespace {

using core::Value;

constexpr size_t kFailedPoints = 200;                      // of a failed member's line
constexpr double kBandOpacity = 0.2, kBandsOpacity = 1.2;  // of one band, and of all together
constexpr int64_t kRow = 46;                               // pixels of an arm in the forest plot
constexpr int64_t kLegendColumn = 160;                     // pixels of a name in a legend
constexpr double kCut = 2;                                 // intervals are drawn up to so many times the largest effect

Value spec_of(std::string_view text, const char* name) { return core::parse_json(text, name); }

Value object(std::initializer_list<std::pair<const char*, Value>> members) {
  Value v = Value::object();
  for (const auto& [key, value] : members) v[key] = value;
  return v;
}

Value or_null(const Number& v) { return v ? Value(*v) : Value(); }

// Five significant digits are more than a pixel shows, and a third of the bytes.
Value drawn(double v) { return std::isfinite(v) ? Value(std::stod(fmt::format("{:.5g}", v))) : Value(); }

Value& layer(Value& spec, size_t i) { return spec["layer"].as_array().at(i); }
void set_data(Value& part, Value rows) { part["data"]["values"] = std::move(rows); }

// A range of numbers that grows with what it is shown.
struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(const Number& v) {
    if (!v || !std::isfinite(*v)) return;
    low = std::min(low, *v);
    high = std::max(high, *v);
  }
  bool empty() const { return low > high; }
  Range padded(double share) const {
    const double pad = high > low ? share * (high - low) : std::max(1e-3, share * std::fabs(high));
    return {low - pad, high + pad};
  }
  Value domain() const { return Value::Array{low, high}; }
};

Range effect_range(const Campaign& c) {
  double largest = c.margin().value_or(0);
  for (const Arm& a : c.arms) largest = std::max(largest, std::fabs(a.effect.value_or(0)));
  const double limit = largest > 0 ? kCut * largest : 1;
  Range all;
  all.add(0);
  for (const Arm& a : c.arms) {
    if (!a.effect) continue;
    all.add(a.effect);
    if (!a.interval) continue;
    all.add(std::max(a.interval->lower.value_or(-largest), -limit));
    all.add(std::min(a.interval->upper.value_or(largest), limit));
  }
  if (const Number m = c.margin()) {
    all.add(-*m);
    all.add(m);
  }
  return all.high > all.low ? all.padded(0.06) : Range{-1, 1};
}

Value forest_row(const Arm& a, const Range& shown) {
  Value row = object({{"arm", a.name}, {"verdict", shown_verdict(a)}, {"effect", or_null(a.effect)}});
  row["effect_text"] = difference_text(a.effect);
  row["interval_text"] = interval_text(a.interval);
  row["note"] = a.verdict == "refused" ? "refused" : "no effect yet";
  row["left"] = -shown.low < shown.high;  // of the two sides of zero, the note takes the wider one
  if (!a.effect || !a.interval) return row;
  const double low = a.interval->lower.value_or(-std::numeric_limits<double>::infinity());
  const double high = a.interval->upper.value_or(std::numeric_limits<double>::infinity());
  row["low"] = std::max(low, shown.low);
  row["high"] = std::min(high, shown.high);
  row["cut_low"] = low < shown.low;
  row["cut_high"] = high > shown.high;
  return row;
}

// The control first, so that it is the grey of the palette, then the arms as the recipe has them.
Value arm_names(const Campaign& c) {
  Value names = Value::array();
  if (c.find(c.control)) names.push_back(c.control);
  for (const Arm& a : c.arms)
    if (!c.is_control(a)) names.push_back(a.name);
  return names;
}

Value band_rows(const std::vector<Series>& bands) {
  Value rows = Value::array();
  for (const Series& s : bands)
    for (const BandPoint& p : s.band)
      rows.push_back(
          object({{"arm", s.arm}, {"x", drawn(p.x)}, {"low", drawn(p.low)}, {"middle", drawn(p.middle)}, {"high", drawn(p.high)}}));
  return rows;
}

// Colours and dashes go by all arms, so that an arm has the same in every figure; the legend names those that are drawn.
void set_arms(Value& color, Value& dash, const Campaign& c, const std::vector<Series>& bands) {
  Value drawn_names = Value::array();
  const Value names = arm_names(c);
  for (const Value& name : names.as_array())
    if (std::any_of(bands.begin(), bands.end(), [&](const Series& s) { return s.arm == name.as_string(); })) drawn_names.push_back(name);
  for (Value* channel : {&color, &dash}) {
    (*channel)["scale"]["domain"] = names;
    (*channel)["legend"]["values"] = drawn_names;
  }
}

Value failed_rows(const Campaign& c, std::vector<Point> Member::*curve) {
  Value rows = Value::array();
  for (const Member& m : c.members) {
    if (m.status != "failed") continue;
    for (const Point& p : thinned(m.*curve, kFailedPoints))
      rows.push_back(object({{"arm", m.arm}, {"seed", m.seed}, {"x", drawn(p.tokens)}, {"loss", drawn(p.loss)}}));
  }
  return rows;
}

// A line's label goes to the side where the next line is farther away.
Value reference_rows(const Campaign& c) {
  Value rows = Value::array();
  for (const Reference& r : c.references) {
    double above = std::numeric_limits<double>::infinity(), below = above;
    for (const Reference& other : c.references) {
      if (other.value > r.value) above = std::min(above, other.value - r.value);
      if (other.value < r.value) below = std::min(below, r.value - other.value);
    }
    rows.push_back(object({{"label", r.name + " " + loss_text(r.value)}, {"value", r.value}, {"below", below > above}}));
  }
  return rows;
}

// The first twentieth of a training falls from so high that nothing else would be seen: it may leave the frame.
Range curve_range(const Campaign& c, const std::vector<Series>& bands, double last, bool references) {
  Range all;
  if (references)
    for (const Reference& r : c.references) all.add(r.value);
  for (const Series& s : bands)
    for (const BandPoint& p : s.band)
      if (p.x >= last / 20) all.add(p.low), all.add(p.high);
  return all.empty() ? Range{0, 1} : all.padded(0.08);
}

}  // namespace

std::string shown_verdict(const Arm& arm) { return arm.verdict.empty() ? "no verdict yet" : arm.verdict; }

std::vector<SeedValue> values_of(const Campaign& c, const Arm& arm) {
  std::map<int64_t, double> by_seed;
  for (const Member& m : c.members)
    if (m.arm == arm.name && m.value) by_seed[m.seed] = *m.value;
  for (const SeedValue& v : arm.values) by_seed[v.seed] = v.value;
  std::vector<SeedValue> out;
  for (const auto& [seed, value] : by_seed) out.push_back({seed, value});
  return out;
}

Value forest_chart(const Campaign& c) {
  Value spec = spec_of(assets::forest_chart(), "forest chart");
  const Range shown = effect_range(c);
  Value rows = Value::array(), names = Value::array();
  for (const Arm& a : c.arms) {
    if (c.is_control(a)) continue;
    rows.push_back(forest_row(a, shown));
    names.push_back(a.name);
  }
  spec["height"] = kRow * static_cast<int64_t>(rows.size());
  set_data(spec, std::move(rows));
  Value margin = Value::array();
  if (const Number m = c.margin()) margin.push_back(object({{"low", -*m}, {"high", *m}}));
  set_data(layer(spec, 0), std::move(margin));
  Value& x = spec["encoding"]["x"];
  x["scale"]["domain"] = shown.domain();
  spec["encoding"]["y"]["scale"]["domain"] = std::move(names);
  x["axis"]["title"] = "worse \xE2\x86\x90   " + c.sides() + ", " + c.unit() + "   \xE2\x86\x92 better";
  return spec;
}

Value slope_chart(const Campaign& c, const Arm& arm) {
  Value spec = spec_of(assets::slope_chart(), "slope chart");
  const Arm* control = c.find(c.control);
  Value rows = Value::array();
  if (!control) return spec;
  std::map<int64_t, double> at_control;
  for (const SeedValue& v : values_of(c, *control)) at_control[v.seed] = v.value;
  for (const SeedValue& v : values_of(c, arm)) {
    if (!at_control.contains(v.seed)) continue;
    const double difference = c.better_by(at_control[v.seed], v.value);
    const char* direction = difference > 0 ? "better" : difference < 0 ? "worse" : "equal";
    const auto row = [&](const std::string& side, double value) {
      rows.push_back(object({{"seed", v.seed},
                             {"side", side},
                             {"value", value},
                             {"text", loss_text(value)},
                             {"difference", difference_text(difference)},
                             {"direction", direction}}));
    };
    row(c.control, at_control[v.seed]);
    row(arm.name, v.value);
  }
  set_data(spec, std::move(rows));
  return spec;
}

Value curve_chart(const Campaign& c, const std::vector<Series>& bands, const Curve& curve) {
  Value spec = spec_of(assets::curve_chart(), "curve chart");
  double last = 0;
  for (const Series& s : bands) last = std::max(last, s.band.back().x);
  set_data(spec, band_rows(bands));
  for (const size_t i : {size_t{0}, size_t{4}, size_t{5}}) set_data(layer(spec, i), curve.references ? reference_rows(c) : Value::array());
  set_data(layer(spec, 3), failed_rows(c, curve.points));
  layer(spec, 1)["encoding"]["opacity"]["condition"]["value"] = std::min(kBandOpacity, kBandsOpacity / static_cast<double>(bands.size()));
  Value& encoding = spec["encoding"];
  encoding["x"]["scale"]["domain"] = Value::Array{0, last};
  encoding["x"]["axis"]["title"] = "tokens trained";
  encoding["y"]["scale"]["domain"] = curve_range(c, bands, last, curve.references).domain();
  encoding["y"]["axis"]["title"] = curve.axis;
  set_arms(encoding["color"], layer(spec, 2)["encoding"]["strokeDash"], c, bands);
  return spec;
}

Value agreement_chart(const Campaign& c, const std::vector<Series>& bands) {
  Value spec = spec_of(assets::agreement_chart(), "agreement chart");
  set_data(spec, band_rows(bands));
  set_arms(spec["encoding"]["color"], layer(spec, 1)["encoding"]["strokeDash"], c, bands);
  return spec;
}

Value tuning_chart(const Campaign& c, const std::string& option) {
  Value spec = spec_of(assets::tuning_chart(), "tuning chart");
  Value rows = Value::array();
  bool positive = true;
  for (const Arm& a : c.arms) {
    std::map<double, double> best;  // over the values of other options
    double chosen = std::numeric_limits<double>::quiet_NaN();
    if (!a.tuning) continue;
    for (const Trial& t : a.tuning->trials)
      for (const auto& [name, x] : t.values) {
        if (name != option || !t.mean) continue;
        const auto at = best.emplace(x, *t.mean).first;
        if (c.better_by(at->second, *t.mean) > 0) at->second = *t.mean;
        if (t.values == a.tuning->chosen) chosen = x;
      }
    for (const auto& [x, loss] : best) {
      positive = positive && x > 0;
      rows.push_back(object({{"arm", a.name}, {"x", x}, {"loss", drawn(loss)}, {"chosen", x == chosen}}));
    }
  }
  set_data(spec, std::move(rows));
  Value& encoding = spec["encoding"];
  if (!positive) encoding["x"]["scale"]["type"] = "linear";
  encoding["x"]["axis"]["title"] = option;
  encoding["y"]["axis"]["title"] = c.metric;
  const Value names = arm_names(c);
  encoding["color"]["scale"]["domain"] = names;
  layer(spec, 0)["encoding"]["strokeDash"]["scale"]["domain"] = names;
  return spec;
}

Value theme(const std::string& name) { return spec_of(assets::themes(), "themes").at(name); }

Value standalone(Value spec, int64_t width) {
  spec["width"] = width;
  spec["config"] = theme("light");
  spec["config"]["legend"]["columns"] = std::max<int64_t>(1, width / kLegendColumn);
  spec["background"] = "white";
  spec["padding"] = 8;
  return spec;
}

}  // namespace assay::report
