#include <ATen/Parallel.h>

#include <cstdio>

#include "assay/audit/parity.h"
#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/options.h"
#include "assay/stats/replay.h"
#include "assay/tensor/device.h"
#include "assay/tensor/failure.h"

namespace assay::cli {
namespace {

using core::Value;

Value document_of(const audit::ParityReport& r) {
  Value v = Value::object();
  v["file"] = r.file;
  v["kind"] = r.kind;
  v["pass"] = r.pass();
  v["max_error"] = Value::object();
  v["bound"] = Value::object();
  for (const audit::Deviation& d : r.deviations) {
    v["max_error"][d.name] = d.error;
    v["bound"][d.name] = d.bound;
  }
  return v;
}

Value failure(const std::string& file, const core::Error& e) {
  Value v = Value::object();
  v["file"] = file;
  v["kind"] = Value();
  v["pass"] = false;
  v["error"] = std::string(e.what());
  v["max_error"] = Value::object();
  return v;
}

// A document of statistics cases (.json): one deviation a case.
audit::ParityReport replay_cases(const std::string& file) {
  constexpr uint64_t limit = uint64_t{16} << 20;
  audit::ParityReport r;
  r.file = file;
  r.kind = "statistics";
  for (const stats::ReplayedCase& c : stats::replay_statistics(core::parse_json(core::read_file(file, limit), file, {.bytes = limit})))
    r.deviations.push_back({c.name, c.pass || c.error > c.bound ? c.error : c.bound + 1, c.bound});
  return r;
}

void print(const audit::ParityReport& r) {
  const audit::Deviation& w = r.worst();
  std::printf("%s  %-10s %3zu tensors  worst %s: %.2e of %.2e  %s\n", r.pass() ? "pass" : "FAIL", r.kind.c_str(), r.deviations.size(),
              w.name.c_str(), w.error, w.bound, r.file.c_str());
  if (r.pass()) return;
  for (const audit::Deviation& d : r.deviations)
    if (!d.pass()) std::printf("      %-44s %.3e, allowed %.3e\n", d.name.c_str(), d.error, d.bound);
}

}  // namespace

int run_parity(const std::vector<std::string>& args) {
  CommandLine line("parity",
                   "Replay conformance vectors: build the model that a file's metadata names and compare all that the file holds.");
  std::vector<std::string> files;
  std::string device = "cpu", dtype = "float32", product = "auto";
  line.rest("FILE", files, ".safetensors files: models, trajectories, optimizers; .json: cases of statistics");
  line.option("--device", device, "cpu, cuda or cuda:N");
  line.option("--dtype", dtype, "float32 or float64");
  line.option("--product", product,
              "CPU product library: auto, aten, onednn, mixed, or one of these +bf16 as a run records it (aten+bf16, ...)");
  if (!line.parse(args)) return 0;
  if (dtype != "float32" && dtype != "float64")
    throw core::ConfigError("parity", core::unknown_name("dtype", dtype, {"float32", "float64"}));
  audit::ParityOptions options;
  options.device = tensor::open_device(device);
  options.dtype = dtype == "float64" ? at::kDouble : at::kFloat;
  tensor::set_product_choice(tensor::product_choice_from(product));

  bool pass = true;
  core::Exit code = core::Exit::ok;
  Value list = Value::array();
  for (const std::string& file : files) {
    try {
      const audit::ParityReport r = file.ends_with(".json") ? replay_cases(file) : audit::replay(file, options);
      pass = pass && r.pass();
      list.push_back(document_of(r));
      if (!line.json) print(r);
    } catch (const std::exception& any) {  // one file that cannot be replayed does not keep the others from it
      const core::Error e = tensor::to_error(any);
      pass = false;
      code = e.code();
      list.push_back(failure(file, e));
      std::fprintf(stderr, "%s\n", e.what());
    }
  }
  if (!pass && code == core::Exit::ok) code = core::Exit::check_failed;
  if (line.json) {
    Value v = Value::object();
    v["pass"] = pass;
    v["files"] = list;
    std::printf("%s\n", core::to_json(v, 2).c_str());
  }
  return static_cast<int>(code);
}

}  // namespace assay::cli
