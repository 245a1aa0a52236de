#pragma once
#include "assay/tensor/aten.h"
#include "assay/tensor/init.h"

namespace assay::tensor {

// How the optimizer treats one parameter; a property of the model, as its publication gives it.
struct Treatment {
  double lr_scale = 1, decay_scale = 1;  // factors on the run's learning rate and weight decay
  bool trained = true;                   // false: fixed, no gradient
  bool operator==(const Treatment&) const = default;
};

// The parameters of one model in one flat buffer, and their gradients in a second of the same layout, so that clipping, the optimizer
// and a checkpoint are one pass, and addresses stay fixed for a captured step. Named tensors are views.
//
// An architecture's constructor calls `add` for each parameter; `seal` then allocates the buffers, moves the initial values in and
// makes every tensor that `add` returned a view of them, on the device, with its gradient attached.
class Params {
 public:
  struct Entry {
    std::string name;
    std::vector<int64_t> shape;
    Init init;
    Treatment treatment;
    int64_t offset = 0, numel = 0;  // in elements of the flat buffer
    Tensor value;                   // leaf that requires a gradient where it is trained; view of `values()`
  };

  // What a model keeps between updates beside its parameters, such as a running statistic: not trained, kept in checkpoints. It has an
  // address and a buffer of its own, as the parameters' dtype, and changes in place.
  struct State {
    std::string name;
    Tensor value;
  };

  // dtype: at::kFloat, or at::kDouble for oracles.
  Params(at::Device device, at::ScalarType dtype, uint64_t seed) : device_(device), dtype_(dtype), seed_(seed) {}

  // ConfigError for a repeated name; logic error after `seal`. A shape of {} is a scalar.
  Tensor add(const std::string& name, std::vector<int64_t> shape, const Init& init, const Treatment& treatment = {});
  // The same for a state; every entry starts at `value`.
  Tensor add_state(const std::string& name, std::vector<int64_t> shape, double value);
  void seal();

  at::Device device() const { return device_; }
  at::ScalarType dtype() const { return dtype_; }
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view name) const;
  const std::vector<State>& states() const { return states_; }
  int64_t count() const;  // parameters, without padding

  // Flat buffers [padded size]; padding (each parameter starts on a 64-byte boundary) is zero and stays zero.
  Tensor& values() { return values_; }
  Tensor& grads() { return grads_; }
  Tensor like_values() const;                             // a zero buffer of the same layout (moments)
  Tensor view(const Tensor& flat, const Entry& e) const;  // e's part of such a buffer, in e's shape

 private:
  at::Device device_;
  at::ScalarType dtype_;
  uint64_t seed_;
  std::vector<Entry> entries_;
  std::vector<State> states_;
  Tensor values_, grads_;
};

}  // namespace assay::tensor
