#include "assay/arch/architecture.h"

#include <sstream>

#include "assay/core/error.h"
#include "assay/layers/loss.h"

namespace assay::arch {

Tensor Model::loss(const Tensor& logits_BTV, const Tensor& targets_BT) {
  const int64_t T = targets_BT.size(1);
  const auto [first, end] = scored(T);
  if (first == 0 && end == T) return layers::cross_entropy(logits_BTV, targets_BT);
  return layers::cross_entropy(logits_BTV.narrow(1, first, end - first), targets_BT.narrow(1, first, end - first));
}

Tensor Model::read_out(std::string_view, const Tensor&) { return {}; }

std::vector<std::string> aliases_of(const ArchInfo& a) {
  std::istringstream words{std::string(a.aliases)};
  return {std::istream_iterator<std::string>(words), {}};
}

const ArchInfo& find_architecture(std::string_view name) {
  std::vector<std::string> known;
  for (const ArchInfo* a : architectures()) {
    known.emplace_back(a->name);
    if (a->name == name) return *a;
    for (const std::string& alias : aliases_of(*a))
      if (alias == name) return *a;
  }
  throw core::ConfigError("model", core::unknown_name("architecture", name, known));
}

core::Value complete_config(const ArchInfo& a, const core::Value& config) {
  core::Value all = core::Value::object();
  for (const core::Field& f : a.schema().fields()) all[f.name] = f.default_value;
  for (const auto& [name, value] : config.as_object()) {
    const core::Field* f = a.schema().find(name);
    if (f == nullptr) {
      std::vector<std::string> known;
      for (const core::Field& g : a.schema().fields()) known.push_back(g.name);
      throw core::ConfigError("model", std::string(a.name) + ": " + core::unknown_name("option", name, known));
    }
    all[name] = core::checked(a.schema(), *f, value);
  }
  return all;
}

Built build(const ArchInfo& a, const core::Value& config, const Dims& dims, const BuildOptions& options) {
  Built b;
  b.params = std::make_unique<tensor::Params>(options.device, options.dtype, options.seed);
  b.model = a.make(complete_config(a, config), dims, *b.params, options.precision);
  b.params->seal();
  return b;
}

}  // namespace assay::arch
