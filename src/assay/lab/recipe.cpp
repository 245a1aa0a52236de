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
const std::vector<std::string> kArmKeys = {"name", "arch"};
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

using Path = core::TomlPlaces::Path;

Path operator+(Path path, const std::string& key) {
  path.push_back(key);
  return path;
}

std::string article(const Value& v) {
  const std::string kind = v.kind();
  return (std::string("aeiou").find(kind[0]) != std::string::npos ? "an " : "a ") + kind;
}

// One table of the recipe: its members by key, with messages that say where they stand.
class Table {
 public:
  Table(const Value& object, Path path, std::string context, const Recipe& recipe)
      : object_(object), path_(std::move(path)), context_(std::move(context)), recipe_(recipe) {}

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw core::ConfigError("recipe", recipe_.at(key.empty() ? path_ : path_ + key) + ": " + context_ + message);
  }

  const Value* find(const std::string& key) const { return object_.find(key); }
  const Value& wanted(const std::string& key) const {
    const Value* v = find(key);
    if (!v) fail("", "'" + key + "' is missing");
    return *v;
  }
  const Value::Object& members() const { return object_.as_object(); }
  const std::string& context() const { return context_; }
  Table table(const std::string& key, const std::string& context) const { return {wanted(key), path_ + key, context, recipe_}; }

  void require_known(const std::vector<std::string>& known) const {
    for (const auto& [key, value] : members())
      if (std::find(known.begin(), known.end(), key) == known.end()) fail(key, core::unknown_name("key", key, known));
  }

  std::string text(const std::string& key) const {
    const Value& v = wanted(key);
    if (!v.is_string()) fail(key, "'" + key + "' is " + article(v) + "; wanted text");
    if (has_control(v.as_string())) fail(key, "'" + key + "' holds a control character");
    return v.as_string();
  }

  // A name that becomes a directory and a word of a command line.
  std::string name(const std::string& key) const {
    std::string out = text(key);
    if (!is_word(out, "-.+") || out.size() > kMaxName)
      fail(key, "'" + key + "' is '" + core::printable(out, kMaxName) + "'; wanted 1 to " + std::to_string(kMaxName) +
                    " letters, digits and _ - . + that do not begin with a sign");
    return out;
  }

  std::string choice(const std::string& key, const std::vector<std::string>& known, const std::string& fallback) const {
    if (!find(key)) return fallback;
    std::string out = text(key);
    if (std::find(known.begin(), known.end(), out) == known.end()) fail(key, core::unknown_name(key, out, known));
    return out;
  }

  int64_t positive(const std::string& key) const {
    const Value& v = wanted(key);
    if (!v.is_int()) fail(key, "'" + key + "' is " + article(v) + "; wanted an integer");
    if (v.as_int() < 1) fail(key, "'" + key + "' is " + std::to_string(v.as_int()) + "; wanted at least 1");
    return v.as_int();
  }

  double number(const std::string& key) const {
    const Value& v = wanted(key);
    if (!v.is_number() || !std::isfinite(v.as_double())) fail(key, "'" + key + "' is " + article(v) + "; wanted a finite number");
    return v.as_double();
  }

  bool flag(const std::string& key) const {
    const Value& v = wanted(key);
    if (!v.is_bool()) fail(key, "'" + key + "' is " + article(v) + "; wanted true or false");
    return v.as_bool();
  }

  // A count n for 1, 2, ..., n, or a list.
  std::vector<int64_t> seeds(const std::string& key) const {
    if (wanted(key).is_array()) return listed_seeds(key);
    const int64_t n = positive(key);
    if (n > kMaxSeeds) fail(key, "'" + key + "' is " + std::to_string(n) + "; wanted at most " + std::to_string(kMaxSeeds));
    std::vector<int64_t> out;
    for (int64_t s = 1; s <= n; ++s) out.push_back(s);
    return out;
  }

 private:
  std::vector<int64_t> listed_seeds(const std::string& key) const {
    const Value::Array& list = wanted(key).as_array();
    if (list.empty()) fail(key, "'" + key + "' is an empty list; wanted at least one seed");
    if (list.size() > static_cast<size_t>(kMaxSeeds)) fail(key, "'" + key + "' lists more than " + std::to_string(kMaxSeeds) + " seeds");
    std::set<int64_t> seen;
    std::vector<int64_t> out;
    for (const Value& v : list) {
      if (!v.is_int() || v.as_int() < 0) fail(key, "'" + key + "' holds " + core::to_json(v) + "; wanted integers from 0");
      if (!seen.insert(v.as_int()).second) fail(key, "'" + key + "' holds " + core::to_json(v) + " twice");
      out.push_back(v.as_int());
    }
    return out;
  }

  const Value& object_;
  const Path path_;
  const std::string context_;
  const Recipe& recipe_;
};

