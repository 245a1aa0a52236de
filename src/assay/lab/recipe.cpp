#include "assay/lab/recipe.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/name.h"
#include "assay/core/options.h"
#include "assay/stats/metric.h"

namespace assay::lab {
namespace {

using core::is_word;
using core::kMaxName;
using core::Value;

constexpr int64_t kMaxSeeds = 10000;
constexpr size_t kFewestValues = 3;   // of a grid: the best of two is always at an edge
constexpr size_t kMostTrials = 1000;  // of an arm
constexpr uint64_t kMaxBytes = uint64_t{1} << 20;

// Options of `train` that a campaign sets itself, and the recipe key to use instead.
struct Owned {
  const char* option;
  const char* instead;
};
constexpr Owned kOwned[] = {{"train.seed", "'seeds'"},      {"train.tokens", "'tokens'"},   {"train.steps", "'tokens'"},
                            {"train.seconds", "'seconds'"}, {"train.threads", "'threads'"}, {"train.product", "'product'"}};

const std::vector<std::string> kTopKeys = {"name",     "question", "seeds",     "control",    "metric",          "tokens",
                                           "seconds",  "match",    "rule",      "error_rate", "smallest_effect", "escape_threshold",
                                           "futility", "audit",    "baselines", "threads",    "product",         "tune",
                                           "common",   "arm",      "rung"};
const std::vector<std::string> kArmKeys = {"name", "arch", "change", "solve", "solve_multiple", "tune"};
const std::vector<std::string> kMatches = {"tokens", "flops", "parameters"};
const std::vector<std::string> kRules = {"sequential", "fixed"};
const std::vector<std::string> kAudits = {"quick", "full", "none"};

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
  Table table(const std::string& key, const std::string& context) const {
    const Value& v = wanted(key);
    if (!v.is_object()) fail(key, "'" + key + "' is " + article(v) + "; wanted a table");
    return {v, path_ + key, context, recipe_};
  }

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
    if (!core::is_name(out)) fail(key, "'" + key + "' is '" + core::printable(out, kMaxName) + "'; wanted " + core::kNameRule);
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

  std::vector<std::string> words(const std::string& key) const {
    const Value& v = wanted(key);
    std::vector<std::string> out;
    if (!v.is_array()) fail(key, "'" + key + "' is " + article(v) + "; wanted a list such as [\"arch\", \"model.n_layer\"]");
    for (const Value& e : v.as_array()) {
      if (!e.is_string() || !is_word(e.as_string(), "."))
        fail(key, "'" + key + "' holds " + core::to_json(e) + "; wanted names such as \"model.n_layer\"");
      out.push_back(e.as_string());
    }
    return out;
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
    read_budget();
    if (top_.find("threads")) r_.threads = top_.positive("threads");
    read_rule();
    read_metric();
    if (top_.find("product")) r_.product = top_.name("product");
    read_arms();
    r_.control = top_.text("control");
    require_control();
    read_tuning();
    require_solvable();
  }

 private:
  void read_metric() {
    std::vector<std::string> known;
    for (const stats::Metric& m : stats::metrics()) known.emplace_back(m.name);
    r_.metric = top_.choice("metric", known, r_.metric);
    if (r_.metric != "accuracy") return;
    if (top_.find("baselines") && !r_.baselines.empty())
      top_.fail("baselines",
                "'baselines' are losses of n-gram models; with metric = \"accuracy\" wanted none: tasks have chance and oracle");
    r_.baselines.clear();
  }

  void read_budget() {
    if (top_.find("tokens") && top_.find("seconds")) top_.fail("seconds", "'seconds' and 'tokens' are both there; wanted one budget");
    if (top_.find("seconds")) {
      r_.seconds = top_.number("seconds");
      if (!(r_.seconds > 0)) top_.fail("seconds", "'seconds' is " + core::to_json(top_.wanted("seconds")) + "; wanted a number above 0");
    } else {
      r_.tokens = top_.positive("tokens");
    }
    r_.match = top_.choice("match", kMatches, r_.match);
    if (r_.match == "flops" && r_.tokens == 0) top_.fail("match", "'match' is flops; wanted 'tokens', the control's, and not 'seconds'");
  }

  // Each arm but the control needs an option to solve for where parameters are matched, and none elsewhere.
  void require_solvable() const {
    for (const Arm& a : r_.arms) {
      const bool wanted = r_.match == "parameters" && a.base != r_.control;
      if (wanted == !a.solve.empty()) continue;
      const Path arm = {"arm", std::to_string(a.place)};
      throw core::ConfigError("recipe", r_.at(arm + "solve") + ": arm '" + a.name + "': " +
                                            (wanted ? "'solve' is missing: the option that matches its parameters to the control's"
                                                    : "'solve' is only for arms other than the control, with match = \"parameters\""));
    }
  }

