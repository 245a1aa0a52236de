#include "assay/report/roofline.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "assay/core/hash.h"
#include "assay/report/assets.h"
#include "assay/report/format.h"

namespace assay::report {
namespace {

using core::Value;

constexpr double kLeastShare = 0.03;  // of the time: operators below it are not drawn
constexpr size_t kMostOperators = 6;
constexpr size_t kTableRows = 30;

double number(const Value& v, const char* key) { return v.at(key).as_double(); }
bool drawable(const Value& v) {
  return v.at("flops").is_number() && number(v, "flops") > 0 && number(v, "bytes") > 0 && number(v, "ms") > 0;
}

std::string decimals(double v, int n) { return fmt::format("{:.{}f}", v, n); }

// Names of C++ templates can be longer than the page is wide.
std::string shortened(std::string name) {
  constexpr size_t kLongest = 60;
  const std::pair<std::string, std::string> words[] = {
      {"torch::autograd::CppNode", "node "}, {"autograd::engine::evaluate_function: ", "around "}, {"(anonymous namespace)::", ""}};
  for (const auto& [from, to] : words)
    if (const size_t at = name.find(from); at != std::string::npos) name.replace(at, from.size(), to);
  return name.size() > kLongest ? name.substr(0, kLongest - 3) + "..." : name;
}

// One point: where its work places it, how fast it was, and which share of the ceiling above it that is.
Value point(const Value& profile, const Value& of, const std::string& kind) {
  const double flops = number(of, "flops"), bytes = number(of, "bytes"), ms = number(of, "ms"), x = flops / bytes, y = flops / ms / 1e6;
  const double ceiling = std::min(x * number(profile, "copy_gb_per_s"), number(profile, "product_gflops"));
  Value row = Value::object();
  row["name"] = of.at("name");
  row["kind"] = kind;
  row["x"] = x;
  row["y"] = y;
  row["size"] = kind == "phase" ? 190 : 80;
  row["ms"] = ms;
  row["share"] = decimals(100 * y / ceiling, 0) + " % of the ceiling";
  row["label"] = of.at("name").as_string() + ", " + decimals(ms, ms < 1 ? 3 : ms < 100 ? 1 : 0) + " ms";
  return row;
}

Value points_of(const Value& profile) {
  Value rows = Value::array();
  for (const Value& phase : profile.at("phases").as_array())
    if (drawable(phase)) rows.push_back(point(profile, phase, "phase"));
  size_t operators = 0;
  for (const Value& e : profile.at("entries").as_array())
    if (operators < kMostOperators && number(e, "share") >= kLeastShare && drawable(e)) {
      rows.push_back(point(profile, e, "operator"));
      ++operators;
    }
  return rows;
}

// Where a point stands in the picture, both from 0 to 1.
struct Frame {
  double x_low, x_high, y_low, y_high;
  double across(double x) const { return std::log(x / x_low) / std::log(x_high / x_low); }
  double up(double y) const { return std::log(y / y_low) / std::log(y_high / y_low); }
  double y_at(double height) const { return y_low * std::pow(y_high / y_low, height); }
};
struct Box {
  double left, right, height;
};

// Labels stand beside their points, on the side and as many lines higher or lower as it takes to cover nothing; a thin line leads to those that
// had to move.
constexpr double kLine = 0.042, kLetter = 0.0075, kPoint = 0.014;  // of the picture, of a width that screens have
double width_of(const std::string& label) { return kPoint + kLetter * static_cast<double>(label.size()); }
void place_labels(Value& rows, const Frame& frame, std::vector<Box> taken) {
  for (const Value& row : rows.as_array()) {
    const double x = frame.across(number(row, "x"));
    taken.push_back({x - kPoint, x + kPoint, frame.up(number(row, "y"))});
  }
  for (Value& row : rows.as_array()) {
    const double x = frame.across(number(row, "x")), height = frame.up(number(row, "y"));
    const double width = width_of(row.at("label").as_string());
    const auto box = [&](bool left, int step) {
      return Box{left ? x - width : x + kPoint, left ? x - kPoint : x + width, height + kLine * step};
    };
    const auto free = [&](const Box& b) {
      return b.left > 0 && b.right < 1 && b.height > 0 && std::none_of(taken.begin(), taken.end(), [&](const Box& t) {
               return std::abs(t.height - b.height) < kLine && t.left < b.right && b.left < t.right;
             });
    };
    bool left = x > 1 - width, found = false;
    Box chosen = box(left, 0);
    for (const int step : {0, -1, 1, -2, 2, -3, 3, -4, 4})
      for (const bool side : {false, true})
        if (!found && free(box(side, step))) chosen = box(side, step), left = side, found = true;
    taken.push_back(chosen);
    row["left"] = left;
    row["label_y"] = frame.y_at(chosen.height);
  }
}

Value corner(double x, double y) {
  Value v = Value::object();
  v["x"] = x;
  v["y"] = y;
  return v;
}

Table numbers(const Value& profile) {
  Table t{"roofline-phases",
          "Phases of one update",
          {{"phase"},
           {"ms", true},
           {"+-", true},
           {"FLOP", true},
           {"bytes", true},
           {"FLOP a byte", true},
           {"GFLOP/s", true},
           {"GB/s", true},
           {"floor, ms", true},
           {"floor / time", true}},
          {}};
  for (const Value& p : profile.at("phases").as_array())
    t.rows.push_back({p.at("name").as_string(), decimals(number(p, "ms"), 2),
                      p.at("spread_ms").is_number() ? decimals(number(p, "spread_ms"), 2) : "-", scaled_text(number(p, "flops")),
                      bytes_text(number(p, "bytes")), p.at("flops_per_byte").is_number() ? decimals(number(p, "flops_per_byte"), 2) : "-",
                      decimals(number(p, "gflops"), 1), decimals(number(p, "gb_per_s"), 1), decimals(number(p, "floor_ms"), 2),
                      decimals(100 * number(p, "floor_fraction"), 0) + " %"});
  return t;
}

Table entries(const Value& profile, bool kernels) {
  Table t{"roofline-entries",
          std::string(kernels ? "Kernels" : "Operators, by their own time") + ", a step",
          {{"name"}, {"ms", true}, {"share", true}, {"calls", true}, {"FLOP", true}, {"bytes", true}},
          {}};
  for (const Value& e : profile.at("entries").as_array()) {
    if (t.rows.size() == kTableRows) break;
    const auto known = [&](const char* key) { return e.at(key).is_number() ? Number(number(e, key)) : Number(); };
    t.rows.push_back({shortened(e.at("name").as_string()), decimals(number(e, "ms"), 3), decimals(100 * number(e, "share"), 1) + " %",
                      decimals(number(e, "calls"), 0), scaled_text(known("flops")), bytes_text(known("bytes"))});
  }
  return t;
}

}  // namespace

Value roofline_chart(const Value& profile) {
  Value spec = core::parse_json(assets::roofline_chart(), "roofline chart");
  const double copy = number(profile, "copy_gb_per_s"), product = number(profile, "product_gflops"), ridge = product / copy;
  Value rows = points_of(profile);
  double x_low = ridge / 10, x_high = ridge * 10, y_low = product / 100, y_high = product;
  for (const Value& r : rows.as_array()) {
    x_low = std::min(x_low, number(r, "x") / 2);
    x_high = std::max(x_high, number(r, "x") * 4);
    y_low = std::min(y_low, number(r, "y") / 2);
    y_high = std::max(y_high, number(r, "y"));
  }
  y_high *= 2.5;
  const Frame frame{x_low, x_high, y_low, y_high};
  const double top = frame.up(product);
  const std::string flat_text = "a large product, " + scaled_text(product * 1e9) + "FLOP/s";
  place_labels(rows, frame, {{frame.across(ridge), 1, top}, {frame.across(ridge), frame.across(ridge) + width_of(flat_text), top + kLine}});
  // The slope enters at the left or at the lower edge.
  const double x_first = std::max(x_low, y_low / copy);
  Value slope = Value::array(), flat = Value::array();
  slope.push_back(corner(x_first, x_first * copy));
  slope.push_back(corner(ridge, product));
  flat.push_back(corner(ridge, product));
  flat.push_back(corner(x_high, product));
  Value slope_label = corner(std::sqrt(x_first * ridge), std::sqrt(x_first * ridge) * copy), flat_label = corner(ridge, product);
  slope_label["text"] = "a copy, " + fmt::format("{:.4g}", copy) + " GB/s";
  flat_label["text"] = flat_text;
  auto& layers = spec["layer"].as_array();
  layers.at(0)["data"]["values"] = std::move(slope);
  layers.at(1)["data"]["values"] = std::move(flat);
  layers.at(2)["data"]["values"] = Value::Array{std::move(slope_label)};
  layers.at(3)["data"]["values"] = Value::Array{std::move(flat_label)};
  spec["data"]["values"] = std::move(rows);
  spec["encoding"]["x"]["scale"]["domain"] = Value::Array{x_low, x_high};
  spec["encoding"]["y"]["scale"]["domain"] = Value::Array{y_low, y_high};
  return spec;
}

Document roofline_document(const Value& profile) {
  const std::string name = profile.at("name").as_string(), device = profile.at("device").as_string();
  const bool kernels = device != "cpu";
  const auto whole = [&](const char* key) { return std::to_string(profile.at(key).as_int()); };
  Document d;
  d.kind = "profile of an update";
  d.command = "bench";
  d.name = name;
  d.title = name + ": where an update's time goes";
  d.identity = core::hash128_hex(core::to_json(profile));
  d.facts = {{"device", device},
             {"precision", profile.at("dtype").as_string()},
             {"batch", whole("batch") + " x " + whole("seq_len") + " tokens, vocabulary " + whole("vocab_size")},
             {"parameters", count_text(number(profile, "parameters"))},
             {"threads", whole("threads") + ", products by " + profile.at("product_backend").as_string()},
             {"FLOP by the cost formula", scaled_text(number(profile, "formula_flops"))}};
  Section roofline{"roofline", "Roofline", {}};
  roofline.blocks.emplace_back(Figure{
      "FLOP per byte that must move against FLOP per second that were reached, both on logarithmic scales. The lines are what this machine "
      "was measured to do: a copy, and one large product. Far below the lines is time that neither arithmetic nor memory explains; above "
      "the "
      "slope, data came from a cache.",
      {{"chart-roofline", "", "Each phase of the update under the two ceilings; the table has the numbers.", roofline_chart(profile)}},
      {numbers(profile)}});
  roofline.blocks.emplace_back(Paragraph{
      "Phases were run one after another with a wait for the device in between, launched call by call. FLOP and bytes are counted at "
      "torch's "
      "dispatcher: products 2 M N K, attention by formula, any other call one FLOP an element; each operand once. Loops outside of the "
      "dispatcher are not seen, so bytes are a lower bound."});
  Section rest{"entries", kernels ? "Kernels" : "Operators", {}};
  rest.blocks.emplace_back(entries(profile, kernels));
  d.sections = {std::move(roofline), std::move(rest)};
  return d;
}

}  // namespace assay::report
