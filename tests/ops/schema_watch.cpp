#include "ops/schema_watch.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/grad_mode.h>
#include <doctest/doctest.h>

#include <cstring>
#include <mutex>
#include <utility>

namespace assay::testing {
namespace {

using at::Tensor;
using c10::IValue;
using Stack = std::vector<IValue>;

struct Seen {
  std::string name;
  bool below;  // autograd: the kernel's own results, of which the op's autograd form may show fewer
  Stack inputs, results;
  std::vector<std::string> faults;
};

std::mutex guard;
std::vector<Seen> seen;
std::string watched;

// The bytes of a tensor's elements in their order, wherever it lies. NaNs count by their bits.
std::string bits_of(const Tensor& t) {
  const Tensor flat = t.detach().cpu().contiguous();
  return {static_cast<const char*>(flat.const_data_ptr()), static_cast<size_t>(flat.nbytes())};
}

bool written(const c10::Argument& a) { return a.alias_info() != nullptr && a.alias_info()->isWrite(); }
bool tensor(const IValue& v) { return v.isTensor() && v.toTensor().defined(); }

struct Call final : at::ObserverContext {
  Stack inputs;
  std::vector<std::string> before;  // bits of the arguments that must not change
  bool below = false, wants_gradient = false;
};

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& f) {
  const auto schema = f.operator_schema();
  if (!schema || !std::string_view(f.name()).starts_with(watched)) return nullptr;
  const at::RecordFunctionGuard unwatched(false);
  const at::NoGradGuard no_grad;
  auto call = std::make_unique<Call>();
  call->inputs.assign(f.inputs().begin(), f.inputs().end());
  call->below = c10::impl::tls_is_dispatch_key_excluded(c10::DispatchKey::AutogradCPU);
  call->before.resize(call->inputs.size());
  for (size_t i = 0; i < call->inputs.size(); ++i) {
    if (!tensor(call->inputs[i])) continue;
    const Tensor& t = call->inputs[i].toTensor();
    call->wants_gradient = call->wants_gradient || t.requires_grad();
    if (!t.is_meta() && !written(schema->arguments()[i])) call->before[i] = bits_of(t);
  }
  return call;
}

bool shares_memory(const Tensor& a, const Tensor& b) {
  return a.has_storage() && b.has_storage() && a.numel() > 0 && b.numel() > 0 && a.storage().nbytes() > 0 && a.is_alias_of(b);
}

void end(const at::RecordFunction& f, at::ObserverContext* context) {
  if (context == nullptr) return;
  const at::RecordFunctionGuard unwatched(false);
  const at::NoGradGuard no_grad;
  const auto& call = *static_cast<Call*>(context);
  const auto schema = f.operator_schema();
  Seen s{f.name(), call.below, call.inputs, f.outputs(), {}};
  const auto fault = [&](const std::string& text) { s.faults.push_back(s.name + ": " + text); };
  const auto argument = [&](size_t i) { return schema->arguments()[i].name(); };
  for (size_t i = 0; i < s.inputs.size(); ++i)
    if (tensor(s.inputs[i]) && !s.inputs[i].toTensor().is_meta() && !written(schema->arguments()[i]) &&
        bits_of(s.inputs[i].toTensor()) != call.before[i])
      fault("argument " + argument(i) + " changed, which the schema does not say");
  for (size_t r = 0; r < s.results.size(); ++r) {
    if (!tensor(s.results[r])) continue;
    const Tensor& result = s.results[r].toTensor();
    if (schema->returns()[r].alias_info() == nullptr) {
      for (size_t i = 0; i < s.inputs.size(); ++i)
        if (tensor(s.inputs[i]) && shares_memory(result, s.inputs[i].toTensor()))
          fault("result " + std::to_string(r) + " shares memory with argument " + argument(i));
      for (size_t other = 0; other < r; ++other)
        if (tensor(s.results[other]) && shares_memory(result, s.results[other].toTensor()))
          fault("results " + std::to_string(other) + " and " + std::to_string(r) + " share memory");
    }
  }
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(s.name.c_str(), "");
  const auto has = [&](c10::DispatchKey key) { return op.hasKernelForDispatchKey(key); };
  if (call.wants_gradient && !has(c10::DispatchKey::Autograd) && !has(c10::DispatchKey::CompositeImplicitAutograd))
    fault("an argument wants a gradient, and there is no kernel for autograd");
  const std::lock_guard lock(guard);
  seen.push_back(std::move(s));
}

Stack on_meta(const Stack& values) {
  Stack out;
  for (const IValue& v : values) out.push_back(tensor(v) ? IValue(v.toTensor().detach().to(at::Device(at::kMeta))) : v);
  return out;
}

// The op's Meta form on the shapes of the same arguments.
void compare_with_meta(Seen& s) {
  const at::AutoDispatchBelowADInplaceOrView below;
  const auto op = c10::Dispatcher::singleton().findSchemaOrThrow(s.name.c_str(), "");
  Stack stack = on_meta(s.inputs);
  op.callBoxed(&stack);
  const auto fault = [&](size_t r, const char* what) {
    s.faults.push_back(s.name + ": result " + std::to_string(r) + " has " + what + " than its Meta form");
  };
  for (size_t r = 0; r < s.results.size(); ++r) {
    if (tensor(s.results[r]) ? !tensor(stack.at(r)) : s.below && tensor(stack.at(r))) {
      fault(r, "another presence");
      continue;
    }
    if (!tensor(s.results[r])) continue;
    const Tensor &real = s.results[r].toTensor(), &meta = stack[r].toTensor();
    if (real.sizes() != meta.sizes()) fault(r, "other sizes");
    else if (real.numel() > 0 && real.strides() != meta.strides()) fault(r, "other strides");
    if (real.scalar_type() != meta.scalar_type()) fault(r, "another dtype");
  }
}

}  // namespace

SchemaWatch::SchemaWatch(std::string name) {
  watched = std::move(name);
  seen.clear();
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(begin, end).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}));
}

SchemaWatch::~SchemaWatch() { at::removeCallback(handle_); }

std::vector<std::string> SchemaWatch::faults(int64_t* count) {
  std::vector<Seen> calls;
  {
    const std::lock_guard lock(guard);
    calls = std::exchange(seen, {});
  }
  if (count != nullptr) *count = static_cast<int64_t>(calls.size());
  const at::RecordFunctionGuard unwatched(false);
  std::vector<std::string> out;
  for (Seen& s : calls) {
    bool meta = false;
    for (const IValue& v : s.inputs) meta = meta || (tensor(v) && v.toTensor().is_meta());
    if (!meta) compare_with_meta(s);
    out.insert(out.end(), s.faults.begin(), s.faults.end());
  }
  return out;
}

void SchemaWatch::check() {
  int64_t count = 0;
  for (const std::string& fault : faults(&count)) FAIL_CHECK(fault);
  CHECK(count > 0);
}

}  // namespace assay::testing
