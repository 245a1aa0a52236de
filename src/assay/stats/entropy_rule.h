#pragma once
#include <cstdint>

namespace assay::stats {

// Whether a model can have assigned its losses honestly, on text whose generator is known.
//
// M = -log q(x) is what the model paid for the scored symbols x, G = -log p(x) what their generator knows them to be worth. If every
// prediction of the model depended on earlier symbols only, q would be a (sub)probability and E[q(x) / p(x)] <= 1 over the texts of the
// generator, so that P(G - M > log(1/delta)) <= delta by Markov's inequality: for every model, every tokenisation (which can only
// lower q) and every finite amount of text. A model beyond the threshold has seen what it predicts.
struct EntropyRule {
  int64_t symbols = 0;                                                              // scored tokens, whole documents with their end symbols
  double model_nats = 0, generator_nats = 0;                                        // M, G: totals in nats
  double threshold() const;                                                         // log(1/delta), delta = 1e-6
  bool refuted() const { return generator_nats - model_nats > threshold(); }        // "no leak" is false, at level delta
  double model_loss() const { return model_nats / static_cast<double>(symbols); }   // nats a symbol
  double entropy() const { return generator_nats / static_cast<double>(symbols); }  // the entropy line, nats a symbol
};

}  // namespace assay::stats
