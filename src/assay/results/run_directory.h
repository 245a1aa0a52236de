#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "assay/core/value.h"
#include "assay/stats/entropy_rule.h"

namespace assay::results {

constexpr uint64_t kConfigLimit = uint64_t{1} << 20;  // bytes of a config.toml

// A run directory: config.toml, env.json, metrics.jsonl, checkpoints/, summary.json, log.txt (docs/run-directory.md).
//
// summary.json is written once, when the run ends in any way; a directory without it belongs to a run that was killed or still runs.
//   status       "done" | "interrupted" | "failed"
//   exit_code    what the program exited with
//   error        the message, "" when done
//   arch, name, seed, fingerprint (16 hex digits), data_hash
//   steps, tokens, train_loss, val_loss (nats a token; null where not measured), val_bits_per_byte (null without a tokenizer),
//   accuracy (share of the counted positions whose most probable token is the right one)
//   parameters, seconds (training time without validation), tokens_per_s, peak_bytes
//   device, precision, threads, product_backend
//   step         how the updates reached the device: "recorded", or "launched: " and why ("" in older runs and n-gram models)
//   entropy      null where the generator of the validation text is unknown, else what entropy_value says
struct Summary {
  std::string status = "done", error;
  int exit_code = 0;
  std::string arch, name, fingerprint, data_hash;
  int64_t seed = 0, steps = 0, tokens = 0, parameters = 0, threads = 0;
  std::optional<double> train_loss, val_loss, val_bits_per_byte, accuracy;
  double seconds = 0, tokens_per_s = 0;
  int64_t peak_bytes = 0;
  std::string device, precision, product_backend, step;
  std::optional<stats::EntropyRule> entropy;
  core::Value to_value() const;
  static Summary from_value(const core::Value& v);  // DataError where a field is missing or of another kind
};

// {symbols, model_nats, generator_nats, threshold, entropy (nats a symbol), refuted}, and back.
core::Value entropy_value(const std::optional<stats::EntropyRule>& rule);
std::optional<stats::EntropyRule> entropy_from(const core::Value& v);

std::optional<Summary> read_summary(const std::string& run_directory);  // nullopt where there is none yet; DataError where unreadable
void write_summary(const std::string& run_directory, const Summary& s);

// One line of metrics.jsonl: {"step": n, "kind": "train" | "val", ...}. Fields that depend on the clock are in "time": {...}, so
// that two runs are compared without them. A last line without its end (the writer was killed) is left out; any other line that is
// not an object with step and kind is a DataError naming its number.
std::vector<core::Value> read_metrics(const std::string& run_directory);
// The last complete line alone, read from the end of the file: cheap enough to watch a run with. Null where there is none.
core::Value last_metrics(const std::string& run_directory);

// The last `bytes` bytes of a file, "" where it cannot be read.
std::string tail_of(const std::string& path, size_t bytes);

// checkpoints/ holds something, so that --resume has a point to go on from.
bool has_checkpoints(const std::string& run_directory);

// The environment of a run: program version, torch, build, processor, threads, host system.
core::Value environment(const std::string& version, const std::string& torch_version);
int64_t usable_cores();  // that this process may run on

}  // namespace assay::results
