#include <algorithm>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/report/campaign.h"
#include "assay/report/fields.h"
#include "assay/report/read_members.h"
#include "assay/stats/metric.h"

namespace assay::report {
namespace {

using core::Value;

constexpr uint64_t kLimit = uint64_t{64} << 20;

std::string required_one_of(const Fields& in, const char* key, std::initializer_list<const char*> words) {
  const std::string found = in.required_text(key);
  std::string wanted;
  for (const char* word : words) {
    if (found == word) return found;
    wanted += (wanted.empty() ? "" : ", ") + std::string(word);
  }
  in.fail(key, "wanted one of " + wanted + ", found '" + found + "'");
}

std::vector<SeedValue> seed_values(const Fields& in, const char* key, const char* member) {
  std::vector<SeedValue> out;
  for (const Fields& one : in.objects(key)) out.push_back({one.required_integer("seed"), one.required_number(member)});
  return out;
}

std::vector<Change> changes(const Fields& in, const char* key) {
  std::vector<Change> out;
  const auto side = [](const Fields& row, const char* name) { return row.find(name) ? value_text(*row.find(name)) : std::string(); };
  for (const Fields& row : in.objects(key)) out.push_back({row.required_text("option"), side(row, "a"), side(row, "b")});
  return out;
}

std::vector<Deviation> deviations(const Fields& in) {
  std::vector<Deviation> out;
  const std::vector<Change> edits = changes(in, "deviations");
  for (const Fields& row : in.objects("deviations"))
    out.push_back({edits[out.size()], row.flag("followed").value_or(false), row.text("at"), row.integer("done")});
  return out;
}

std::optional<Audit> audit_of(const Fields& in) {
  const auto found = in.object("audit");
  if (!found) return std::nullopt;
  Audit out;
  const auto pass = found->flag("pass");
  if (!pass) found->fail("pass", "missing; wanted true or false");
  out.pass = *pass;
  out.level = found->text("level");
  out.fingerprint = found->text("fingerprint");
  for (const Fields& row : found->objects("findings")) out.findings.push_back({row.text("check"), row.text("where"), row.text("message")});
  return out;
}

void read_verdict(Arm& arm, const Fields& in) {
  if (in.find("verdict"))
    arm.verdict = required_one_of(in, "verdict", {"better", "worse", "equivalent", "undecided", "refused", "control"});
  arm.sentence = in.text("sentence");
  arm.reason = in.text("reason");
  arm.effect_method = in.text("effect_method");
  arm.effect = in.number("effect");
  arm.interval = in.interval("interval");
  arm.interval_alone = in.interval("interval_alone");
  arm.level = in.number("level");
  arm.e_value = in.number("e_value");
  arm.log_e = in.number("log_e");
  arm.p_value = in.number("p_value");
  arm.p_holm = in.number("p_holm");
  arm.mean_difference = in.number("mean_difference");
  arm.hodges_lehmann = in.number("hodges_lehmann");
  arm.stated_rate = in.number("stated_rate");
  arm.seeds = in.integer("seeds");
  if (const auto gaussian = in.object("gaussian")) {
    arm.gaussian_e_value = gaussian->number("e_value");
    arm.gaussian_interval = gaussian->interval("interval");
  }
}

void read_costs(Arm& arm, const Fields& in) {
  arm.parameters = in.number("parameters");
  arm.training_flops_per_token = in.number("training_flops_per_token");
  arm.tokens_per_s = in.number("tokens_per_s");
  arm.peak_bytes = in.number("peak_bytes");
  arm.seconds = in.number("seconds");
  if (const auto pairing = in.object("pairing"))
    arm.pairing = Pairing{pairing->number("rho"), pairing->number("sd_difference"), pairing->number("seeds_ratio")};
}

std::vector<std::pair<std::string, double>> values_in(const Fields& in, const char* key) {
  std::vector<std::pair<std::string, double>> out;
  if (const auto found = in.object(key))
    for (const auto& [option, value] : in.find(key)->as_object()) out.emplace_back(option, found->required_number(option.c_str()));
  return out;
}

std::optional<Budget> budget_of(const Fields& in) {
  const auto found = in.object("budget");
  if (!found) return std::nullopt;
  Budget out{found->number("tokens"), found->number("seconds"), found->number("training_flops"), found->number("mismatch"), {}};
  if (found->object("solved"))
    for (const auto& [option, value] : found->find("solved")->as_object()) out.solved.emplace_back(option, value_text(value));
  return out;
}

std::optional<Tuning> tuning_of(const Fields& in) {
  const auto found = in.object("tuning");
  if (!found) return std::nullopt;
  Tuning out;
  for (const Fields& row : found->objects("trials")) {
    Trial t{values_in(row, "values"), {}, row.number("mean")};
    if (const Value* scores = row.find("scores"))
      for (const Value& s : scores->is_array() ? scores->as_array() : Value::Array())
        if (s.is_number()) t.scores.push_back(s.as_double());
    out.trials.push_back(std::move(t));
  }
  out.chosen = values_in(*found, "chosen");
  out.edge = found->text("edge");
  return out;
}

Arm arm_of(const Fields& in) {
  Arm arm;
  arm.name = in.required_text("name");
  arm.arch = in.text("arch");
  arm.rung = in.text("rung");
  read_verdict(arm, in);
  read_costs(arm, in);
  arm.n = in.integer("n").value_or(0);
  arm.mean = in.number("mean");
  arm.sd = in.number("sd");
  arm.values = seed_values(in, "values", "value");
  arm.differences = seed_values(in, "differences", "difference");
  arm.audit = audit_of(in);
  arm.change = changes(in, "change");
  arm.undeclared = changes(in, "undeclared");
  arm.derived = changes(in, "derived");
  arm.budget = budget_of(in);
  arm.tuning = tuning_of(in);
  if (const auto modes = in.object("modes"))
    arm.modes = Modes{modes->required_number("threshold"), modes->required_integer("escaped"), modes->required_integer("runs"),
                      modes->number("median_escaped"), modes->number("median_rest")};
  if (const auto noise = in.object("validation_noise"))
    arm.validation_noise = ValidationNoise{noise->number("seed_sd"), noise->number("text_sd"), noise->number("residual_sd"),
                                           noise->integer("seeds"), noise->integer("blocks")};
  return arm;
}

Member member_of(const Fields& in) {
  Member m;
  m.arm = in.required_text("arm");
  m.seed = in.required_integer("seed");
  m.status = required_one_of(in, "status", {"done", "failed", "interrupted", "unfinished", "waiting", "not_needed", "refused"});
  m.value = in.number("value");
  m.val_loss = in.number("val_loss");
  m.tokens = in.number("tokens");
  m.seconds = in.number("seconds");
  m.exit_code = in.integer("exit_code");
  m.error = in.text("error");
  return m;
}

// What results.json and the recipe in campaign.json both say.
void read_head(Campaign& c, const Fields& in) {
  const auto keep = [](std::string& old, std::string text) {
    if (!text.empty()) old = std::move(text);
  };
  keep(c.name, in.text("name"));
  keep(c.question, in.text("question"));
  keep(c.control, in.text("control"));
  keep(c.metric, in.text("metric"));
  keep(c.recipe_hash, in.text("recipe_hash"));
  keep(c.created, in.text("created"));
  keep(c.product_backend, in.text("product_backend"));
  if (const Number tokens = in.number("tokens")) c.tokens = tokens;
  if (const auto threads = in.integer("threads")) c.threads = threads;
  if (in.find("seeds")) c.seeds = in.integers("seeds");
}

void read_results(Campaign& c, const Value& v, const std::string& path) {
  const Fields in(v, path);
  read_head(c, in);
  c.rule = in.text("rule");
  c.match = in.text("match");
  c.rounds = in.integer("rounds");
  c.not_needed = in.integer("not_needed");
  if (const Value* design = in.find("design")) {
    const Fields of(*design, path, "design");
    for (const Fields& h : of.objects("hypotheses"))
      c.hypotheses.push_back({h.text("arm"), h.text("control"), h.text("metric"), h.text("unit"), h.number("margin"),
                              h.number("escape_threshold"), h.number("cap")});
    c.design = *design;
    c.design.erase("hypotheses");
  }
  if (const auto found = in.object("calibration"))
    c.calibration = Calibration{found->required_number("stated_rate"), found->required_number("false_rate"), found->text("noise"),
                                found->text("command"), found->integer("campaigns")};
  c.deviations = deviations(in);
  for (const Fields& r : in.objects("references"))
    c.references.push_back({r.required_text("name"), r.text("kind"), r.required_number("value")});
  c.arms.clear();
  for (const Fields& a : in.objects("arms")) c.arms.push_back(arm_of(a));
  for (const Fields& m : in.objects("members")) c.members.push_back(member_of(m));
}

void read_frozen_recipe(Campaign& c, const Value& v, const std::string& path) {
  const Fields in(v, path);
  if (const auto recipe = in.object("recipe")) {
    read_head(c, *recipe);
    if (const auto arms = recipe->object("arm"))
      for (const auto& [name, options] : recipe->find("arm")->as_object()) {
        Arm arm;
        arm.name = name;
        arm.arch = Fields(options, path, "recipe.arm." + name).text("arch");
        c.arms.push_back(std::move(arm));
      }
  }
  read_head(c, in);
}

std::vector<Fragment> read_fragments(const std::string& path) {
  std::vector<Fragment> out;
  if (!core::file_exists(path)) return out;
  const Value v = core::parse_json(core::read_file(path, kLimit), path, {.bytes = kLimit});
  if (!v.is_array()) throw core::DataError("report", path + ": wanted a list of {title, html}, found " + v.kind());
  const auto& list = v.as_array();
  for (size_t i = 0; i < list.size(); ++i) {
    const Fields in(list[i], path, "[" + std::to_string(i) + "]");
    out.push_back({in.required_text("title"), in.required_text("html")});
  }
  return out;
}

// Where nobody measured the references, the members know the entropy of what they were validated on.
void add_entropy(Campaign& c) {
  if (!c.compares_losses()) return;
  const auto known = [&] {
    return std::any_of(c.references.begin(), c.references.end(), [](const Reference& r) { return r.kind == "entropy"; });
  };
  for (const Member& m : c.members)
    if (m.entropy && !known()) c.references.push_back({"entropy", "entropy", *m.entropy});
}

}  // namespace

std::string value_text(const Value& v) { return v.is_string() ? v.as_string() : core::to_json(v); }

const Arm* Campaign::find(const std::string& arm) const {
  const auto at = std::find_if(arms.begin(), arms.end(), [&](const Arm& a) { return a.name == arm; });
  return at == arms.end() ? nullptr : &*at;
}

int64_t Campaign::count(const std::string& status) const {
  return std::count_if(members.begin(), members.end(), [&](const Member& m) { return m.status == status; });
}

Number Campaign::margin() const {
  const core::Value* own = design.find("margin");
  if (own && own->is_number()) return own->as_double();
  if (hypotheses.empty()) return std::nullopt;
  const Number first = hypotheses.front().margin;
  return std::all_of(hypotheses.begin(), hypotheses.end(), [&](const Hypothesis& h) { return h.margin == first; }) ? first : std::nullopt;
}

bool Campaign::finished() const {
  const bool judged = std::none_of(arms.begin(), arms.end(), [&](const Arm& a) { return a.verdict.empty() && !is_control(a); });
  return !members.empty() && judged && count("waiting") + count("unfinished") + count("interrupted") == 0;
}

std::string Campaign::unit() const {
  if (metric == "accuracy") return "accuracy";
  return metric == "val_bits_per_byte" ? "bits per byte" : "nats";
}

bool Campaign::higher_is_better() const { return stats::metric_named(metric).higher_is_better; }
double Campaign::better_by(double of_control, double of_arm) const {
  return higher_is_better() ? of_arm - of_control : of_control - of_arm;
}
std::string Campaign::sides() const { return higher_is_better() ? "arm - " + control : control + " - arm"; }
bool Campaign::compares_losses() const { return unit() == "nats"; }

Campaign read_campaign(const std::string& directory) {
  const std::string frozen = directory + "/campaign.json", results = directory + "/results.json", recipe = directory + "/recipe.toml";
  if (!core::file_exists(frozen) && !core::file_exists(results))
    throw core::ConfigError("report", directory + ": holds neither results.json nor campaign.json; wanted the directory of a campaign");
  Campaign c;
  c.directory = directory;
  c.design = Value::object();
  if (core::file_exists(frozen))
    read_frozen_recipe(c, core::parse_json(core::read_file(frozen, kLimit), frozen, {.bytes = kLimit}), frozen);
  if (core::file_exists(results)) {
    c.results = core::read_file(results, kLimit);
    read_results(c, core::parse_json(c.results, results, {.bytes = kLimit}), results);
  }
  if (core::file_exists(recipe)) c.recipe = core::read_file(recipe, kLimit);
  c.fragments = read_fragments(directory + "/lens.json");
  read_member_files(c);
  add_entropy(c);
  return c;
}

}  // namespace assay::report
