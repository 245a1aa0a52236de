#pragma once
#include <optional>
#include <span>
#include <string>

#include "assay/core/value.h"

namespace assay::results {

// One stretch of validation text as a model scored it.
struct ScoredPiece {
  int64_t tokens = 0;
  double nats = 0;  // in total
};

// The difference a - b of two models' losses on the same pieces, in nats a token: d = sum D_i / sum n_i with D_i the difference of piece i's
// totals and n_i its tokens. Pieces are taken for independent draws and tokens inside of one are not, so the standard error is that of a
// ratio of two cluster totals (Cochran, Sampling Techniques, 1977, section 6.4):
//   s(d)^2 = m / (m - 1) * sum (D_i - d n_i)^2 / (sum n_i)^2,  m pieces.
struct PieceDifference {
  int64_t pieces = 0, tokens = 0;
  double a_loss = 0, b_loss = 0, difference = 0;
  std::optional<double> standard_error;  // none: fewer than two pieces
};
// DataError: no pieces, other numbers of pieces or of tokens, a total that is not finite.
PieceDifference piece_difference(std::span<const ScoredPiece> a, std::span<const ScoredPiece> b);

// Two run directories beside each other (keys: docs/run-directory.md). DataError: one that has not ended or cannot be read, or runs on
// different data, whose losses cannot be compared. What only rules out the comparison piece by piece is its reason.
core::Value compare_runs(const std::string& a, const std::string& b);

}  // namespace assay::results