// Reads a document into a recipe whose places are known already.
class Parser {
 public:
  Parser(const Value& document, Recipe& recipe) : r_(recipe), top_(document, {}, "", recipe) {}

  void run() {
    top_.require_known(kTopKeys);
    r_.name = top_.name("name");
    if (top_.find("question")) r_.question = top_.text("question");
    r_.seeds = top_.seeds("seeds");
    r_.tokens = top_.positive("tokens");
    if (top_.find("threads")) r_.threads = top_.positive("threads");
    read_rule();
    r_.metric = top_.choice("metric", kMetrics, r_.metric);
    if (top_.find("product")) r_.product = top_.name("product");
    read_arms();
    r_.control = top_.text("control");
    require_control();
  }

 private:
  void read_rule() {
    r_.rule = top_.choice("rule", kRules, r_.rule);
    r_.audit = top_.choice("audit", kAudits, r_.audit);
    const auto text = [&](const char* key) { return core::to_json(top_.wanted(key)); };
    if (top_.find("error_rate")) {
      r_.error_rate = top_.number("error_rate");
      if (!(r_.error_rate > 0 && r_.error_rate < 1))
        top_.fail("error_rate", "'error_rate' is " + text("error_rate") + "; wanted a number between 0 and 1, such as 0.05");
    }
    if (top_.find("smallest_effect")) {
      r_.smallest_effect = top_.number("smallest_effect");
      if (!(*r_.smallest_effect > 0))
        top_.fail("smallest_effect",
                  "'smallest_effect' is " + text("smallest_effect") + "; wanted a number above 0, in units of the metric");
    }
    if (top_.find("escape_threshold")) r_.escape_threshold = top_.number("escape_threshold");
    if (top_.find("futility")) r_.futility = top_.flag("futility");
    if (r_.futility && !r_.smallest_effect) top_.fail("futility", "'futility' needs 'smallest_effect', the advantage that it is about");
    if (top_.find("baselines")) r_.baselines = baselines();
  }

  std::vector<std::string> baselines() const {
    const Value& v = top_.wanted("baselines");
    std::vector<std::string> out;
    if (!v.is_array()) top_.fail("baselines", "'baselines' is " + article(v) + "; wanted a list such as [\"ngram:2\", \"ngram:5\"]");
    for (const Value& e : v.as_array()) {
      if (!e.is_string() || !e.as_string().starts_with("ngram:"))
        top_.fail("baselines", "'baselines' holds " + core::to_json(e) + "; wanted ngram:N");
      out.push_back(e.as_string());
    }
    return out;
  }

  void read_arms() {
    Value common = Value::object();
    if (const Value* v = top_.find("common")) {
      if (!v->is_object()) top_.fail("common", "'common' is " + article(*v) + "; wanted a table [common]");
      add_sections(common, top_.table("common", "[common]: "), {});
    }
    const Value& list = top_.wanted("arm");
    if (!list.is_array() || list.size() == 0) top_.fail("arm", "'arm' is " + article(list) + "; wanted tables [[arm]]");
    std::set<std::string> names;
    for (size_t i = 0; i < list.size(); ++i) {
      r_.arms.push_back(arm(list.as_array()[i], common, i));
      if (!names.insert(r_.arms.back().name).second)
        throw core::ConfigError("recipe", r_.at({"arm", std::to_string(i), "name"}) + ": two arms are named '" + r_.arms.back().name + "'");
    }
  }

