#include <algorithm>
#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/cli/show_parts.h"
#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::cli {
namespace {

using core::Value;

const char* kind_name(core::Field::Kind k) {
  switch (k) {
    case core::Field::Kind::boolean: return "boolean";
    case core::Field::Kind::integer: return "integer";
    case core::Field::Kind::number: return "number";
    case core::Field::Kind::text: return "text";
    case core::Field::Kind::integers: return "integers";
  }
  return "";
}

Value document_of(const arch::ArchInfo& a, train::RunConfig& config, int64_t vocab) {
  const arch::Dims dims{vocab, config.train.seq_len};
  const arch::Built built = arch::build(a, config.model_options(), dims, {});
  const arch::Cost cost = a.cost(config.model_options(), dims);
  Value v = Value::object();
  v["name"] = a.name;
  v["aliases"] = Value::array();
  for (const std::string& alias : arch::aliases_of(a)) v["aliases"].push_back(alias);
  v["family"] = a.family;
  v["mixer"] = a.mixer;
  v["transform"] = a.transform;
  v["summary"] = a.summary;
  v["source"] = a.source;
  v["equations"] = a.equations;
  v["notes"] = a.notes;
  v["presets"] = Value::array();
  for (const arch::Preset& preset : a.presets) {
    Value p = Value::object();
    p["name"] = preset.name;
    p["options"] = arch::preset_options(a, preset.name);
    v["presets"].push_back(p);
  }
  v["vocab_size"] = built.model->vocab_size();
  v["seq_len"] = config.train.seq_len;
  v["parameter_count"] = built.params->count();
  v["forward_flops_per_token"] = cost.forward_flops;
  v["training_flops_per_token"] = cost.training_flops;
  v["activation_bytes_per_token"] = cost.activation_bytes;
  v["parameters"] = Value::array();
  for (const auto& e : built.params->entries()) {
    Value p = Value::object();
    p["name"] = e.name;
    p["shape"] = Value::array();
    for (int64_t d : e.shape) p["shape"].push_back(d);
    v["parameters"].push_back(p);
  }
  v["options"] = Value::array();
  for (const core::Bound& section : config.settings.sections())
    for (const core::Field& f : section.schema().fields()) v["options"].push_back(option_document(section, f));
  return v;
}

void print_presets(const arch::ArchInfo& a) {
  if (a.presets.empty()) return;
  std::printf("presets (--preset NAME)\n");
  for (const arch::Preset& p : a.presets)
    std::printf("  %-12s %s\n", std::string(p.name).c_str(), p.options.empty() ? "the defaults" : std::string(p.options).c_str());
  std::printf("\n");
}

void print(const Value& v, const train::RunConfig& config) {
  std::printf("%s (%s)\n%s\n\n%s\n\n", v.at("name").as_string().c_str(), v.at("family").as_string().c_str(),
              v.at("summary").as_string().c_str(), v.at("equations").as_string().c_str());
  if (!v.at("notes").as_string().empty()) std::printf("%s\n\n", v.at("notes").as_string().c_str());
  std::printf("across positions: %s\nwithin a position: %s\nsource: %s\n\n", v.at("mixer").as_string().c_str(),
              v.at("transform").as_string().c_str(), v.at("source").as_string().c_str());
  std::printf("at V=%lld, T=%lld: %lld parameters, %.3g FLOP a token forward, %.3g in training, %.3g bytes of activations a token\n\n",
              static_cast<long long>(v.at("vocab_size").as_int()), static_cast<long long>(v.at("seq_len").as_int()),
              static_cast<long long>(v.at("parameter_count").as_int()), v.at("forward_flops_per_token").as_double(),
              v.at("training_flops_per_token").as_double(), v.at("activation_bytes_per_token").as_double());
  std::printf("parameters\n");
  for (const Value& p : v.at("parameters").as_array())
    std::printf("  %-40s %s\n", p.at("name").as_string().c_str(), shape_text(p.at("shape")).c_str());
  std::printf("\n");
  print_presets(*config.architecture);
  std::printf("options (KEY=VALUE)\n%s", config.settings.help().c_str());
}

// As arch::find_architecture, with components among the names that may have been meant.
const arch::ArchInfo& shown_architecture(const std::string& name) {
  std::vector<std::string> known, aliases;
  for (const arch::ArchInfo* a : arch::architectures()) {
    known.emplace_back(a->name);
    for (const std::string& alias : arch::aliases_of(*a)) aliases.push_back(alias);
  }
  for (const auto* c : arch::decoder::components()) known.emplace_back(c->name);
  const auto in = [&](const std::vector<std::string>& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (!in(known) && !in(aliases)) throw core::ConfigError("show", core::unknown_name("architecture or component", name, known, aliases));
  return arch::find_architecture(name);
}

}  // namespace

core::Value option_document(const core::Bound& section, const core::Field& f) {
  Value v = Value::object();
  v["name"] = section.schema().section() + "." + f.name;
  v["kind"] = kind_name(f.kind);
  v["default"] = f.default_value;
  v["value"] = section.get(f.name);
  v["min"] = f.min;  // null where unbounded
  v["max"] = f.max;
  v["choices"] = Value::array();
  for (const std::string& c : f.choices) v["choices"].push_back(c);
  v["environment"] = Value::array();
  for (const std::string& e : f.environment) v["environment"].push_back(e);
  v["help"] = f.help;
  return v;
}

std::string shape_text(const core::Value& shape) {
  std::string text = "[";
  for (const Value& d : shape.as_array()) text += (text.size() > 1 ? ", " : "") + std::to_string(d.as_int());
  return text + "]";
}

int run_show(const std::vector<std::string>& args) {
  CommandLine line("show",
                   "Equations, options, parameters and cost of an architecture, or of a component with its claim and its controls.");
  std::string name, preset;
  int64_t vocab = 1024;
  std::vector<std::string> assignments;
  line.positional("NAME", name, "architecture or component");
  declare_preset(line, preset);
  line.option("--vocab", vocab, "vocabulary of the data");
  line.assignments(assignments, "options, to see what they change");
  if (!line.parse(args)) return 0;
  if (vocab < 1 || vocab > 65536) throw core::ConfigError("show", "--vocab must be 1 to 65536, got " + std::to_string(vocab));
  if (const auto* component = arch::decoder::find_component(name)) {
    if (!preset.empty()) throw core::ConfigError("show", "'" + name + "' is a component; presets are an architecture's");
    show_component(*component, assignments, vocab, line.json);
    return 0;
  }
  const arch::ArchInfo& a = shown_architecture(name);
  train::RunConfig config(a);
  apply_preset(config, preset);
  for (const std::string& s : assignments) config.settings.set_assignment(s, core::Source::command_line);
  const Value v = document_of(a, config, vocab);
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v, config);
  return 0;
}

}  // namespace assay::cli
