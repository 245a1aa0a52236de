#include "assay/lab/validation_noise.h"

#include <cmath>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/stats/planning.h"

namespace assay::lab {
namespace {

using core::Value;

constexpr uint64_t kLimit = uint64_t{64} << 20;
constexpr size_t kBlocks = 64;  // of about equal numbers of tokens

// Tokens and nats of the documents of a run's last validation.
struct Pieces {
  std::vector<double> tokens, nats;
};

std::vector<double> numbers(const Value& v) {
  std::vector<double> out;
  for (const Value& e : v.as_array()) out.push_back(e.as_double());
  return out;
}

std::optional<Pieces> read_pieces(const Member& m) try {
  const std::string path = m.directory + "/validation.json";
  if (!core::file_exists(path)) return std::nullopt;
  const Value v = core::parse_json(core::read_file(path, kLimit), path, {.bytes = kLimit});
  Pieces out{numbers(v.at("piece_tokens")), numbers(v.at("piece_nats"))};
  if (out.tokens.size() != out.nats.size()) return std::nullopt;
  return out;
} catch (const core::Error&) {
  return std::nullopt;  // a figure less beside the verdict
}

// control - arm in nats a token, of blocks of neighbouring documents.
std::vector<double> differences(const Pieces& control, const Pieces& arm) {
  double all = 0;
  for (const double t : control.tokens) all += t;
  std::vector<double> out;
  double tokens = 0, nats = 0, passed = 0;
  for (size_t i = 0; i < control.tokens.size(); ++i) {
    tokens += control.tokens[i];
    passed += control.tokens[i];
    nats += control.nats[i] - arm.nats[i];
    if (passed * kBlocks < all * static_cast<double>(out.size() + 1) || tokens == 0) continue;
    out.push_back(nats / tokens);
    tokens = nats = 0;
  }
  return out;
}

}  // namespace

std::optional<ValidationNoise> validation_noise(const std::vector<std::pair<const Member*, const Member*>>& pairs) {
  std::vector<std::vector<double>> table;
  for (const auto& [control, arm] : pairs) {
    const std::optional<Pieces> a = read_pieces(*control), b = read_pieces(*arm);
    if (!a || !b || a->tokens != b->tokens) return std::nullopt;
    table.push_back(differences(*a, *b));
    if (table.back().size() < 2 || table.back().size() != table.front().size()) return std::nullopt;
  }
  if (table.size() < 2) return std::nullopt;
  const stats::VarianceComponents c = stats::variance_components(table);
  return ValidationNoise{static_cast<int64_t>(table.size()), static_cast<int64_t>(table.front().size()), std::sqrt(c.seed),
                         std::sqrt(c.document_variance), std::sqrt(c.residual)};
}

Value document_of(const std::optional<ValidationNoise>& noise) {
  if (!noise) return {};
  Value v = Value::object();
  v["seeds"] = noise->seeds;
  v["blocks"] = noise->blocks;
  v["seed_sd"] = noise->seed_sd;
  v["text_sd"] = noise->text_sd;
  v["residual_sd"] = noise->residual_sd;
  return v;
}

}  // namespace assay::lab