  Arm arm(const Value& v, const Value& common, size_t i) const {
    const Path path = {"arm", std::to_string(i)};
    const std::string position = "[[arm]] " + std::to_string(i + 1) + ": ";
    if (!v.is_object()) throw core::ConfigError("recipe", r_.at(path) + ": " + position + "is " + article(v) + "; wanted a table [[arm]]");
    Arm out{Table(v, path, position, r_).name("name"), "", common};
    const Table t(v, path, "arm '" + out.name + "': ", r_);
    out.arch = t.text("arch");
    if (!is_word(out.arch, "-.+:"))
      t.fail("arch", "'arch' is '" + core::printable(out.arch, kMaxName) + "'; wanted the name of an architecture");
    add_sections(out.options, t, kArmKeys);
    return out;
  }

  // Every member of the table but `own`, as options.
  void add_sections(Value& options, const Table& t, const std::vector<std::string>& own) const {
    for (const auto& [section, v] : t.members()) {
      if (std::find(own.begin(), own.end(), section) != own.end()) continue;
      if (!is_word(section, "")) t.fail(section, "'" + core::printable(section, 80) + "' is no section name");
      if (!v.is_object()) {
        const std::string near = core::nearest(section, own);
        t.fail(section, "unknown key '" + section + "'" +
                            (near.empty() ? "; options are written section.option, such as optim.lr" : "; did you mean '" + near + "'?"));
      }
      const Table inner = t.table(section, t.context());
      for (const auto& [key, value] : v.as_object()) add_option(options, section, key, value, inner);
    }
  }

  static void add_option(Value& options, const std::string& section, const std::string& key, const Value& v, const Table& t) {
    const std::string path = section + "." + key;
    if (!is_word(key, "")) t.fail(key, "'" + core::printable(path, 80) + "' is no option name");
    for (const Owned& o : kOwned)
      if (path == o.option) t.fail(key, "'" + path + "' is set by the campaign; use " + o.instead + " at the top of the recipe");
    require_option_value(path, key, v, t);
    options[path] = v;
  }

  static void require_option_value(const std::string& path, const std::string& key, const Value& v, const Table& t) {
    if (v.is_string() && has_control(v.as_string())) t.fail(key, "'" + path + "' holds a control character");
    if (v.is_number() && !std::isfinite(v.as_double())) t.fail(key, "'" + path + "' is not finite");
    if (v.is_string() || v.is_bool() || v.is_number()) return;
    const bool integers = v.is_array() && std::all_of(v.as_array().begin(), v.as_array().end(), [](const Value& e) { return e.is_int(); });
    if (!integers) t.fail(key, "'" + path + "' is " + article(v) + "; wanted text, a number, true, false or a list of integers");
  }

  void require_control() const {
    std::vector<std::string> names;
    for (const Arm& a : r_.arms) names.push_back(a.name);
    if (std::find(names.begin(), names.end(), r_.control) == names.end())
      top_.fail("control", "'control' names no arm: " + core::unknown_name("arm", r_.control, names));
  }

  Recipe& r_;
  const Table top_;
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

std::string Recipe::at_option(const std::string& option) const {
  for (size_t i = 0; i < arms.size(); ++i) {
    const std::string prefix = "arm." + arms[i].name + ".";
    if (!option.starts_with(prefix)) continue;
    const std::string path = option.substr(prefix.size());
    const size_t dot = path.find('.');
    const Path arm = {"arm", std::to_string(i)};
    if (dot == std::string::npos) return at(arm + path);
    const Path own = arm + path.substr(0, dot) + path.substr(dot + 1), common = {"common", own[2], own[3]};
    return at(!places.has(own) && places.has(common) ? common : own);
  }
  return at(Path{option});
}

Recipe parse_recipe(std::string_view text, const std::string& where) {
  Recipe out;
  out.text = text;
  out.where = where;
  const Value document = core::parse_toml(text, where, out.places, {.bytes = kMaxBytes});
  Parser(document, out).run();
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
