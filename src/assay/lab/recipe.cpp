#include "assay/lab/recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/options.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr int64_t kMaxSeeds = 10000;
constexpr size_t kMaxName = 64;
constexpr uint64_t kMaxBytes = uint64_t{1} << 20;

// Options of `train` that a campaign sets itself, and the recipe key to use instead.
struct Owned {
  const char* option;
  const char* instead;
};
constexpr Owned kOwned[] = {{"train.seed", "'seeds'"},     {"train.tokens", "'tokens'"},   {"train.steps", "'tokens'"},
                            {"train.seconds", "'tokens'"}, {"train.threads", "'threads'"}, {"train.product", "'product'"}};

const std::vector<std::string> kTopKeys = {"name",      "question",   "seeds",           "control",          "metric",   "tokens",
                                           "rule",      "error_rate", "smallest_effect", "escape_threshold", "futility", "audit",
                                           "baselines", "threads",    "product",         "common",           "arm"};
const std::vector<std::string> kRules = {"sequential", "fixed"};
const std::vector<std::string> kAudits = {"quick", "full", "none"};
const std::vector<std::string> kMetrics = {"val_loss", "val_bits_per_byte", "train_loss"};

bool is_word(std::string_view text, std::string_view also) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && plain(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return plain(c) || also.find(c) != std::string_view::npos; });
}

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

class Parser {
 public:
  Parser(const Value& document, std::string where) : document_(document), where_(std::move(where)) {}

  Recipe run() {
    for (const auto& [key, value] : document_.as_object()) require_known(key, kTopKeys);
    Recipe r;
    r.name = name(document_, "name");
    if (document_.find("question")) r.question = text(document_, "question");
    r.seeds = seeds(wanted(document_, "seeds"));
    r.tokens = positive(wanted(document_, "tokens"), "tokens");
    if (const Value* v = document_.find("threads")) r.threads = positive(*v, "threads");
    read_rule(r);
    r.metric = choice("metric", kMetrics, r.metric);
    if (document_.find("product")) r.product = name(document_, "product");
    read_arms(r);
    r.control = text(document_, "control");
    require_control(r);
    return r;
  }

 private:
  [[noreturn]] void fail(const std::string& message) const { throw core::ConfigError("recipe", where_ + ": " + message); }

  void require_known(const std::string& key, const std::vector<std::string>& known) const {
    if (std::find(known.begin(), known.end(), key) == known.end()) fail(core::unknown_name("key", key, known));
  }

  const Value& wanted(const Value& object, const std::string& key, const std::string& context = "") const {
    const Value* v = object.find(key);
    if (!v) fail(context + "'" + key + "' is missing");
    return *v;
  }

  std::string text(const Value& object, const std::string& key, const std::string& context = "") const {
    const Value& v = wanted(object, key, context);
    if (!v.is_string()) fail(context + "'" + key + "' is " + article(v) + "; wanted text");
    if (has_control(v.as_string())) fail(context + "'" + key + "' holds a control character");
    return v.as_string();
  }

  // A name that becomes a directory and a word of a command line.
  std::string name(const Value& object, const std::string& key, const std::string& context = "") const {
    std::string out = text(object, key, context);
    if (!is_word(out, "-.+") || out.size() > kMaxName)
      fail(context + "'" + key + "' is '" + core::printable(out, kMaxName) + "'; wanted 1 to " + std::to_string(kMaxName) +
           " letters, digits and _ - . + that do not begin with a sign");
    return out;
  }

  std::string choice(const std::string& key, const std::vector<std::string>& known, const std::string& fallback) const {
    if (!document_.find(key)) return fallback;
    std::string out = text(document_, key);
    if (std::find(known.begin(), known.end(), out) == known.end()) fail(core::unknown_name(key, out, known));
    return out;
  }

  static std::string article(const Value& v) {
    const std::string kind = v.kind();
    return (std::string("aeiou").find(kind[0]) != std::string::npos ? "an " : "a ") + kind;
  }

  int64_t positive(const Value& v, const std::string& key) const {
    if (!v.is_int()) fail("'" + key + "' is " + article(v) + "; wanted an integer");
    if (v.as_int() < 1) fail("'" + key + "' is " + std::to_string(v.as_int()) + "; wanted at least 1");
    return v.as_int();
  }

