#pragma once
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "assay/results/run_directory.h"
#include "core/refusal.h"
#include "core/scratch.h"

// Run directories as training and campaigns leave them.
namespace assay::test {

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline results::Summary summary(const std::string& arch, int64_t seed, double val_loss) {
  results::Summary s;
  s.arch = arch;
  s.name = arch + "-s" + std::to_string(seed);
  s.seed = seed;
  s.fingerprint = "0123456789abcdef";
  s.data_hash = "feedbeef";
  s.steps = 100;
  s.tokens = 102400;
  s.parameters = 5000;
  s.train_loss = val_loss + 0.5;
  s.val_loss = val_loss;
  s.seconds = 1.5;
  s.tokens_per_s = 68266.5;
  s.device = "cpu";
  s.precision = "fp32";
  s.threads = 2;
  s.product_backend = "aten";
  return s;
}

inline std::string config(const std::string& arch, int64_t seed, double lr) {
  core::Value v = core::Value::object();
  v["arch"] = arch;
  v["name"] = arch + "-s" + std::to_string(seed);
  v["model"]["layers"] = 2;
  v["model"]["mask"] = true;
  v["model"]["widths"] = core::Value::Array{1, 2};
  v["optim"]["lr"] = lr;
  v["optim"]["kind"] = "adamw";
  v["train"]["seed"] = seed;
  v["train"]["device"] = "cpu";
  v["sources"]["optim.lr"] = "command line";
  return core::to_toml(v);
}

inline void write_run(const std::string& directory, const results::Summary& s, double lr = 0.01) {
  write_text(directory + "/config.toml", config(s.arch, s.seed, lr));
  results::write_summary(directory, s);
}

inline void write_campaign(const std::string& directory, const std::string& name) {
  write_text(directory + "/campaign.json", "{\"name\": \"" + name + "\"}\n");
}

}  // namespace assay::test
