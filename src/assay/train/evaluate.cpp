#include "assay/train/evaluate.h"

#include <ATen/ops/sum.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "assay/core/error.h"
#include "assay/data/loader.h"
#include "assay/layers/loss.h"

namespace assay::train {
namespace {

int64_t bytes_of(const data::Rows& rows, const data::Tokenizer::ByteTable& table) {
  int64_t bytes = 0;
  for (size_t i = 0; i < rows.targets.size(); ++i) {
    const auto y = static_cast<size_t>(rows.targets[i]), x = static_cast<size_t>(rows.inputs[i]);
    if (y >= table.bytes.size()) continue;  // padding of a larger vocabulary
    const bool space = table.leading_space[y] != 0 && x < table.boundary.size() && table.boundary[x] == 0;
    bytes += table.bytes[y] + (space ? 1 : 0);
  }
  return bytes;
}

// Nats of target k, k = 1 ... scored - 1, one after the other; those that do not count are NaN.
class Scorer {
 public:
  Scorer(const arch::Built& built, const EvaluationRequest& request) : built_(built), request_(request) {
    if (request.tokenizer != nullptr) table_ = request.tokenizer->byte_table();
  }

  void score(const data::Rows& rows) {
    const Batch b = to_batch(rows, built_.params->device());
    const Tensor nats_BT =
        layers::token_cross_entropy(built_.model->forward(b.ids_BT), b.targets_BT).to(at::kCPU, at::kDouble).contiguous();
    const auto [first, end] = built_.model->scored(rows.seq_len);
    const double* nats = nats_BT.data_ptr<double>();
    for (int64_t i = 0; i < rows.rows * rows.seq_len; ++i) {
      const int64_t t = i % rows.seq_len;
      const bool counts = t >= first && t < end;
      nats_.push_back(counts ? nats[i] : std::nan(""));
      if (counts) total_ += nats[i], ++counted_;
    }
    if (request_.tokenizer != nullptr) bytes_ += bytes_of(rows, table_);
  }

  bool complete() const { return counted_ == static_cast<int64_t>(nats_.size()); }
  uint64_t end() const { return nats_.size() + 1; }  // of the targets scored
  double sum(uint64_t first, uint64_t end) const {
    double s = 0;
    for (uint64_t k = first; k < end; ++k) s += nats_[k - 1];
    return s;
  }
  double total() const { return total_; }
  int64_t counted() const { return counted_; }
  int64_t bytes() const { return bytes_; }

 private:
  const arch::Built& built_;
  const EvaluationRequest& request_;
  data::Tokenizer::ByteTable table_;
  std::vector<double> nats_;
  double total_ = 0;
  int64_t counted_ = 0, bytes_ = 0;
};

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

void add_pieces(Evaluation& e, const EvaluationRequest& r, const Scorer& scorer) {
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

}  // namespace

Evaluation evaluate(const arch::Built& built, const EvaluationRequest& r) {
  const at::NoGradGuard no_grad;
  int64_t windows = data::validation_windows(r.tokens, r.seq_len);
  if (windows == 0)
    throw core::DataError("eval", "the validation text has " + std::to_string(r.tokens.size()) + " tokens; one window needs " +
                                      std::to_string(r.seq_len + 1));
  const bool all = r.max_tokens <= 0 || r.max_tokens / r.seq_len >= windows;
  if (!all) windows = std::max<int64_t>(1, r.max_tokens / r.seq_len);
  Scorer scorer(built, r);
  for (int64_t first = 0; first < windows; first += r.rows)
    scorer.score(data::validation_rows(r.tokens, r.seq_len, first, std::min(r.rows, windows - first)));
  if (all && r.known != nullptr && scorer.end() < r.tokens.size()) scorer.score(data::last_validation_row(r.tokens, r.seq_len));
  Evaluation e;
  e.tokens = scorer.counted();
  e.loss = scorer.total() / static_cast<double>(e.tokens);
  e.bytes = scorer.bytes();
  if (e.bytes > 0 && scorer.complete())
    e.bits_per_byte = e.loss / std::numbers::ln2 * static_cast<double>(e.tokens) / static_cast<double>(e.bytes);
  add_pieces(e, r, scorer);
  return e;
}

core::Value Evaluation::to_value() const {
  core::Value v = core::Value::object();
  v["loss"] = loss;
  v["tokens"] = tokens;
  v["bits_per_byte"] = bits_per_byte ? core::Value(*bits_per_byte) : core::Value();
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

}  // namespace assay::train
