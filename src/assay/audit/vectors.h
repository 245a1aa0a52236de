#pragma once
#include <span>

#include "assay/audit/parity.h"
#include "assay/train/session.h"

namespace assay::audit {

// What the kinds of conformance files share.
class Vectors {
 public:
  explicit Vectors(const std::string& path);

  const std::string& path() const { return path_; }
  bool has(std::string_view name) const { return file_.find(name) != nullptr; }
  const core::SafeTensors& file() const { return file_; }
  Tensor at(std::string_view name, at::ScalarType dtype) const;   // on the CPU
  core::Value metadata(const std::string& key) const;             // parsed JSON; null where absent
  std::vector<std::string> names(std::string_view prefix) const;  // without the prefix, in file order

  // The architecture and its options, `more` of them in place of the file's; the model with param/* and state/* loaded. seq_len is the
  // longest that the file uses.
  arch::Built build(int64_t seq_len, const ParityOptions& options, const core::Value& more = core::Value::object()) const;
  // prefix + NAME into a flat buffer, for every parameter.
  void load(const tensor::Params& params, const Tensor& flat, const std::string& prefix) const;
  train::Batch batch(int64_t index, const ParityOptions& options) const;  // index < 0: two-dimensional ids
  // |result - stored| over all entries.
  Deviation compare(const std::string& name, const Tensor& result, double bound) const;
  double largest(std::string_view prefix) const;  // max |entry| of all tensors with the prefix

 private:
  std::string path_;
  core::SafeTensors file_;
};

// Member of an object of numbers.
double number(const core::Value& v, std::string_view key, double fallback);
// ConfigError where an optimizer's settings hold a key that is not known here.
void refuse_unknown(const core::Value& settings, const std::vector<std::string>& known, const std::string& path);

// Files of single functions ("fn_..."), by the beginning of their `case`.
struct FunctionReplay {
  std::string_view name;
  ParityReport (*run)(const Vectors& v, const ParityOptions& options);
};
std::span<const FunctionReplay> training_functions();
std::span<const FunctionReplay> decoder_functions();

ParityReport replay_model(const Vectors& v, const ParityOptions& options);
ParityReport replay_trajectory(const Vectors& v, const ParityOptions& options);
ParityReport replay_optimizer(const Vectors& v, const ParityOptions& options);

}  // namespace assay::audit
