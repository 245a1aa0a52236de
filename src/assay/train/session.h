#pragma once
#include "assay/data/loader.h"
#include "assay/train/run_config.h"

namespace assay::train {

// Device, threads and product library as a configuration asks for them; process-wide.
struct Machine {
  at::Device device = at::kCPU;
  int64_t threads = 0;
  std::string product;  // resolved: never "auto"
};
Machine prepare_machine(const TrainConfig& c);

// Model and parameters for a configuration and a data vocabulary.
arch::Built build_model(const RunConfig& config, const Machine& machine, int64_t data_vocab);

// One micro-batch on the device.
struct Batch {
  Tensor ids_BT, targets_BT;
};
Batch to_batch(const data::Rows& rows, const at::Device& device);

}  // namespace assay::train