  void read_rule(Recipe& r) const {
    r.rule = choice("rule", kRules, r.rule);
    r.audit = choice("audit", kAudits, r.audit);
    if (const Value* v = document_.find("error_rate")) {
      r.error_rate = number(*v, "error_rate");
      if (!(r.error_rate > 0 && r.error_rate < 1))
        fail("'error_rate' is " + core::to_json(*v) + "; wanted a number between 0 and 1, such as 0.05");
    }
    if (const Value* v = document_.find("smallest_effect")) {
      r.smallest_effect = number(*v, "smallest_effect");
      if (!(*r.smallest_effect > 0))
        fail("'smallest_effect' is " + core::to_json(*v) + "; wanted a number above 0, in units of the metric");
    }
    if (const Value* v = document_.find("escape_threshold")) r.escape_threshold = number(*v, "escape_threshold");
    if (const Value* v = document_.find("futility")) {
      if (!v->is_bool()) fail("'futility' is " + article(*v) + "; wanted true or false");
      r.futility = v->as_bool();
    }
    if (const Value* v = document_.find("baselines")) r.baselines = baselines(*v);
  }

  double number(const Value& v, const std::string& key) const {
    if (!v.is_number() || !std::isfinite(v.as_double())) fail("'" + key + "' is " + article(v) + "; wanted a finite number");
    return v.as_double();
  }

  std::vector<std::string> baselines(const Value& v) const {
    std::vector<std::string> out;
    if (!v.is_array()) fail("'baselines' is " + article(v) + "; wanted a list such as [\"ngram:2\", \"ngram:5\"]");
    for (const Value& e : v.as_array()) {
      if (!e.is_string() || !e.as_string().starts_with("ngram:")) fail("'baselines' holds " + core::to_json(e) + "; wanted ngram:N");
      out.push_back(e.as_string());
    }
    return out;
  }

  std::vector<int64_t> seeds(const Value& v) const {
    return v.is_array() ? listed_seeds(v.as_array()) : counted_seeds(positive(v, "seeds"));
  }

  std::vector<int64_t> counted_seeds(int64_t n) const {
    if (n > kMaxSeeds) fail("'seeds' is " + std::to_string(n) + "; wanted at most " + std::to_string(kMaxSeeds));
    std::vector<int64_t> out;
    for (int64_t s = 1; s <= n; ++s) out.push_back(s);
    return out;
  }

  std::vector<int64_t> listed_seeds(const Value::Array& list) const {
    if (list.empty()) fail("'seeds' is an empty list; wanted at least one seed");
    if (list.size() > static_cast<size_t>(kMaxSeeds)) fail("'seeds' lists more than " + std::to_string(kMaxSeeds) + " seeds");
    std::set<int64_t> seen;
    std::vector<int64_t> out;
    for (const Value& v : list) {
      if (!v.is_int() || v.as_int() < 0) fail("'seeds' holds " + core::to_json(v) + "; wanted integers from 0");
      if (!seen.insert(v.as_int()).second) fail("'seeds' holds " + core::to_json(v) + " twice");
      out.push_back(v.as_int());
    }
    return out;
  }

  void read_arms(Recipe& r) const {
    Value common = Value::object();
    if (const Value* v = document_.find("common")) {
      if (!v->is_object()) fail("'common' is " + article(*v) + "; wanted a table [common]");
      for (const auto& [key, section] : v->as_object()) add_section(common, key, section, "[common]: ");
    }
    const Value& list = wanted(document_, "arm");
    if (!list.is_array() || list.size() == 0) fail("'arm' is " + article(list) + "; wanted tables [[arm]]");
    for (const Value& v : list.as_array()) r.arms.push_back(arm(v, common, "[[arm]] " + std::to_string(r.arms.size() + 1) + ": "));
    std::set<std::string> names;
    for (const Arm& a : r.arms)
      if (!names.insert(a.name).second) fail("two arms are named '" + a.name + "'");
  }

