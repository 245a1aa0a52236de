#pragma once
#include "assay/arch/architecture.h"

// What the parts of the decoder share. A part is a struct of options with its schema, its tensors and its equations, in a file of its own.
namespace assay::arch::decoder {

// Weight [out, in] and bias [out] of a linear map, or gain and bias of a norm; an undefined tensor is left out.
struct Affine {
  Tensor weight, bias;
};

// Adds the options of a part, a member of `T`, to those of the whole.
template <class T, class Part>
void append_options(std::vector<core::Field>& fields, Part T::*part) {
  for (core::Field f : Part::schema().fields()) {
    f.set = [set = f.set, part](void* whole, const core::Value& v) { set(&(static_cast<T*>(whole)->*part), v); };
    f.get = [get = f.get, part](const void* whole) { return get(&(static_cast<const T*>(whole)->*part)); };
    fields.push_back(std::move(f));
  }
}

// Scalars of a mixing rule (sort, blend, shift, pull): ten times the rate, no decay [components 3.3, 4.2].
inline constexpr tensor::Treatment kMixingScalar{.lr_scale = 10, .decay_scale = 0};
inline constexpr double kInitialMixing = -2;  // logit of the share: sigmoid(-2) = 0.1192

// What the constructor of a part asks for its tensors.
struct Builder {
  tensor::Params& params;
  tensor::Precision precision = tensor::Precision::fp32;
  bool bias = true;

  // Matrices start normal with 0.02 `scale`; biases uniform, as the published code leaves its framework's default in place [components 1.2].
  Affine linear(const std::string& name, int64_t out, int64_t in, double scale = 1) const;
  Tensor mixing_scalar(const std::string& name, double value, bool trained = true) const;
};

[[noreturn]] void refuse(const std::string& why);  // ConfigError

// x_{t-k}, zero where a row has no such position. x [B, T, ...]
Tensor earlier(const Tensor& x, int64_t k);

}  // namespace assay::arch::decoder
