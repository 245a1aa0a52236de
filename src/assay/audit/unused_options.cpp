#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <utility>

#include "assay/audit/checks.h"
#include "assay/core/error.h"
#include "assay/core/hash.h"
#include "assay/core/random.h"
#include "assay/tensor/failure.h"

namespace assay::audit {
namespace {

using core::Field;
using core::Value;

constexpr int64_t kVocab = 37, kLength = 12, kUpdates = 9;
constexpr std::ptrdiff_t kAlike = 4;  // letters
constexpr size_t kLikely = 4;         // fields
constexpr uint64_t kScattered = 40, kLargestScattered = 12;
constexpr int64_t kShrink = 32;  // what sizes are divided by where the model does not take so small a vocabulary

std::string bytes_of(const Tensor& t) {
  const Tensor flat = t.detach().to(at::kCPU).contiguous();
  return {static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()};
}

// What options are changed from, and the vocabulary that the model is built for.
struct Ground {
  Value options;
  int64_t vocab = kVocab;
};

bool builds(const Subject& s, const Ground& g) {
  try {
    arch::build(s.arch(), g.options, {g.vocab, kLength}, {});
    return true;
  } catch (const core::ConfigError&) {
    return false;
  }
}

bool allowed(const Field& f, double x) { return x >= f.min && x <= f.max; }

// The configured options; a window of 256 entries, say, does not fit into a small vocabulary: then with large sizes divided, and where that does not do
// either, with the vocabulary of the data.
Ground ground_of(const Subject& s, std::string& note) {
  const Ground configured{s.config().model_options()};
  if (builds(s, configured)) return configured;
  Ground small = configured;
  std::string changed;
  for (const Field& f : s.arch().schema().fields()) {
    if (f.kind != Field::Kind::integer) continue;
    const int64_t now = small.options.at(f.name).as_int();
    if (now <= kVocab || !allowed(f, static_cast<double>(now / kShrink))) continue;
    small.options[f.name] = now / kShrink;
    changed += (changed.empty() ? "; looked at with " : ", ") + f.name + "=" + std::to_string(now / kShrink);
  }
  if (builds(s, small)) {
    note += changed;
    return small;
  }
  return {configured.options, s.vocab()};
}

// Everything that an option of the model could change. At once: parameters with their initial values, logits and loss in both modes, the positions that
// count, the gradient, how the optimizer is to treat each parameter - or the error that the options lead to. Over a short run: what the model itself
// does around updates. The run costs many times the rest and is looked at only where the rest is alike.
class Behaviour {
 public:
  Behaviour(const Subject& s, int64_t vocab) : s_(s), vocab_(vocab) {}

  bool differs(const Value& a, const Value& b) {
    return known(at_once_, a, &Behaviour::at_once) != known(at_once_, b, &Behaviour::at_once) ||
           known(over_updates_, a, &Behaviour::over_updates) != known(over_updates_, b, &Behaviour::over_updates);
  }

 private:
  using Known = std::map<std::string, std::string>;  // options as JSON -> hash

  const std::string& known(Known& all, const Value& options, std::string (Behaviour::*look)(const Value&) const) {
    std::string& result = all[core::to_json(options)];
    if (!result.empty()) return result;
    try {
      result = core::hash128_hex((this->*look)(options));
    } catch (const std::exception& e) {  // a refusal is an effect
      result = std::string("refused: ") + tensor::to_error(e).what();
    }
    return result;
  }

  arch::Built build(const Value& options) const {
    arch::BuildOptions build;
    build.seed = s_.seed();
    return arch::build(s_.arch(), options, {vocab_, kLength}, build);
  }

  train::Batch batch() const {
    const Tensor ids = s_.ids(2, kLength + 1, 61).remainder(vocab_).to(at::kCPU);
    return {ids.narrow(1, 0, kLength).contiguous(), ids.narrow(1, 1, kLength).contiguous()};
  }

  std::string at_once(const Value& options) const {
    const arch::Built b = build(options);
    std::string all;
    for (const auto& e : b.params->entries())
      all += e.name + " " + bytes_of(e.value) + std::to_string(e.treatment.lr_scale) + " " + std::to_string(e.treatment.decay_scale);
    perturb(b, s_.seed(), "audit/options");
    const train::Batch batch = this->batch();
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
    return all;
  }

