#include "assay/train/evaluate.h"

#include <ATen/ops/sum.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/data/loader.h"
#include "assay/layers/loss.h"
#include "assay/results/run_directory.h"

namespace assay::train {
namespace {

// Losses of the symbols of a request, one after the other: entry k belongs to token k + 1; NaN where a position does not count.
class Scored {
 public:
  explicit Scored(std::vector<double> nats) : nats_(std::move(nats)) {
    for (const double x : nats_)
      if (!std::isnan(x)) total_ += x, ++counted_;
  }
  bool complete() const { return counted_ == static_cast<int64_t>(nats_.size()); }
  uint64_t end() const { return nats_.size() + 1; }  // of the tokens scored
  double sum(uint64_t first, uint64_t end) const {
    double s = 0;
    for (uint64_t k = first; k < end; ++k) s += nats_[k - 1];
    return s;
  }
  double total() const { return total_; }
  int64_t counted() const { return counted_; }

 private:
  std::vector<double> nats_;
  double total_ = 0;
  int64_t counted_ = 0;
};

// How often the target has the largest logit.
struct Hits {
  int64_t positions = 0, right = 0, windows = 0, right_windows = 0;

  void add(const Tensor& logits_BTV, const Tensor& targets_BT, int64_t first, int64_t end) {
    const Tensor right_BT = logits_BTV.narrow(1, first, end - first).argmax(-1) == targets_BT.narrow(1, first, end - first);
    positions += right_BT.numel();
    right += right_BT.sum().item().toLong();
    windows += right_BT.size(0);
    right_windows += right_BT.all(1).sum().item().toLong();
  }
};

void score(const arch::Built& built, const data::Rows& rows, std::vector<double>& out, Hits& hits) {
  if (rows.rows == 0) return;
  const Batch b = to_batch(rows, built.params->device());
  const Tensor logits_BTV = built.model->forward(b.ids_BT);
  Tensor nats_BT = layers::token_cross_entropy(logits_BTV, b.targets_BT);
  if (const Tensor extra = built.model->extra_loss(b.targets_BT); extra.defined()) nats_BT = nats_BT + extra;
  nats_BT = nats_BT.to(at::kCPU, at::kDouble).contiguous();
  const auto [first, end] = built.model->scored(rows.seq_len);
  if (first >= 0 && first < end && end <= rows.seq_len) hits.add(logits_BTV, b.targets_BT, first, end);
  for (int64_t i = 0; i < rows.rows * rows.seq_len; ++i) {
    const int64_t t = i % rows.seq_len;
    out.push_back(t >= first && t < end ? nats_BT.data_ptr<double>()[i] : std::nan(""));
  }
}

// A diverged model's NaN must not pass for a position that does not count.
void require_finite(const arch::Built& built, const std::vector<double>& nats, int64_t T) {
  const auto [first, end] = built.model->scored(T);
  for (size_t i = 0; i < nats.size(); ++i) {
    const int64_t t = static_cast<int64_t>(i) % T;
    if (t >= first && t < end && !std::isfinite(nats[i]))
      throw core::NumericsError("eval", "the loss of validation token " + std::to_string(i + 1) + " is not finite");
  }
}

// Whole windows that a request asks for.
int64_t windows_of(const EvaluationRequest& r, bool* all) {
  const int64_t windows = data::validation_windows(r.tokens, r.seq_len);
  if (windows == 0)
    throw core::DataError("eval", "the validation text has " + std::to_string(r.tokens.size()) + " tokens; one window needs " +
                                      std::to_string(r.seq_len + 1));
  *all = r.max_tokens <= 0 || r.max_tokens / r.seq_len >= windows;
  return *all ? windows : std::max<int64_t>(1, r.max_tokens / r.seq_len);
}

// Where documents end in tokens [1, end): a document runs to the symbol that stands before the next one.
std::vector<uint64_t> document_ends(const data::TokenSource& tokens, int64_t bos, uint64_t end) {
  std::vector<uint64_t> ends;
  std::vector<uint16_t> all(end);
  tokens.read(0, end, all.data());
  for (uint64_t k = 1; k < end; ++k)
    if (all[k] == bos) ends.push_back(k + 1);
  return ends;
}

std::vector<uint64_t> piece_ends(const EvaluationRequest& r, uint64_t end, std::string* kind) {
  *kind = "document";
  if (r.known != nullptr) return r.known->ends;
  if (r.tokenizer != nullptr && r.tokenizer->bos() >= 0)
    if (std::vector<uint64_t> ends = document_ends(r.tokens, r.tokenizer->bos(), end); !ends.empty()) return ends;
  *kind = "window";
  std::vector<uint64_t> ends;
  for (uint64_t k = 1 + static_cast<uint64_t>(r.seq_len); k <= end; k += static_cast<uint64_t>(r.seq_len)) ends.push_back(k);
  return ends;
}

void add_pieces(Evaluation& e, const EvaluationRequest& r, const Scored& scorer) {
  if (!scorer.complete()) return;
  uint64_t begin = 1;
  for (const uint64_t end : piece_ends(r, scorer.end(), &e.piece_kind)) {
    if (end > scorer.end()) break;
    e.pieces.push_back({static_cast<int64_t>(end - begin), scorer.sum(begin, end)});
    begin = end;
  }
  if (r.known == nullptr || e.pieces.empty()) return;
  e.generator_nats.assign(r.known->nats.begin(), r.known->nats.begin() + static_cast<std::ptrdiff_t>(e.pieces.size()));
  e.entropy.emplace();
  for (size_t i = 0; i < e.pieces.size(); ++i) {
    e.entropy->symbols += e.pieces[i].tokens;
    e.entropy->model_nats += e.pieces[i].nats;
    e.entropy->generator_nats += e.generator_nats[i];
  }
  for (const data::KnownEntropy::Agreement& a : r.known->agreements) {
    if (a.end > scorer.end()) break;
    Evaluation::AgreementLoss& at = e.agreement[a.distance];
    ++at.words;
    at.nats += scorer.sum(a.first, a.end);
  }
}

void add_bytes(Evaluation& e, const EvaluationRequest& r, const Scored& scorer) {
  if (r.tokenizer == nullptr || !scorer.complete()) return;
  e.bytes = data::count_bytes(r.tokens, *r.tokenizer, 0, scorer.end());
  if (e.bytes->table_bytes > 0) e.bits_per_byte = scorer.total() / std::numbers::ln2 / static_cast<double>(e.bytes->table_bytes);
}

// What is known about the bytes; the bounds of bits per byte where the byte table may miscount.
core::Value bytes_value(const Evaluation& e, double total_nats) {
  if (!e.bytes) return {};
  const data::ByteCount& b = *e.bytes;
  core::Value v = core::Value::object();
  v["table"] = b.table_bytes;
  v["lower"] = b.lower;
  v["upper"] = b.upper == data::ByteCount::kUnbounded ? core::Value() : core::Value(b.upper);
  v["exact"] = b.exact && b.lower == b.table_bytes;
  v["reason"] =
      b.exact && b.lower != b.table_bytes ? "the byte table miscounts: the text has " + std::to_string(b.lower) + " bytes" : b.reason;
  const double bits = total_nats / std::numbers::ln2;
  v["bits_per_byte_lower"] =
      b.upper == data::ByteCount::kUnbounded || b.upper == 0 ? core::Value() : core::Value(bits / static_cast<double>(b.upper));
  v["bits_per_byte_upper"] = b.lower == 0 ? core::Value() : core::Value(bits / static_cast<double>(b.lower));
  return v;
}

}  // namespace

int64_t scored_tokens(const EvaluationRequest& r) {
  bool all = false;
  const int64_t windows = windows_of(r, &all);
  return all && r.known != nullptr ? static_cast<int64_t>(r.tokens.size()) - 1 : windows * r.seq_len;
}

Evaluation evaluation_of(const EvaluationRequest& r, std::vector<double> nats) {
  const Scored scorer(std::move(nats));
  Evaluation e;
  e.tokens = scorer.counted();
  e.loss = scorer.total() / static_cast<double>(e.tokens);
  add_bytes(e, r, scorer);
  add_pieces(e, r, scorer);
  return e;
}

Evaluation evaluate(const arch::Built& built, const EvaluationRequest& r) {
  const at::NoGradGuard no_grad;
  bool all = false;
  const int64_t windows = windows_of(r, &all);
  std::vector<double> nats;
  Hits hits;
  for (int64_t first = 0; first < windows; first += r.rows)
    score(built, data::validation_rows(r.tokens, r.seq_len, first, std::min(r.rows, windows - first)), nats, hits);
  if (all && r.known != nullptr) score(built, data::last_validation_row(r.tokens, r.seq_len), nats, hits);
  require_finite(built, nats, r.seq_len);
  Evaluation e = evaluation_of(r, std::move(nats));
  if (hits.positions > 0) {
    e.accuracy = static_cast<double>(hits.right) / static_cast<double>(hits.positions);
    e.exact_windows = static_cast<double>(hits.right_windows) / static_cast<double>(hits.windows);
  }
  return e;
}

core::Value Evaluation::to_value() const {
  core::Value v = core::Value::object();
  v["loss"] = loss;
  v["tokens"] = tokens;
  v["accuracy"] = accuracy ? core::Value(*accuracy) : core::Value();
  v["exact_windows"] = exact_windows ? core::Value(*exact_windows) : core::Value();
  v["bits_per_byte"] = bits_per_byte ? core::Value(*bits_per_byte) : core::Value();
  v["bytes"] = bytes_value(*this, loss * static_cast<double>(tokens));
  v["piece"] = piece_kind;
  v["piece_tokens"] = core::Value::array();
  v["piece_nats"] = core::Value::array();
  for (const Piece& p : pieces) {
    v["piece_tokens"].push_back(p.tokens);
    v["piece_nats"].push_back(p.nats);
  }
  v["generator_nats"] = core::Value::array();
  for (const double g : generator_nats) v["generator_nats"].push_back(g);
  v["agreement"] = core::Value::array();
  for (const auto& [distance, at] : agreement) {
    core::Value row = core::Value::object();
    row["distance"] = static_cast<int64_t>(distance);
    row["words"] = at.words;
    row["nats_per_word"] = at.nats / static_cast<double>(at.words);
    v["agreement"].push_back(row);
  }
  return v;
}

void write_validation(const std::string& run_directory, const Evaluation& e, int64_t step) {
  core::Value v = e.to_value();
  v["step"] = step;
  v["entropy"] = results::entropy_value(e.entropy);
  core::write_file(core::real_files(), run_directory + "/validation.json", core::to_json(v) + "\n");
}

}  // namespace assay::train
