#include "assay/stats/entropy_rule.h"

#include <doctest/doctest.h>

#include <cmath>
#include <random>

using assay::stats::EntropyRule;

TEST_CASE("the rule refutes beyond ln(10^6) nats and not before") {
  CHECK(EntropyRule{}.threshold() == doctest::Approx(std::log(1e6)).epsilon(1e-12));
  CHECK_FALSE(EntropyRule{10, 100, 100 + 13.8}.refuted());
  CHECK(EntropyRule{10, 100, 100 + 13.9}.refuted());
  CHECK_FALSE(EntropyRule{10, 100, 90}.refuted());
  CHECK(EntropyRule{50, 100, 200}.model_loss() == 2);
  CHECK(EntropyRule{50, 100, 200}.entropy() == 4);
}

TEST_CASE("an honest model is accused no more often than Markov's inequality allows, however little text is scored") {
  // The generator tosses a coin with P(1) = 0.7; honest models say other probabilities. The level here is e^-2, so that the bound is seen.
  std::mt19937_64 random(5);
  std::bernoulli_distribution coin(0.7);
  for (const double claimed : {0.5, 0.7, 0.8, 0.95}) {
    const int texts = 20000;
    int accused = 0;
    for (int i = 0; i < texts; ++i) {
      double model = 0, generator = 0;
      for (int k = 0; k < 12; ++k) {
        const bool one = coin(random);
        model -= std::log(one ? claimed : 1 - claimed);
        generator -= std::log(one ? 0.7 : 0.3);
      }
      accused += generator - model > 2 ? 1 : 0;
    }
    CHECK(accused < texts * (std::exp(-2.0) + 4 * std::sqrt(std::exp(-2.0) / texts)));
  }
}
