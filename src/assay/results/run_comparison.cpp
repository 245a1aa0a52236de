#include "assay/results/run_comparison.h"

#include <cmath>
#include <vector>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/options.h"
#include "assay/results/run_directory.h"

namespace assay::results {
namespace {

using core::DataError;
using core::Value;

constexpr uint64_t kValidationLimit = uint64_t{256} << 20;  // 20 bytes a piece

constexpr const char* kMeaning = "evaluation noise of one pair of runs, one seed each: how much the difference would move on other text of "
                                 "this kind. It does not say how "
                                 "much it would move with other seeds, and is no verdict about architectures.";
constexpr const char* kWindows = " Neighbouring windows may share a document, so that even this error may be too small.";

struct Run {
  std::string directory;
  Summary summary;
  Value config;
};

Run open(const std::string& directory) {
  if (!core::directory_exists(directory)) throw DataError("compare", directory + ": is not a directory; wanted that of a run");
  const std::optional<Summary> s = read_summary(directory);
  if (!s)
    throw DataError(
        "compare",
        directory + ": holds no summary.json; wanted the directory of a run that has ended (of a campaign: one of its members/)");
  const std::string path = directory + "/config.toml";
  Value config = core::parse_toml(core::read_file(path, kConfigLimit), path);
  for (const char* key : {"name", "sources"}) config.erase(key);
  return {directory, *s, std::move(config)};
}

Value about(const Run& r) {
  Value v = Value::object();
  v["path"] = r.directory;
  const Value document = r.summary.to_value();
  for (const auto& [key, value] : document.as_object()) v[key] = value;
  return v;
}

Value measured(const std::optional<double>& a, const std::optional<double>& b) {
  Value v = Value::object();
  v["a"] = a ? Value(*a) : Value();
  v["b"] = b ? Value(*b) : Value();
  v["difference"] = a && b ? Value(*a - *b) : Value();
  return v;
}

// What whoever reads the losses should know first.
Value cautions(const Run& a, const Run& b) {
  Value out = Value::array();
  for (const Run* r : {&a, &b}) {
    const Summary& s = r->summary;
    if (s.entropy && s.entropy->refuted())
      out.push_back(r->directory + ": its loss lies below the entropy of the text: it sees what it predicts, and its losses do not count");
    if (s.status != "done") out.push_back(r->directory + ": " + s.status + " after " + std::to_string(s.tokens) + " tokens");
  }
  if (a.summary.tokens != b.summary.tokens)
    out.push_back("trained on " + std::to_string(a.summary.tokens) + " and " + std::to_string(b.summary.tokens) + " tokens");
  if (a.summary.seed != b.summary.seed)
    out.push_back("seeds " + std::to_string(a.summary.seed) + " and " + std::to_string(b.summary.seed) + ": not a pair of one seed");
  if (a.summary.product_backend != b.summary.product_backend && a.summary.device == "cpu" && b.summary.device == "cpu")
    out.push_back("products by " + a.summary.product_backend + " and " + b.summary.product_backend +
                  ": other roundings alone can lead a run elsewhere, as another seed does (train.product fixes them)");
  if (a.summary.data_hash.empty() || b.summary.data_hash.empty()) out.push_back("the data of a run is not known to be the other's");
  return out;
}

struct Validation {
  std::string piece;
  int64_t step = 0;
  std::vector<ScoredPiece> pieces;
};

Validation read_validation(const Run& r) {
  const std::string path = r.directory + "/validation.json";
  if (!core::file_exists(path)) throw DataError("compare", path + ": there is none");
  const Value v = core::parse_json(core::read_file(path, kValidationLimit), path, {.bytes = kValidationLimit});
  Validation out{v.at("piece").as_string(), v.at("step").as_int(), {}};
  const auto& tokens = v.at("piece_tokens").as_array();
  const auto& nats = v.at("piece_nats").as_array();
  if (tokens.size() != nats.size())
    throw DataError("compare",
                    path + ": piece_tokens has " + std::to_string(tokens.size()) + " entries, piece_nats " + std::to_string(nats.size()));
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (!nats[i].is_number() || tokens[i].as_int() < 1)
      throw DataError("compare", path + ": piece " + std::to_string(i + 1) + " has no loss");
    out.pieces.push_back({tokens[i].as_int(), nats[i].as_double()});
  }
  if (out.step != r.summary.steps)
    throw DataError("compare",
                    path + ": is of step " + std::to_string(out.step) + ", and the run ended at step " + std::to_string(r.summary.steps));
  return out;
}

Value paired(const Run& a, const Run& b) {
  if (a.summary.data_hash.empty() || b.summary.data_hash.empty()) throw DataError("compare", "the data of both runs must be known");
  const Validation left = read_validation(a), right = read_validation(b);
  if (left.piece != right.piece) throw DataError("compare", "one validation is by " + left.piece + ", the other by " + right.piece);
  const PieceDifference d = piece_difference(left.pieces, right.pieces);
  Value v = Value::object();
  v["piece"] = left.piece;
  v["pieces"] = d.pieces;
  v["tokens"] = d.tokens;
  v["a_loss"] = d.a_loss;
  v["b_loss"] = d.b_loss;
  v["difference"] = d.difference;
  v["standard_error"] = d.standard_error ? Value(*d.standard_error) : Value();
  v["meaning"] = std::string(kMeaning) + (left.piece == "window" ? kWindows : "");
  return v;
}

void require_one_data(const Run& a, const Run& b) {
  const std::string &left = a.summary.data_hash, &right = b.summary.data_hash;
  if (left.empty() || right.empty() || left == right) return;
  throw DataError("compare", "the runs have different data: " + a.directory + " has " + left + ", " + b.directory + " has " + right +
                                 "; their losses cannot be compared");
}

}  // namespace

