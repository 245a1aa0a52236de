#include "assay/arch/architecture.h"

#include <sstream>
#include <stdexcept>

#include "assay/core/error.h"
#include "assay/layers/loss.h"

namespace assay::arch {

Tensor Model::loss(const Tensor& logits_BTV, const Tensor& targets_BT) {
  const int64_t T = targets_BT.size(1);
  const int64_t first = scored(T).first, counted = scored(T).second - first;
  const auto that_count = [&](const Tensor& t) { return counted == T ? t : t.narrow(1, first, counted); };
  const Tensor entropy = layers::cross_entropy(that_count(logits_BTV), that_count(targets_BT)), extra = extra_loss(targets_BT);
  return extra.defined() ? entropy + that_count(extra).mean() : entropy;
}

Tensor Model::next(const Tensor&, Memory&) { throw core::ConfigError("model", "this architecture cannot go on token by token"); }

Tensor Model::read_out(std::string_view, const Tensor&) { return {}; }

std::vector<std::string> aliases_of(const ArchInfo& a) {
  std::istringstream words{std::string(a.aliases)};
  return {std::istream_iterator<std::string>(words), {}};
}

const ArchInfo& find_architecture(std::string_view name) {
  std::vector<std::string> known, aliases;
  for (const ArchInfo* a : architectures()) {
    known.emplace_back(a->name);
    if (a->name == name) return *a;
    for (const std::string& alias : aliases_of(*a)) {
      if (alias == name) return *a;
      aliases.push_back(alias);
    }
  }
  throw core::ConfigError("model", core::unknown_name("architecture", name, known, aliases));
}

void require_option(const ArchInfo& a, std::string_view option) {
  if (a.schema().find(option) != nullptr) return;
  std::vector<std::string> known;
  for (const core::Field& f : a.schema().fields()) known.push_back(f.name);
  std::string owners;
  for (const ArchInfo* other : architectures())
    if (other->schema().find(option) != nullptr) owners += (owners.empty() ? "" : ", ") + std::string(other->name);
  throw core::ConfigError("model",
                          std::string(a.name) + (owners.empty() ? ": " + core::unknown_name("option", option, known)
                                                                : " has no option '" + std::string(option) + "'; " + owners + " has"));
}

core::Value complete_config(const ArchInfo& a, const core::Value& config) {
  core::Value all = core::Value::object();
  for (const core::Field& f : a.schema().fields()) all[f.name] = f.default_value;
  for (const auto& [name, value] : config.as_object()) {
    require_option(a, name);
    all[name] = core::checked(a.schema(), *a.schema().find(name), value);
  }
  return all;
}

const Preset* find_preset(const ArchInfo& a, std::string_view name) {
  for (const Preset& p : a.presets)
    if (p.name == name) return &p;
  return nullptr;
}

core::Value preset_options(const ArchInfo& a, std::string_view name) {
  const Preset* preset = find_preset(a, name);
  if (preset == nullptr) {
    std::vector<std::string> known;
    for (const Preset& p : a.presets) known.emplace_back(p.name);
    throw core::ConfigError("model", std::string(a.name) + (known.empty() ? " has no presets, '" + std::string(name) + "' came"
                                                                          : ": " + core::unknown_name("preset", name, known)));
  }
  core::Value options = core::Value::object();
  std::istringstream words{std::string(preset->options)};
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    const core::Field* f = a.schema().find(word.substr(0, equals));
    if (f == nullptr) throw std::logic_error(std::string(a.name) + ": a preset sets '" + word + "'");
    options[f->name] = core::checked(a.schema(), *f, core::Value(word.substr(equals + 1)));
  }
  return options;
}

Built build(const ArchInfo& a, const core::Value& config, const Dims& dims, const BuildOptions& options) {
  Built b;
  b.params = std::make_unique<tensor::Params>(options.device, options.dtype, options.seed);
  b.model = a.make(complete_config(a, config), dims, *b.params, options.precision);
  b.params->seal();
  return b;
}

}  // namespace assay::arch
