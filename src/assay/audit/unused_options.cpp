#include <algorithm>
#include <cmath>
#include <map>

#include "assay/audit/checks.h"
#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/tensor/failure.h"

namespace assay::audit {
namespace {

using core::Field;
using core::Value;

constexpr int64_t kVocab = 37, kLength = 12, kUpdates = 9;

std::string bytes_of(const Tensor& t) {
  const Tensor flat = t.detach().to(at::kCPU).contiguous();
  return {static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()};
}

// Everything that an option of the model could change: parameters with their initial values, logits and loss in both modes, the positions
// that count, the gradient, how the optimizer is to treat each parameter, what the model itself does around the updates of a short run - or
// the error that the options lead to.
class Behaviour {
 public:
  explicit Behaviour(const Subject& s) : s_(s) {}

  const std::string& of(const Value& options) {
    std::string& known = known_[core::to_json(options)];
    if (known.empty()) known = seen(options);
    return known;
  }

 private:
  std::string seen(const Value& options) const {
    try {
      arch::BuildOptions build;
      build.seed = s_.seed();
      const arch::Built b = arch::build(s_.arch(), options, {kVocab, kLength}, build);
      std::string all;
      for (const auto& e : b.params->entries())
        all += e.name + " " + bytes_of(e.value) + std::to_string(e.treatment.lr_scale) + " " + std::to_string(e.treatment.decay_scale);
      perturb(b, s_.seed(), "audit/options");
      const Tensor ids = s_.ids(2, kLength + 1, 61).remainder(kVocab).to(at::kCPU);
      const train::Batch batch{ids.narrow(1, 0, kLength).contiguous(), ids.narrow(1, 1, kLength).contiguous()};
      {
        const at::NoGradGuard no_grad;
        const Tensor logits = b.model->forward(batch.ids_BT);
        all += bytes_of(logits) + bytes_of(b.model->loss(logits, batch.targets_BT));
      }
      const auto [first, end] = b.model->scored(kLength);
      all += std::to_string(first) + " " + std::to_string(end);
      all += std::to_string(train::accumulate_gradients(b, {&batch, 1}, s_.training_pass(0))) + bytes_of(b.params->grads());
      for (const auto& e : b.params->entries())
        all += std::to_string(e.treatment.lr_scale) + " " + std::to_string(e.treatment.decay_scale) + (e.treatment.trained ? " 1 " : " 0 ");
      return core::hash128_hex(all + around_updates(b, batch));
    } catch (const std::exception& e) {  // a refusal is an effect
      return std::string("refused: ") + tensor::to_error(e).what();
    }
  }

  // Weights and statistics after updates in which a random change stands for the optimizer's.
  std::string around_updates(const arch::Built& b, const train::Batch& batch) const {
    for (int64_t n = 0; n < kUpdates; ++n) {
      {
        const at::NoGradGuard no_grad;
        b.model->before_update({n, kUpdates}, batch.ids_BT);
      }
      train::accumulate_gradients(b, {&batch, 1}, s_.training_pass(n));
      const at::NoGradGuard no_grad;
      b.model->adjust_gradients();
      perturb(b, s_.seed(), "audit/options/" + std::to_string(n));
      b.model->after_update({n, kUpdates});
    }
    std::string all = bytes_of(b.params->values()) + bytes_of(b.params->grads());
    for (const auto& s : b.params->states()) all += bytes_of(s.value);
    return all;
  }

  const Subject& s_;
  std::map<std::string, std::string> known_;
};

bool allowed(const Field& f, double x) { return x >= f.min && x <= f.max; }

// Other values of an option, near the one that it has.
std::vector<Value> alternatives(const Field& f, const Value& now) {
  std::vector<Value> out;
  switch (f.kind) {
    case Field::Kind::boolean: out.emplace_back(!now.as_bool()); break;
    case Field::Kind::integer:
      for (const int64_t x : {now.as_int() + 1, now.as_int() * 2, now.as_int() - 1, int64_t{2}, kVocab + 3, now.as_int() / 32})
        if (x != now.as_int() && allowed(f, static_cast<double>(x))) out.emplace_back(x);
      break;
    case Field::Kind::number:
      for (const double x : {now.as_double() * 0.5, now.as_double() + 0.25, now.as_double() * 1000, 0.1, 3.0})
        if (x != now.as_double() && allowed(f, x)) out.emplace_back(x);
      break;
    case Field::Kind::text:
      for (const std::string& choice : f.choices)
        if (choice != now.as_string()) out.emplace_back(choice);
      if (f.choices.empty()) out.emplace_back("no such value");
      break;
    case Field::Kind::integers: {
      Value longer = now, empty = Value::array();
      longer.push_back(int64_t{1});
      out = {longer, empty};
      break;
    }
  }
  return out;
}

Value with(Value options, const std::string& name, const Value& v) {
  options[name] = v;
  return options;
}

// Every other field, those first that share the beginning of their name: `sort_sim` needs `sort_window`.
std::vector<const Field*> companions(const std::vector<Field>& fields, const Field& f) {
  std::vector<const Field*> others;
  for (const Field& other : fields)
    if (other.name != f.name) others.push_back(&other);
  const auto shared = [&](const Field* other) {
    return std::mismatch(f.name.begin(), f.name.end(), other->name.begin(), other->name.end()).first - f.name.begin();
  };
  std::stable_sort(others.begin(), others.end(), [&](const Field* a, const Field* b) { return shared(a) > shared(b); });
  return others;
}

bool has_effect(Behaviour& behaviour, const Value& options, const Field& f) {
  const std::string before = behaviour.of(options);
  for (const Value& v : alternatives(f, options.at(f.name)))
    if (behaviour.of(with(options, f.name, v)) != before) return true;
  return false;
}

bool matters(Behaviour& behaviour, const std::vector<Field>& fields, const Value& options, const Field& f) {
  if (has_effect(behaviour, options, f)) return true;
  for (const Field* other : companions(fields, f))
    for (const Value& v : alternatives(*other, options.at(other->name)))
      if (has_effect(behaviour, with(options, other->name, v), f)) return true;
  return false;
}

}  // namespace

void check_options(const Subject& s, CheckResult& r) {
  r.note = "each option of the model changes something, alone or beside another one's change";
  Behaviour behaviour(s);
  const Value options = s.config().model_options(), defaults = arch::complete_config(s.arch(), Value::object());
  for (const Field& f : s.arch().schema().fields()) {
    if (f.neutral || matters(behaviour, s.arch().schema().fields(), options, f)) continue;
    // What is on may leave no place for what this option is about: it counts if the defaults do.
    if (!matters(behaviour, s.arch().schema().fields(), defaults, f))
      r.findings.push_back({"model." + f.name, "no value of this option changes parameters, results, loss or gradients"});
  }
}

}  // namespace assay::audit
