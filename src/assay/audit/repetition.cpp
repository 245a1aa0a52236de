#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "assay/audit/checks.h"
#include "assay/audit/trace.h"
#include "assay/core/error.h"
#include "assay/train/checkpoint.h"

namespace assay::audit {
namespace {

constexpr int64_t kUpdates = 6;

class ScratchDirectory {
 public:
  ScratchDirectory() {
    path_ = (std::filesystem::temp_directory_path() / "assay-audit-XXXXXX").string();
    if (mkdtemp(path_.data()) == nullptr) throw core::ResourceError("audit", path_ + ": cannot be made");
  }
  ~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

struct Trained {
  arch::Built built;
  std::unique_ptr<optim::Optimizer> optimizer;
  explicit Trained(const Subject& s) : built(s.build()), optimizer(optim::make_optimizer(*built.params, s.config().optim)) {}
};

// The first parameter that differs between two models after training.
void compare_parameters(const arch::Built& a, const arch::Built& b, const std::string& what, CheckResult& r) {
  for (const auto& e : a.params->entries()) {
    if (same(a.params->view(a.params->values(), e), b.params->view(b.params->values(), *b.params->find(e.name)))) continue;
    r.findings.push_back({e.name, what});
    return;
  }
}

}  // namespace

void check_determinism(const Subject& s, CheckResult& r) {
  r.note = "two trainings of " + std::to_string(kUpdates) + " updates give the same bits";
  Trained a(s), b(s);
  s.train(a.built, *a.optimizer, 0, kUpdates);
  s.train(b.built, *b.optimizer, 0, kUpdates);
  compare_parameters(a.built, b.built, "two trainings with the same seed and data end in different values", r);
}

void check_resume(const Subject& s, CheckResult& r) {
  r.note = "a training that was saved, built anew, loaded and continued gives the bits of one that went on; results and next update alike";
  Trained whole(s);
  s.train(whole.built, *whole.optimizer, 0, kUpdates);
  const ScratchDirectory scratch;
  {
    Trained half(s);
    s.train(half.built, *half.optimizer, 0, kUpdates / 2);
    train::Counters counters;
    counters.step = kUpdates / 2;
    counters.optimizer_updates = half.optimizer->updates();
    train::save_checkpoint(core::real_files(), scratch.path(), s.config(), half.built, *half.optimizer, counters);
  }
  Trained resumed(s);
  train::load_checkpoint(train::open_checkpoint(scratch.path()), resumed.built, resumed.optimizer.get());
  s.train(resumed.built, *resumed.optimizer, kUpdates / 2, kUpdates);
  compare_parameters(whole.built, resumed.built,
                     "a resumed training ends in other values than an uninterrupted one: a checkpoint misses something", r);
  if (!r.pass() || !s.evaluation_repeats()) return;
  const Tensor ids = s.ids(2, s.lengths().front(), 51);
  const State* at = first_difference(trace(whole.built, ids, Mode::evaluation), trace(resumed.built, ids, Mode::evaluation),
                                     [](const Tensor& x, const Tensor& y) { return !same(x, y); });
  if (at != nullptr)
    r.findings.push_back({place(s, *at), "with equal parameters a resumed model gives other results: a checkpoint misses something"});
}

}  // namespace assay::audit