  void read_tuning() {
    if (!top_.find("tune")) {
      for (const Arm& a : r_.arms)
        if (!a.grids.empty())
          throw core::ConfigError("recipe", r_.at({"arm", std::to_string(a.place), "tune"}) + ": arm '" + a.name +
                                                "': a grid without the table [tune], which names its seeds");
      return;
    }
    const Table t = top_.table("tune", "[tune]: ");
    r_.tune.seeds = t.seeds("seeds");
    for (const int64_t s : r_.tune.seeds)
      if (std::find(r_.seeds.begin(), r_.seeds.end(), s) != r_.seeds.end())
        t.fail("seeds", "'seeds' holds " + std::to_string(s) + ", a seed of the comparison; wanted others");
    if (t.find("tokens")) r_.tune.tokens = t.positive("tokens");
    const std::vector<Grid> shared = grids(t, {"seeds", "tokens"});
    size_t trials = 0;
    for (Arm& a : r_.arms) {
      const size_t own = add_shared(a, shared);
      if (&a == &r_.arms.front()) trials = own;
      if (own == 0 || own > kMostTrials || own != trials)
        throw core::ConfigError("recipe", r_.at({"arm", std::to_string(a.place), "tune"}) + ": arm '" + a.name +
                                              "': " + std::to_string(own) + " trials; wanted the same number for every arm (arm '" +
                                              r_.arms[0].name + "' has " + std::to_string(trials) + "), 1 to " +
                                              std::to_string(kMostTrials));
    }
  }

  // Adds the grids that the arm does not have itself; the number of its trials.
  static size_t add_shared(Arm& arm, const std::vector<Grid>& shared) {
    for (const Grid& g : shared)
      if (std::none_of(arm.grids.begin(), arm.grids.end(), [&](const Grid& own) { return own.option == g.option; })) arm.grids.push_back(g);
    size_t trials = arm.grids.empty() ? 0 : 1;
    for (const Grid& g : arm.grids) trials = std::min(trials * g.values.size(), kMostTrials + 1);
    return trials;
  }

  static std::vector<Grid> grids(const Table& t, const std::vector<std::string>& own) {
    std::vector<Grid> out;
    for (const auto& [section, v] : t.members()) {
      if (std::find(own.begin(), own.end(), section) != own.end()) continue;
      if (!v.is_object()) t.fail(section, core::unknown_name("key", section, own) + " (grids are written section.option = [...])");
      const Table inner = t.table(section, t.context());
      for (const auto& [key, values] : v.as_object()) out.push_back(grid(section + "." + key, key, values, inner));
    }
    return out;
  }

  static Grid grid(const std::string& option, const std::string& key, const Value& v, const Table& t) {
    Grid out{option, {}};
    for (const Owned& o : kOwned)
      if (option == o.option) t.fail(key, "'" + option + "' is set by the campaign and cannot be tuned");
    const bool numbers = v.is_array() && std::all_of(v.as_array().begin(), v.as_array().end(),
                                                     [](const Value& e) { return e.is_number() && std::isfinite(e.as_double()); });
    if (!numbers || v.size() < kFewestValues)
      t.fail(key, "'" + option + "' is " + core::to_json(v) + "; wanted a list of at least " + std::to_string(kFewestValues) +
                      " numbers, so that the best one can lie inside");
    for (const Value& e : v.as_array()) out.values.push_back(e.as_double());
    std::sort(out.values.begin(), out.values.end());
    if (std::adjacent_find(out.values.begin(), out.values.end()) != out.values.end()) t.fail(key, "'" + option + "' holds a value twice");
    return out;
  }

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
    if (top_.find("common")) add_sections(common, top_.table("common", "[common]: "), {});
    const Value& list = top_.wanted("arm");
    if (!list.is_array() || list.size() == 0) top_.fail("arm", "'arm' is " + article(list) + "; wanted tables [[arm]]");
    std::vector<Arm> written;
    for (size_t i = 0; i < list.size(); ++i) written.push_back(arm(list.as_array()[i], common, i));
    if (top_.find("rung")) climb(written);
    else r_.arms = std::move(written);
    std::set<std::string> names;
    for (const Arm& a : r_.arms)
      if (!names.insert(a.name).second)
        throw core::ConfigError("recipe", r_.at({"arm", std::to_string(a.place), "name"}) + ": two arms are named '" + a.name + "'");
  }