  Arm arm(const Value& v, const Value& common, const std::string& position) const {
    if (!v.is_object()) fail(position + "is " + article(v) + "; wanted a table [[arm]]");
    Arm out{name(v, "name", position), "", common};
    const std::string context = "arm '" + out.name + "': ";
    out.arch = text(v, "arch", context);
    if (!is_word(out.arch, "-.+:"))
      fail(context + "'arch' is '" + core::printable(out.arch, kMaxName) + "'; wanted the name of an architecture");
    for (const auto& [key, section] : v.as_object())
      if (key != "name" && key != "arch") add_section(out.options, key, section, context);
    return out;
  }

  void add_section(Value& options, const std::string& section, const Value& v, const std::string& context) const {
    if (!is_word(section, "")) fail(context + "'" + core::printable(section, 80) + "' is no section name");
    if (!v.is_object()) {
      const std::string near = context[0] == '[' ? "" : core::nearest(section, {"name", "arch"});
      fail(context + "unknown key '" + section + "'" +
           (near.empty() ? "; options are written section.option, such as optim.lr" : "; did you mean '" + near + "'?"));
    }
    for (const auto& [key, value] : v.as_object()) add_option(options, section + "." + key, key, value, context);
  }

  void add_option(Value& options, const std::string& path, const std::string& key, const Value& v, const std::string& context) const {
    if (!is_word(key, "")) fail(context + "'" + core::printable(path, 80) + "' is no option name");
    for (const Owned& o : kOwned)
      if (path == o.option) fail(context + "'" + path + "' is set by the campaign; use " + o.instead + " at the top of the recipe");
    require_option_value(path, v, context);
    options[path] = v;
  }

  void require_option_value(const std::string& path, const Value& v, const std::string& context) const {
    if (v.is_string() && has_control(v.as_string())) fail(context + "'" + path + "' holds a control character");
    if (v.is_number() && !std::isfinite(v.as_double())) fail(context + "'" + path + "' is not finite");
    if (v.is_string() || v.is_bool() || v.is_number()) return;
    const bool integers = v.is_array() && std::all_of(v.as_array().begin(), v.as_array().end(), [](const Value& e) { return e.is_int(); });
    if (!integers) fail(context + "'" + path + "' is " + article(v) + "; wanted text, a number, true, false or a list of integers");
  }

  void require_control(const Recipe& r) const {
    std::vector<std::string> names;
    for (const Arm& a : r.arms) names.push_back(a.name);
    if (std::find(names.begin(), names.end(), r.control) == names.end())
      fail("'control' names no arm: " + core::unknown_name("arm", r.control, names));
  }

  const Value& document_;
  std::string where_;
};

}  // namespace

Value Recipe::document() const {
  Value out = Value::object();
  out["name"] = name;
  out["question"] = question;
  Value list = Value::array();
  for (int64_t s : seeds) list.push_back(s);
  out["seeds"] = std::move(list);
  out["control"] = control;
  out["metric"] = metric;
  out["tokens"] = tokens;
  out["threads"] = threads;
  out["rule"] = rule;
  out["error_rate"] = error_rate;
  out["smallest_effect"] = smallest_effect ? Value(*smallest_effect) : Value();
  out["escape_threshold"] = escape_threshold ? Value(*escape_threshold) : Value();
  out["futility"] = futility;
  out["audit"] = audit;
  Value lines = Value::array();
  for (const std::string& b : baselines) lines.push_back(b);
  out["baselines"] = std::move(lines);
  out["product"] = product;
  Value all = Value::object();
  for (const Arm& a : arms) {
    Value one = Value::object();
    one["arch"] = a.arch;
    for (const auto& [path, value] : a.options.as_object()) one[path] = value;
    all[a.name] = std::move(one);
  }
  out["arm"] = std::move(all);
  return out;
}

Recipe parse_recipe(std::string_view text, const std::string& where) {
  const Value document = core::parse_toml(text, where, {.bytes = kMaxBytes});
  Recipe out = Parser(document, where).run();
  out.text = text;
  return out;
}

Recipe read_recipe(const std::string& path) { return parse_recipe(core::read_file(path, kMaxBytes), path); }

std::string option_text(const Value& v) {
  if (v.is_string()) return v.as_string();
  if (!v.is_array()) return core::to_json(v);
  std::string out;
  for (const Value& e : v.as_array()) out += (out.empty() ? "" : ",") + core::to_json(e);
  return out;
}

}  // namespace assay::lab
