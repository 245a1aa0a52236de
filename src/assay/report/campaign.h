#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "assay/core/value.h"

namespace assay::report {

// What a campaign's directory says, as far as it says it: numbers that are absent or null are none, absent text is "".
// Effects and differences are control - arm in the unit of the metric, arm - control where higher is better: positive means that the arm is better.

using Number = std::optional<double>;

struct Interval {
  Number lower, upper;  // none: open at that end
};

struct SeedValue {
  int64_t seed = 0;
  double value = 0;
};

struct Finding {
  std::string check, where, message;
};

struct Audit {
  bool pass = false;
  std::string level, fingerprint;
  std::vector<Finding> findings;
};

// What pairing by seed was worth: the correlation of arm and control over seeds, and the number of paired seeds for each unpaired one.
struct Pairing {
  Number rho, sd_difference, seeds_ratio;
};

// What the spread of an arm's differences comes from.
struct ValidationNoise {
  Number seed_sd, text_sd, residual_sd;
  std::optional<int64_t> seeds, blocks;
};

// How often the rule erred when it was tried on arms that do not differ.
struct Calibration {
  double stated_rate = 0, false_rate = 0;
  std::string noise, command;
  std::optional<int64_t> campaigns;
};

// An option that two configurations disagree about; "" where one of them does not have it.
struct Change {
  std::string option, control, arm;
};

// What one run of the arm may spend, and how far that is from the control's in what is matched.
struct Budget {
  Number tokens, seconds, training_flops, mismatch;
  std::vector<std::pair<std::string, std::string>> solved;  // options
};

// One combination of tuned options, and what its runs scored.
struct Trial {
  std::vector<std::pair<std::string, double>> values;
  std::vector<double> scores;
  Number mean;
};
struct Tuning {
  std::vector<Trial> trials;
  std::vector<std::pair<std::string, double>> chosen;  // none yet: empty
  std::string edge;                                    // why the arm is refused, ""
};

// What an edit of the recipe asked for after the campaign had begun.
struct Deviation {
  Change edit;  // control: as it was frozen; arm: as it was asked for
  bool followed = false;
  std::string at;
  std::optional<int64_t> done;  // runs that were done then
};

// Outcomes with two modes: runs whose metric lies below the threshold escaped.
struct Modes {
  double threshold = 0;
  int64_t escaped = 0, runs = 0;
  Number median_escaped, median_rest;
};

struct Arm {
  std::string rung;                 // of a ladder of sizes, ""
  std::string name, arch, verdict;  // verdict: "" where none was reached yet
  std::string sentence, reason, effect_method;
  Number effect, level, e_value, log_e, p_value, p_holm, mean_difference, hodges_lehmann, stated_rate;
  std::optional<Interval> interval, interval_alone, gaussian_interval;
  Number gaussian_e_value;
  std::optional<int64_t> seeds;
  int64_t n = 0;
  Number mean, sd;
  std::vector<SeedValue> values, differences;
  std::optional<Audit> audit;
  Number parameters, training_flops_per_token, tokens_per_s, peak_bytes, seconds;
  std::optional<Pairing> pairing;
  std::vector<Change> change, undeclared, derived;
  std::optional<Budget> budget;
  std::optional<Tuning> tuning;
  std::optional<ValidationNoise> validation_noise;
  std::optional<Modes> modes;
};

struct Point {
  double tokens = 0, loss = 0;  // loss: nats a token
};

struct Agreement {
  int64_t distance = 0;
  double nats_per_word = 0;
};

struct Member {
  std::string arm, status, error;
  int64_t seed = 0;
  Number value, val_loss, tokens, seconds;
  std::optional<int64_t> exit_code;
  // From the member's own directory, where it exists:
  std::vector<Point> train, val;  // in the order of the file
  std::vector<Point> accuracy;    // of validations, a share in the place of the loss
  Number entropy;                 // of the validation text, nats a token
  std::vector<Agreement> agreement;
  core::Value environment, config;  // env.json and config.toml, null where absent
};

// A question that the design froze.
struct Hypothesis {
  std::string arm, control, metric, unit;
  Number margin, escape_threshold, cap;
};

struct Reference {
  std::string name, kind;
  double value = 0;  // in units of the metric
};

// A piece of a page that another program made, shown apart.
struct Fragment {
  std::string title, html;
};

struct Campaign {
  std::string directory, name, question, control, metric, match, rule, recipe_hash, created, product_backend, recipe;
  Number tokens;
  std::vector<int64_t> seeds;  // all that the recipe allows
  std::optional<int64_t> threads, rounds, not_needed;
  core::Value design;  // an object, without the hypotheses
  std::vector<Hypothesis> hypotheses;
  std::optional<Calibration> calibration;
  std::vector<Deviation> deviations;
  std::vector<Reference> references;
  std::vector<Arm> arms;
  std::vector<Member> members;
  std::vector<Fragment> fragments;
  std::string results;  // results.json as it is, "" where there is none yet

  const Arm* find(const std::string& arm) const;
  int64_t count(const std::string& status) const;
  Number margin() const;  // below which differences are equivalent: the design's, or that of all hypotheses
  bool finished() const;  // no member waits, runs or can go on, and every arm has its verdict
  bool is_control(const Arm& arm) const { return arm.name == control || arm.verdict == "control"; }
  std::string unit() const;  // of the metric: "nats", "bits per byte", "accuracy"
  bool higher_is_better() const;
  double better_by(double of_control, double of_arm) const;  // how much better the arm's value is than the control's
  std::string sides() const;                                 // what an effect is: "gpt2 - arm", or "arm - gpt2" where higher is better
  bool compares_losses() const;                              // in nats a token: reference lines belong into pictures of the loss
};

// Reads the directory of a campaign. ConfigError where it is none; DataError naming file and field where something in it is malformed. What is
// missing is none: a campaign may not have begun, or may still run.
Campaign read_campaign(const std::string& directory);

// The text of an option's value: text as it is, everything else as JSON.
std::string value_text(const core::Value& v);

}  // namespace assay::report