  // Every arm on every rung, with the rung's options over its own.
  void climb(const std::vector<Arm>& written) {
    const Value& list = top_.wanted("rung");
    if (!list.is_array() || list.size() == 0) top_.fail("rung", "'rung' is " + article(list) + "; wanted tables [[rung]]");
    for (size_t i = 0; i < list.size(); ++i) {
      const Path path = {"rung", std::to_string(i)};
      const Value& v = list.as_array()[i];
      if (!v.is_object()) throw core::ConfigError("recipe", r_.at(path) + ": is " + article(v) + "; wanted a table [[rung]]");
      const std::string name = Table(v, path, "[[rung]] " + std::to_string(i + 1) + ": ", r_).name("name");
      const Table t(v, path, "rung '" + name + "': ", r_);
      if (std::find(r_.rungs.begin(), r_.rungs.end(), name) != r_.rungs.end()) t.fail("name", "another rung has this name");
      r_.rungs.push_back(name);
      for (const Arm& a : written) r_.arms.push_back(on_rung(a, name, i, t));
      if (t.find("arm"))
        for (const auto& member : t.table("arm", t.context()).members()) {
          const std::string& arm = member.first;
          if (std::none_of(written.begin(), written.end(), [&](const Arm& a) { return a.name == arm; }))
            t.fail("arm", "'arm." + core::printable(arm, kMaxName) + "' names no arm");
        }
    }
  }

  Arm on_rung(const Arm& written, const std::string& rung, size_t place, const Table& t) const {
    Arm out = written;
    out.name = written.name + "-" + rung;
    out.rung = rung;
    out.rung_place = place;
    add_sections(out.options, t, {"name", "arm"});
    if (!t.find("arm")) return out;
    const Table arms = t.table("arm", t.context());
    if (arms.find(written.name)) add_sections(out.options, arms.table(written.name, t.context()), {});
    return out;
  }

  Arm arm(const Value& v, const Value& common, size_t i) const {
    const Path path = {"arm", std::to_string(i)};
    const std::string position = "[[arm]] " + std::to_string(i + 1) + ": ";
    if (!v.is_object()) throw core::ConfigError("recipe", r_.at(path) + ": " + position + "is " + article(v) + "; wanted a table [[arm]]");
    Arm out;
    out.name = out.base = Table(v, path, position, r_).name("name");
    out.options = common;
    out.place = i;
    const Table t(v, path, "arm '" + out.name + "': ", r_);
    out.arch = t.text("arch");
    if (!is_word(out.arch, "-.+:"))
      t.fail("arch", "'arch' is '" + core::printable(out.arch, kMaxName) + "'; wanted the name of an architecture");
    add_sections(out.options, t, kArmKeys);
    if (t.find("change")) out.change = t.words("change");
    if (t.find("solve")) out.solve = option_name(t, "solve");
    if (t.find("solve_multiple")) out.solve_multiple = t.positive("solve_multiple");
    if (t.find("tune")) out.grids = grids(t.table("tune", t.context()), {});
    return out;
  }

  static std::string option_name(const Table& t, const std::string& key) {
    std::string out = t.text(key);
    if (!is_word(out, ".") || std::count(out.begin(), out.end(), '.') != 1)
      t.fail(key, "'" + key + "' is '" + core::printable(out, kMaxName) + "'; wanted section.option, such as model.n_embd");
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
    for (const Arm& a : r_.arms) names.push_back(a.base);
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
  if (seconds > 0) out["seconds"] = seconds;  // what is absent was not asked for: older campaigns keep their hash
  if (match != "tokens") out["match"] = match;
  for (const std::string& r : rungs) out["rungs"].push_back(r);
  if (!tune.seeds.empty()) {
    Value tuned = Value::array();
    for (int64_t s : tune.seeds) tuned.push_back(s);
    out["tune.seeds"] = std::move(tuned);
    out["tune.tokens"] = tune.tokens;
  }
  Value all = Value::object();
  for (const Arm& a : arms) {
    Value one = Value::object();
    one["arch"] = a.arch;
    for (const auto& [path, value] : a.options.as_object()) one[path] = value;
    if (a.change) {
      one["change"] = Value::array();
      for (const std::string& c : *a.change) one["change"].push_back(c);
    }
    if (!a.solve.empty()) {
      one["solve"] = a.solve;
      one["solve_multiple"] = a.solve_multiple;
    }
    for (const Grid& g : a.grids) {
      Value values = Value::array();
      for (double x : g.values) values.push_back(x);
      one["tune." + g.option] = std::move(values);
    }
    all[a.name] = std::move(one);
  }
  out["arm"] = std::move(all);
  return out;
}

std::string Recipe::at_option(const std::string& option) const {
  const auto inside = [](Path path, const std::string& dotted) {
    for (size_t start = 0, end = 0; end != std::string::npos; start = end + 1) {
      end = dotted.find('.', start);
      path.push_back(dotted.substr(start, end == std::string::npos ? end : end - start));
    }
    return path;
  };
  for (const Arm& a : arms) {
    const std::string prefix = "arm." + a.name + ".";
    if (!option.starts_with(prefix)) continue;
    const std::string inner = option.substr(prefix.size());
    const Path own = inside({"arm", std::to_string(a.place)}, inner), rung = {"rung", std::to_string(a.rung_place)};
    const Path shared = inside(inner.starts_with("tune.") ? Path{} : Path{"common"}, inner);
    for (const Path& path : {inside(rung + "arm" + a.base, inner), inside(rung, inner), own, shared})
      if (places.has(path)) return at(path);
    return at(own);
  }
  return at(inside({}, option));
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
