#pragma once
#include "assay/tensor/aten.h"

namespace assay::tensor {

// How a parameter starts. Values are functions of (seed, parameter name, flat index), drawn in double and rounded once.
struct Init {
  enum class Kind { constant, normal, uniform } kind = Kind::constant;
  double a = 0;  // constant: the value; normal: standard deviation; uniform: half-width
};
inline Init constant(double value) { return {Init::Kind::constant, value}; }
inline Init normal(double sd) { return {Init::Kind::normal, sd}; }
inline Init uniform(double half_width) { return {Init::Kind::uniform, half_width}; }

// Fills a contiguous CPU tensor of float or double from stream "init/<name>".
void fill(Tensor& t, const Init& init, uint64_t seed, std::string_view name);

}  // namespace assay::tensor