PieceDifference piece_difference(std::span<const ScoredPiece> a, std::span<const ScoredPiece> b) {
  if (a.empty() || b.empty()) throw DataError("compare", "no piece of the validation text was scored whole");
  if (a.size() != b.size())
    throw DataError("compare", "the validations have " + std::to_string(a.size()) + " and " + std::to_string(b.size()) + " pieces");
  PieceDifference out;
  double a_nats = 0, b_nats = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].tokens != b[i].tokens)
      throw DataError("compare", "piece " + std::to_string(i + 1) + " of the validation has " + std::to_string(a[i].tokens) + " and " +
                                     std::to_string(b[i].tokens) + " tokens");
    if (!std::isfinite(a[i].nats) || !std::isfinite(b[i].nats))
      throw DataError("compare", "piece " + std::to_string(i + 1) + " has no finite loss");
    out.tokens += a[i].tokens;
    a_nats += a[i].nats;
    b_nats += b[i].nats;
  }
  const auto n = static_cast<double>(out.tokens);
  out.pieces = static_cast<int64_t>(a.size());
  out.a_loss = a_nats / n;
  out.b_loss = b_nats / n;
  double total = 0;
  for (size_t i = 0; i < a.size(); ++i) total += a[i].nats - b[i].nats;  // not a_nats - b_nats: those may be large and nearly equal
  out.difference = total / n;
  if (out.pieces < 2) return out;
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double residual = a[i].nats - b[i].nats - out.difference * static_cast<double>(a[i].tokens);
    squares += residual * residual;
  }
  const auto m = static_cast<double>(out.pieces);
  out.standard_error = std::sqrt(m / (m - 1) * squares) / n;
  return out;
}

Value compare_runs(const std::string& a_directory, const std::string& b_directory) {
  const Run a = open(a_directory), b = open(b_directory);
  require_one_data(a, b);
  Value v = Value::object();
  v["a"] = about(a);
  v["b"] = about(b);
  v["differences"] = core::difference(a.config, b.config);
  v["losses"] = Value::object();
  v["losses"]["train_loss"] = measured(a.summary.train_loss, b.summary.train_loss);
  v["losses"]["val_loss"] = measured(a.summary.val_loss, b.summary.val_loss);
  v["losses"]["val_bits_per_byte"] = measured(a.summary.val_bits_per_byte, b.summary.val_bits_per_byte);
  v["cautions"] = cautions(a, b);
  v["paired"] = Value();
  v["paired_reason"] = "";
  try {
    v["paired"] = paired(a, b);
  } catch (const core::Error& e) {
    v["paired_reason"] = e.what();
  }
  return v;
}

}  // namespace assay::results
