#include <cmath>
#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/output_path.h"
#include "assay/export/model_file.h"
#include "assay/train/checkpoint.h"
#include "assay/train/evaluate.h"

namespace assay::cli {
namespace {

using core::Value;
using exporting::ModelFile;
using exporting::Packed;

struct Named {
  std::string name;
  Tensor value;
};

std::vector<Named> tensors_of(const arch::Built& b) {
  std::vector<Named> all;
  for (const auto& e : b.params->entries()) all.push_back({e.name, b.params->view(b.params->values(), e)});
  for (const auto& s : b.params->states()) all.push_back({"state/" + s.name, s.value});
  return all;
}

Value measured(const OpenedRun& run) {
  const train::TrainConfig& c = run.config->train;
  const data::KnownEntropy* known = run.corpus.val_entropy ? &*run.corpus.val_entropy : nullptr;
  const train::Evaluation e = train::evaluate(run.built, {*run.corpus.val, run.corpus.tokenizer.get(), known, c.seq_len,
                                                          c.val_batch > 0 ? c.val_batch : run.config->rows(), c.val_tokens});
  Value v = Value::object();
  v["loss"] = e.loss;
  v["bits_per_byte"] = e.bits_per_byte ? Value(*e.bits_per_byte) : Value();
  return v;
}

// What the file holds of one tensor, and how far that is from the original: largest difference, and root mean square over the tensor's own.
Value row_of(const Packed& p, const Tensor& original) {
  const Tensor w = original.detach().to(at::kCPU, at::kFloat), error = exporting::unpack(p) - w;
  const double own = w.square().mean().item().toDouble();
  Value v = Value::object();
  v["name"] = p.name;
  v["stored"] = exporting::name_of(p.kind);
  v["elements"] = w.numel();
  v["bytes"] = exporting::bytes_of(p);
  v["max_error"] = w.numel() > 0 ? error.abs().max().item().toDouble() : 0.0;
  v["relative_rms_error"] = own > 0 ? std::sqrt(error.square().mean().item().toDouble() / own) : 0.0;
  return v;
}

// The weights as the file gives them back.
void load(OpenedRun& run, const ModelFile& m) {
  const at::NoGradGuard no_grad;
  size_t i = 0;
  for (const Named& t : tensors_of(run.built)) Tensor(t.value).copy_(exporting::unpack(m.tensors.at(i++)));
}

void print(const Value& v) {
  const auto n = [&](const char* key) { return static_cast<long long>(v.at(key).as_int()); };
  std::printf("%s: %lld tensors, %lld of them int8; %lld bytes of fp32, %lld stored, %lld in the file\n", v.at("file").as_string().c_str(),
              n("tensors_total"), n("tensors_int8"), n("baseline_bytes"), n("payload_bytes"), n("file_bytes"));
  for (const Value& t : v.at("tensors").as_array())
    if (t.at("stored").as_string().starts_with("int8"))
      std::printf("  %-44s %-10s largest error %.2e, %.2f %% of its size\n", t.at("name").as_string().c_str(),
                  t.at("stored").as_string().c_str(), t.at("max_error").as_double(), 100 * t.at("relative_rms_error").as_double());
  if (v.at("before").is_null()) return;
  std::printf("validation loss %.6f before, %.6f after the round trip\n", v.at("before").at("loss").as_double(),
              v.at("after").at("loss").as_double());
}

}  // namespace

int run_export(const std::vector<std::string>& args) {
  CommandLine line("export",
                   "Write a trained model as one file: packed to int8, or as safetensors; with its loss before and after the round trip.");
  std::string directory, out, device;
  exporting::Int8Rules rules;
  bool no_eval = false;
  std::vector<std::string> assignments;
  line.positional("DIR", directory, "run directory (its newest checkpoint) or checkpoint directory");
  line.option("--out", out, "the file: NAME.safetensors for exact weights, any other name for int8");
  line.option("--scale-floor", rules.scale_floor, "int8: smallest scale of a row (2^-24); the published code had 1/127 = 0.007874015748");
  line.option("--keep", rules.keep, "int8: tensors with at most so many elements stay floating point (65536)");
  line.option("--device", device, "cpu, cuda or cuda:N; default: the run's");
  line.flag("--no-eval", no_eval, "do not measure the loss");
  line.assignments(assignments, "train.val_tokens=N, data.val_path=FILE, ...");
  if (!line.parse(args)) return 0;
  if (out.empty()) throw core::ConfigError("export", "--out: wanted a file; it is missing");
  if (!(rules.scale_floor > 0 && rules.scale_floor < 1e6)) throw core::ConfigError("export", "--scale-floor must lie in (0, 1e6)");
  if (rules.keep < 0) throw core::ConfigError("export", "--keep must be 0 or more");
  core::require_file_place("export", "--out", out);
  const bool plain = out.ends_with(".safetensors");
  OpenedRun run = open_run(directory, device, assignments, "export", validation_options());

  ModelFile m;
  m.config = run.config->to_document();
  m.step = train::open_checkpoint(directory).counters().step;
  Value v = Value::object();
  v["file"] = out;
  v["format"] = plain ? "safetensors" : "int8";
  int64_t elements = 0, int8 = 0, payload = 0;
  Value rows = Value::array();
  for (const Named& t : tensors_of(run.built)) {
    if (plain || t.name.starts_with("state/"))
      m.tensors.push_back({t.name, Packed::Kind::exact, t.value.detach().to(at::kCPU, at::kFloat).contiguous(), {}});
    else m.tensors.push_back(exporting::pack(t.name, t.value, rules));
    rows.push_back(row_of(m.tensors.back(), t.value));
    elements += t.value.numel();
    payload += exporting::bytes_of(m.tensors.back());
    int8 += m.tensors.back().values.scalar_type() == at::kChar ? 1 : 0;
  }
  v["elements"] = elements;
  v["tensors_total"] = static_cast<int64_t>(m.tensors.size());
  v["tensors_int8"] = int8;
  v["baseline_bytes"] = 4 * elements;
  v["payload_bytes"] = payload;
  v["file_bytes"] = exporting::write_model_file(core::real_files(), out, m);
  v["before"] = no_eval ? Value() : measured(run);
  load(run, exporting::read_model_file(out));
  v["after"] = no_eval ? Value() : measured(run);
  v["tensors"] = std::move(rows);
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v);
  return 0;
}

}  // namespace assay::cli
