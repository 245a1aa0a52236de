#pragma once
#include "assay/data/tokenizer.h"
#include "assay/train/session.h"

namespace assay::inspect {

// The register lens: what the model would predict at each of its steps, if the rest of the steps did nothing. In a vocabulary-space model
// every state is a vector over the vocabulary and is read by the model's own output map; in others through the final norm and the head.

struct Guess {
  int64_t id = 0;
  double probability = 0;
};

// One step at one position.
struct Reading {
  std::vector<Guess> top;     // most probable first
  double entropy = 0;         // of the distribution, nats
  int64_t rank_of_truth = 0;  // 1: the token that follows is the best guess; 0 at the last position, where nothing follows
  double truth = 0;           // probability of the token that follows
  bool agrees = false;        // its best guess is the final answer's
};

struct Lens {
  std::vector<uint16_t> tokens;                // the text, T tokens
  std::vector<std::string> steps;              // "embed", "hops.0.propagation", ..., "answer"; those that can be read
  std::vector<std::vector<Reading>> readings;  // [step][position]
};

// `tokens` is one sequence, at least one token and no longer than the model takes.
Lens look(const arch::Built& built, const std::vector<uint16_t>& tokens, int64_t top);

// {tokens[]: {id, piece}, steps[]: {name, positions[]: {top[]: {id, piece, probability}, entropy, rank_of_truth, truth, agrees}}}
core::Value to_value(const Lens& lens, const data::Tokenizer* tokenizer);
std::string to_text(const Lens& lens, const data::Tokenizer* tokenizer);

// A table of steps x positions coloured by the probability of the token that follows: an HTML fragment with its own style, everything
// escaped, readable without colour.
std::string to_html(const Lens& lens, const data::Tokenizer* tokenizer);
std::string html_page(const std::string& title, const std::string& fragment);  // the fragment as a document

// How a token is shown to people: "▁the", "<0x0A>", or its number.
std::string shown(uint16_t id, const data::Tokenizer* tokenizer);

}  // namespace assay::inspect
