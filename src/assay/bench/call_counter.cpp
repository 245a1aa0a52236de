#include "assay/bench/call_counter.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <string_view>

namespace assay::bench {
namespace {

using at::Tensor;
using Schema = c10::FunctionSchema;

std::mutex guard;
WorkByName counted;

// Products, by where their left matrix stands among the arguments: its last size is the length of the sums.
struct Product {
  std::string_view name;
  size_t left;
};
constexpr std::array products{Product{"aten::mm", 0},      Product{"aten::bmm", 0},      Product{"mkldnn::_linear_pointwise", 0},
                              Product{"aten::mv", 0},      Product{"aten::addmm", 1},    Product{"aten::addmm_", 1},
                              Product{"aten::baddbmm", 1}, Product{"aten::baddbmm_", 1}, Product{"aten::_addmm_activation", 1}};

// Causal attention, by where q stands (k and v follow): products with the width of q and with that of v. The scores are computed anew in
// the backward passes.
struct Attention {
  std::string_view name;
  size_t q;
  double of_q, of_v;
};
constexpr std::array attentions{Attention{"aten::_scaled_dot_product_flash_attention", 0, 1, 1},
                                Attention{"aten::_scaled_dot_product_flash_attention_backward", 1, 3, 2},
                                Attention{"aten::_scaled_dot_product_efficient_attention", 0, 1, 1},
                                Attention{"aten::_scaled_dot_product_cudnn_attention", 0, 1, 1},
                                Attention{"assay::decay_attention", 0, 1, 1},
                                Attention{"assay::decay_attention_backward", 1, 3, 2}};

// Arguments that are written without being read, though their schemas say no more than that they change.
struct Overwritten {
  std::string_view name, argument;
};
constexpr std::array overwritten{Overwritten{"aten::copy_", "self"}, Overwritten{"aten::fill_", "self"}, Overwritten{"aten::zero_", "self"},
                                 Overwritten{"assay::adam_", "shadow"}};

template <class Table>
auto find(const Table& table, std::string_view name) {
  const auto at = std::find_if(table.begin(), table.end(), [&](const auto& row) { return row.name == name; });
  return at == table.end() ? nullptr : &*at;
}

// What a tensor keeps in memory: an expanded one less than its elements.
double bytes_of(const Tensor& t) {
  const auto all = static_cast<double>(t.numel()) * static_cast<double>(t.element_size());
  return t.has_storage() ? std::min(all, static_cast<double>(t.storage().nbytes())) : all;
}

template <class F>
void each_tensor(const c10::IValue& v, const F& f) {
  if (v.isTensor() && v.toTensor().defined()) f(v.toTensor());
  if (v.isTensorList())
    for (const Tensor& t : v.toTensorList())
      if (t.defined()) f(t);
}

bool allocates(std::string_view name) {
  return name.starts_with("aten::empty") || name.starts_with("aten::new_empty") || name == "aten::resize_" || name == "aten::set_";
}

bool makes_view(const Schema& s) {
  return std::any_of(s.returns().begin(), s.returns().end(),
                     [](const c10::Argument& r) { return r.alias_info() != nullptr && !r.alias_info()->isWrite(); });
}

// A call under way on this thread.
struct Call final : at::ObserverContext {
  Call* around = nullptr;
  bool has_schema = false, view = false, whole = false;  // whole: counted by a formula, and nothing below it
  bool within_whole = false, counted_below = false;
  double bytes = 0, largest = 0, flops_per_result = 0, flops = 0;
};
thread_local Call* innermost = nullptr;

void read_inputs(Call& call, const Schema& schema, std::string_view name, c10::ArrayRef<const c10::IValue> inputs) {
  const auto& arguments = schema.arguments();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const c10::Argument* a = i < arguments.size() ? &arguments[i] : nullptr;
    const bool written = a != nullptr && a->alias_info() != nullptr && a->alias_info()->isWrite();
    const bool only_written = written && (a->is_out() || std::any_of(overwritten.begin(), overwritten.end(), [&](const Overwritten& o) {
                                            return o.name == name && o.argument == a->name();
                                          }));
    each_tensor(inputs[i], [&](const Tensor& t) {
      call.bytes += bytes_of(t) * ((only_written ? 0 : 1) + (written ? 1 : 0));
      call.largest = std::max(call.largest, static_cast<double>(t.numel()));
    });
  }
  const auto tensor = [&](size_t i) { return i < inputs.size() && inputs[i].isTensor() ? inputs[i].toTensor() : Tensor(); };
  if (const Product* p = find(products, name)) {
    const Tensor left = tensor(p->left);
    if (left.defined() && left.dim() > 0) call.flops_per_result = 2.0 * static_cast<double>(left.size(-1));
    call.whole = true;
  }
  if (const Attention* a = find(attentions, name)) {
    const Tensor q = tensor(a->q), v = tensor(a->q + 2);
    if (q.defined() && v.defined() && q.dim() >= 3) {
      const double T = static_cast<double>(q.size(-2)), rows = static_cast<double>(q.numel()) / static_cast<double>(q.size(-1));
      call.flops = rows * T * (a->of_q * static_cast<double>(q.size(-1)) + a->of_v * static_cast<double>(v.size(-1)));
      call.whole = true;
    }
  }
}

std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& f) {
  auto call = std::make_unique<Call>();
  call->around = innermost;
  call->within_whole = innermost != nullptr && (innermost->within_whole || innermost->whole);
  innermost = call.get();
  const auto schema = f.operator_schema();
  if (!schema || call->within_whole) return call;
  call->has_schema = true;
  call->view = makes_view(*schema) || allocates(f.name());
  if (!call->view) read_inputs(*call, *schema, f.name(), f.inputs());
  return call;
}

void end(const at::RecordFunction& f, at::ObserverContext* context) {
  auto* call = static_cast<Call*>(context);
  innermost = call->around;
  const bool counts = call->has_schema && !call->view && !call->counted_below;
  if (counts) {
    const auto schema = f.operator_schema();
    double results = 0;
    for (size_t i = 0; i < f.outputs().size(); ++i) {
      const bool new_tensor = !schema || i >= schema->returns().size() || schema->returns()[i].alias_info() == nullptr;
      each_tensor(f.outputs()[i], [&](const Tensor& t) {
        if (new_tensor) call->bytes += bytes_of(t);
        if (i == 0) results += static_cast<double>(t.numel());
        call->largest = std::max(call->largest, static_cast<double>(t.numel()));
      });
    }
    if (call->flops == 0) call->flops = call->flops_per_result > 0 ? call->flops_per_result * results : call->largest;
    const std::lock_guard lock(guard);
    counted[f.name()].add({1, call->flops, call->bytes});
  }
  if (innermost != nullptr && (counts || call->counted_below)) innermost->counted_below = true;
}

}  // namespace

CallCounter::CallCounter() {
  take();
  handle_ = at::addGlobalCallback(
      at::RecordFunctionCallback(begin, end).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}));
}

CallCounter::~CallCounter() { at::removeCallback(handle_); }

WorkByName CallCounter::take() {
  const std::lock_guard lock(guard);
  return std::exchange(counted, {});
}

Work sum_of(const WorkByName& work) {
  Work sum;
  for (const auto& [name, w] : work) sum.add(w);
  return sum;
}

}  // namespace assay::bench
