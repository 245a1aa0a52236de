#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "assay/stats/decision.h"

using namespace assay::stats;

namespace {

Verdict found(Word word) {
  Verdict v;
  v.name = "v8";
  v.control = "gpt2";
  v.unit = "nats";
  v.word = word;
  v.seeds = 9;
  v.effect = word == Word::worse ? -0.02131 : 0.02131;
  v.interval = word == Word::worse ? Interval{-0.03, -0.01} : Interval{0.01, 0.03};
  v.log_e = 3.1;
  v.alpha = 0.05;
  v.m = 4;
  v.mean = v.median = *v.effect;
  return v;
}

}  // namespace

TEST_CASE("the sentence of a finding names both arms, the effect, the interval, the seeds, the evidence and the rate") {
  CHECK(sentence_of(found(Word::better)) == "v8 beats gpt2 by 0.02131 [0.01, 0.03] nats after 9 paired seeds (e = 22.2; false-discovery "
                                            "rate at most 0.05 over 4 hypotheses, if the "
                                            "arms are exchangeable when they do not differ).");
  CHECK(sentence_of(found(Word::worse)) == "v8 loses to gpt2 by 0.02131 [0.01, 0.03] nats after 9 paired seeds (e = 22.2; false-discovery "
                                           "rate at most 0.05 over 4 hypotheses, if the "
                                           "arms are exchangeable when they do not differ).");
}

TEST_CASE("an undecided sentence says what would have been found, and why it ended") {
  Verdict v = found(Word::undecided);
  v.detectable_effect = 0.0417;
  v.detectable_power = 0.8;
  v.reason = "max_seeds reached";
  CHECK(sentence_of(v) == "Not decided after 9 paired seeds: 0.02131 [0.01, 0.03] nats, e = 22.2. A difference of 0.0417 nats would have "
                          "been found with probability "
                          "0.8. Reason: max_seeds reached.");
}

TEST_CASE("additions come in their order") {
  Verdict v = found(Word::better);
  v.within_margin = true;
  v.escape_threshold = 6.5;
  v.arm_escapes = {9, 9, {}};
  v.control_escapes = {4, 9, {}};
  v.diverged = 2;
  v.on_this_validation_set = true;
  v.interval = Interval{};
  CHECK(sentence_of(v) == "v8 beats gpt2 by 0.02131 [not yet] nats after 9 paired seeds (e = 22.2; false-discovery rate at most 0.05 over "
                          "4 hypotheses, if the arms "
                          "are exchangeable when they do not differ); by less than the margin; two modes: escape 9 of 9 against 4 of 9; 2 "
                          "runs diverged and score ln "
                          "V; the arms' outcomes differ in shape; this is a statement about paired seeds, not about the average; on this "
                          "validation set; interval "
                          "not yet bounded.");
}

TEST_CASE("a mean and a median of opposite signs are said to differ in shape") {
  Verdict v = found(Word::better);
  v.mean = -0.3;
  CHECK(sentence_of(v).find("outcomes differ in shape") != std::string::npos);
}

TEST_CASE("a verdict's document has the documented keys, and null where there is no number") {
  Design design;
  design.hypotheses = {{"v8", "gpt2"}, {"other", "gpt2"}};
  Decision decision(design);
  for (double d : {0.1, 0.3}) decision.feed(std::vector<Scores>{{d, 0}, {d, 0}});
  const assay::core::Value document = decision.document();
  CHECK(document.at("arms").size() == 3);
  CHECK(document.at("arms").as_array()[0].at("verdict").as_string() == "control");
  const assay::core::Value& v = document.at("arms").as_array()[1];
  for (const char* key :
       {"name", "verdict", "effect", "effect_method", "interval", "level", "interval_alone", "gaussian", "e_value", "log_e", "p_value",
        "p_holm", "mean", "hodges_lehmann", "improvement", "seeds", "reason", "sentence", "stated_rate"})
    CHECK_MESSAGE(v.find(key) != nullptr, std::string(key));
  CHECK(v.at("interval").is_null());
  CHECK(v.at("gaussian").at("interval").is_null());
  CHECK(v.at("gaussian").at("e_value").as_double() > 0);
  CHECK(v.at("mean").as_double() == doctest::Approx(0.2));
  CHECK(v.at("level").as_double() == doctest::Approx(0.975));
  CHECK(v.at("reason").as_string() == "still running");
}

TEST_CASE("variation of the validation set is mentioned where it exceeds a third of the effect") {
  Design design;
  design.hypotheses = {{"v8", "gpt2"}};
  Decision decision(design);
  for (double d : {1.0, 1.1, 1.2, 0.9, 1.3, 1.0, 1.1})
    if (decision.running()) decision.feed(std::vector<Scores>{{d, 0}});
  REQUIRE(decision.word(0) == Word::better);
  decision.set_document_sd(0, 0.2);
  CHECK(decision.verdicts()[0].sentence.find("on this validation set") == std::string::npos);
  decision.set_document_sd(0, 0.5);
  CHECK(decision.verdicts()[0].sentence.find("on this validation set") != std::string::npos);
}