  // Weights and statistics after updates in which a random change stands for the optimizer's.
  std::string over_updates(const Value& options) const {
    const arch::Built b = build(options);
    perturb(b, s_.seed(), "audit/options");
    const train::Batch batch = this->batch();
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
  int64_t vocab_;
  Known at_once_, over_updates_;
};

// Other values of an option, near the one that it has.
std::vector<Value> alternatives(const Field& f, const Value& now) {
  std::vector<Value> out;
  switch (f.kind) {
    case Field::Kind::boolean: out.emplace_back(!now.as_bool()); break;
    case Field::Kind::integer:
      for (const int64_t x : {now.as_int() + 1, now.as_int() * 2, now.as_int() - 1, int64_t{2}, kVocab + 3, now.as_int() / kShrink})
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

// The words of a text, of four letters or more.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> all;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) word += c;
    else if (static_cast<std::ptrdiff_t>(word.size()) >= kAlike) all.insert(std::exchange(word, ""));
    else word.clear();
  }
  return all;
}

std::set<std::string> words_of(const Field& f) {
  std::string all = f.name + " " + f.help;
  for (const std::string& choice : f.choices) all += " " + choice;
  return words_of(all);
}

// Every other field: those that share the beginning of their name with `f`, such as `sort_window` with `sort_sim`; the few whose description has most
// words of f's, as `projection` has a choice `drift` and `drift_threshold` says of what it is; and the rest. The order saves time, no more.
struct Companions {
  std::vector<const Field*> alike, likely, others;
};

Companions companions(const std::vector<Field>& fields, const Field& f) {
  Companions all;
  const std::set<std::string> own = words_of(f);
  std::vector<std::pair<std::ptrdiff_t, const Field*>> rest;  // words in common
  for (const Field& other : fields) {
    if (other.name == f.name) continue;
    const auto shared = std::mismatch(f.name.begin(), f.name.end(), other.name.begin(), other.name.end()).first - f.name.begin();
    const std::set<std::string> words = words_of(other);
    if (shared >= kAlike) all.alike.push_back(&other);
    else rest.emplace_back(std::count_if(words.begin(), words.end(), [&](const std::string& w) { return own.count(w) != 0; }), &other);
  }
  std::stable_sort(rest.begin(), rest.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  for (const auto& [words, other] : rest) (words > 0 && all.likely.size() < kLikely ? all.likely : all.others).push_back(other);
  return all;
}

bool has_effect(Behaviour& behaviour, const Value& options, const Field& f) {
  const std::vector<Value> others = alternatives(f, options.at(f.name));
  return std::any_of(others.begin(), others.end(), [&](const Value& v) { return behaviour.differs(options, with(options, f.name, v)); });
}

bool has_effect_beside(Behaviour& behaviour, const Value& options, const Field& f, const std::vector<const Field*>& others) {
  for (const Field* other : others)
    for (const Value& v : alternatives(*other, options.at(other->name)))
      if (has_effect(behaviour, with(options, other->name, v), f)) return true;
  return false;
}

// The options with most of them moved at random, small sizes mostly: some effects need two others to be right, as an order of steps that matters only
// for certain numbers of steps and widths of windows.
Value scattered(const Subject& s, const Value& options, const Field& but, uint64_t draw) {
  Value all = options;
  const core::Stream stream(s.seed(), "audit/options/scattered", draw);
  uint64_t i = 0;
  for (const Field& f : s.arch().schema().fields()) {
    const uint64_t move = stream.below(i++, 4), which = stream.below(i++, kLargestScattered - 1);
    if (f.name == but.name || f.neutral || move == 0) continue;
    if (f.kind == Field::Kind::integer) {  // 0 means that the model chooses
      const auto x = static_cast<int64_t>(which) + 2;
      if (options.at(f.name).as_int() > 0 && allowed(f, static_cast<double>(x))) all[f.name] = x;
    } else if (f.kind == Field::Kind::boolean) {
      all[f.name] = which % 2 == 0;
    }
  }
  return all;
}

bool has_effect_scattered(const Subject& s, Behaviour& behaviour, const Value& options, const Field& f) {
  for (uint64_t draw = 0; draw < kScattered; ++draw)
    if (has_effect(behaviour, scattered(s, options, f, draw), f)) return true;
  return false;
}

bool matters(const Subject& s, Behaviour& behaviour, const Value& options, const Field& f, const Companions& beside) {
  return has_effect(behaviour, options, f) || has_effect_beside(behaviour, options, f, beside.alike) ||
         has_effect_beside(behaviour, options, f, beside.likely) || has_effect_scattered(s, behaviour, options, f) ||
         has_effect_beside(behaviour, options, f, beside.others);
}

}  // namespace

void check_options(const Subject& s, CheckResult& r) {
  r.note = "each option of the model changes something, alone or beside changes of others";
  const Ground ground = ground_of(s, r.note);
  Behaviour behaviour(s, ground.vocab);
  const Value &options = ground.options, defaults = arch::complete_config(s.arch(), Value::object());
  const auto& fields = s.arch().schema().fields();
  for (const Field& f : fields) {
    if (f.neutral) continue;
    const Companions beside = companions(fields, f);
    // What is on may leave no place for what this option is about: it counts if the defaults do.
    if (!matters(s, behaviour, options, f, beside) && !matters(s, behaviour, defaults, f, beside))
      r.findings.push_back({"model." + f.name, "no value of this option changes parameters, results, loss or gradients"});
  }
}

}  // namespace assay::audit
