#pragma once
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "assay/core/file.h"
#include "assay/results/run_directory.h"

#include "assay/train/loop.h"

namespace assay::testing {

// A fresh directory, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// A run that takes about a second: tiny model, generated text, one thread.
inline std::unique_ptr<train::RunConfig> tiny_run(const char* arch, std::initializer_list<const char*> more = {}) {
  auto config = std::make_unique<train::RunConfig>(arch::find_architecture(arch));
  config->name = "tiny";
  for (const char* a : {"data.corpus_tokens=20000", "data.corpus_val_tokens=2000", "train.batch=2", "train.seq_len=32", "train.threads=1",
                        "train.product=aten", "train.steps=20", "train.log_every=3", "optim.lr=0.01"})
    config->settings.set_assignment(a, core::Source::command_line);
  const bool decoder = config->architecture->schema().find("n_embd") != nullptr;
  config->settings.set_assignment(decoder ? "model.n_embd=16" : "model.num_hops=2", core::Source::command_line);
  for (const char* a : more) config->settings.set_assignment(a, core::Source::command_line);
  return config;
}

}  // namespace assay::testing
