#include "assay/train/session.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstring>

#include "assay/core/hash.h"
#include "assay/data/loader.h"
#include "assay/results/run_directory.h"
#include "assay/tensor/device.h"

namespace assay::train {

Machine prepare_machine(const TrainConfig& c) {
  Machine m;
  m.device = tensor::open_device(c.device);
  m.threads = c.threads > 0 ? c.threads : results::usable_cores();
  at::set_num_threads(static_cast<int>(m.threads));
  const tensor::ProductChoice choice = tensor::product_choice_from(c.product);
  tensor::set_product_choice(choice);
  m.product = tensor::name_of(choice);
  return m;
}

arch::Built build_model(const RunConfig& config, const Machine& machine, int64_t data_vocab) {
  arch::BuildOptions options;
  options.device = machine.device;
  options.precision = tensor::precision_from(config.train.precision);
  options.seed = static_cast<uint64_t>(config.train.seed);
  if (!config.train.init_salt.empty()) options.seed = core::hash64(config.train.init_salt, options.seed);
  return arch::build(*config.architecture, config.model_options(), {data_vocab, config.train.seq_len}, options);
}

Batch to_batch(const data::Rows& rows, const at::Device& device) {
  const auto tensor_of = [&](const std::vector<int64_t>& ids) {
    Tensor t = at::empty({rows.rows, rows.seq_len}, at::TensorOptions().dtype(at::kLong));
    std::memcpy(t.data_ptr<int64_t>(), ids.data(), ids.size() * sizeof(int64_t));
    return t.to(device);
  };
  return {tensor_of(rows.inputs), tensor_of(rows.targets)};
}

}  // namespace assay::train
