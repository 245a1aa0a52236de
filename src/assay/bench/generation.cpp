#include "assay/bench/generation.h"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>

#include <array>

#include "assay/bench/stopwatch.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/random.h"
#include "assay/train/session.h"

namespace assay::bench {
namespace {

using core::Value;

constexpr int64_t kTurn = 8;  // tokens between two changes of context

// A model that has seen some tokens.
struct Reader {
  const arch::Built& built;
  int64_t rows, vocab;
  arch::Memory memory;
  Tensor logits_BV;

  // Token `position` of every row, the same in every reader.
  Tensor ids(int64_t position) const {
    const core::Stream stream(5, "bench/generation");
    Tensor t = at::empty({rows}, at::TensorOptions().dtype(at::kLong));
    for (int64_t r = 0; r < rows; ++r)
      t.data_ptr<int64_t>()[r] =
          static_cast<int64_t>(stream.below(static_cast<uint64_t>(position * rows + r), static_cast<uint64_t>(vocab)));
    return t.to(built.params->device());
  }
  void read(int64_t tokens) {
    for (const int64_t end = memory.position + tokens; memory.position < end;) logits_BV = built.model->next(ids(memory.position), memory);
  }
  Reader copy() const {
    Reader r = *this;
    for (Tensor& slot : r.memory.slots) slot = slot.clone();
    return r;
  }
  int64_t memory_bytes() const {
    int64_t n = 0;
    for (const Tensor& slot : memory.slots) n += static_cast<int64_t>(slot.nbytes());
    return n;
  }
};

void require_parallel_form(const Reader& r) {
  std::vector<Tensor> ids;
  for (int64_t t = 0; t < r.memory.position; ++t) ids.push_back(r.ids(t));
  const Tensor whole_BV = r.built.model->forward(at::stack(ids, 1)).select(1, r.memory.position - 1);
  const double error = (r.logits_BV - whole_BV).abs().max().item().toDouble(), size = whole_BV.abs().max().item().toDouble();
  if (!at::isfinite(r.logits_BV).all().item().toBool() || !(error <= 1e-2 * size))
    throw core::NumericsError("bench", "going on token by token gives other logits than the whole sequence: off by " +
                                           std::to_string(error) + " of " + std::to_string(size) + "; a wrong result has no speed");
}

}  // namespace

core::Value bench_generation(train::RunConfig& config, const GenerationOptions& options) {
  const at::NoGradGuard no_grad;
  config.settings.set("train.seq_len", options.late + options.tokens, core::Source::command_line);
  config.check();
  const train::Machine machine = train::prepare_machine(config.train);
  const Value model = config.model_options();
  const Value* configured = model.find("vocab_size");
  const int64_t vocab = configured != nullptr && configured->as_int() > 0 ? configured->as_int() : 1024;
  const arch::Built built = train::build_model(config, machine, vocab);
  if (!built.model->recurrent())
    throw core::ConfigError("bench", std::string(config.architecture->name) +
                                         " has no recurrent form with these options: it reads its context anew for each token");
  const int64_t turns = (options.tokens + kTurn - 1) / kTurn;
  core::Progress progress(std::string(config.architecture->name), turns);
  progress.update(0, "reading the context");
  Reader early{built, config.rows(), vocab, {}, {}};
  early.read(options.early);
  require_parallel_form(early);
  Reader late = early.copy();
  late.read(options.late - options.early);
  std::array<Reader*, 2> readers = {&early, &late};
  const std::array<int64_t, 2> contexts = {options.early, options.late}, bytes = {early.memory_bytes(), late.memory_bytes()};
  std::array<std::vector<double>, 2> ms;
  Stopwatch watch(machine.device);
  for (int64_t n = 0; n < options.tokens; n += kTurn) {
    progress.update(n / kTurn, "going on");
    for (size_t i = 0; i < 2; ++i) {
      watch.restart();
      readers[i]->read(std::min(kTurn, options.tokens - n));
      ms[i].push_back(watch.lap_ms() / static_cast<double>(std::min(kTurn, options.tokens - n)));
    }
  }
  progress.update(turns, "done");
  Value v = Value::object();
  v["name"] = config.architecture->name;
  v["device"] = config.train.device;
  v["dtype"] = config.train.precision;
  v["batch"] = config.rows();
  v["vocab_size"] = vocab;
  v["threads"] = machine.threads;
  v["product_backend"] = machine.product;
  v["contexts"] = Value::array();
  for (size_t i = 0; i < 2; ++i) {
    const Timing t = summarize(ms[i]);
    Value c = Value::object();
    c["context"] = contexts[i];
    c["tokens_per_s"] = 1e3 * static_cast<double>(config.rows()) / t.median_ms;
    c["ms"] = t.median_ms;
    c["spread_ms"] = t.spread();
    c["memory_bytes"] = bytes[i];
    v["contexts"].push_back(std::move(c));
  }
  v["ratio"] = summarize(ms[1]).median_ms / summarize(ms[0]).median_ms;
  return v;
}

}  // namespace assay::bench
