#include <doctest/doctest.h>

#include <set>
#include <string>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/value.h"
#include "assay/stats/replay.h"

using namespace assay;

namespace {

core::Value read(const std::string& name) {
  const std::string path = ASSAY_SOURCE_DIR "/tests/golden/statistics/" + name;
  return core::parse_json(core::read_file(path), path);
}

void check_all(const core::Value& document) {
  for (const stats::ReplayedCase& c : stats::replay_statistics(document))
    CHECK_MESSAGE(c.pass,
                  std::string(c.kind + " " + c.name + ": error " + std::to_string(c.error) + ", allowed " + std::to_string(c.bound)));
}

// Another answer of the same type: the last entry of a list, the value itself otherwise.
void spoil(core::Value& wanted) {
  if (wanted.is_array() && wanted.size() == 0) wanted.push_back(0);
  else if (wanted.is_array()) spoil(wanted.as_array().back());
  else if (wanted.is_string()) wanted = "refused";
  else if (wanted.is_int()) wanted = wanted.as_int() + 1;
  else wanted = wanted.is_null() ? core::Value(1.0) : core::Value(wanted.as_double() * (1 + 1e-5) + 1e-8);
}

core::Value document_with(const std::string& one) {
  return core::parse_json(R"({"format": 1, "tolerance": 1e-9, "kappa": [0.6, 1.2, 2.4, 4.8], "cases": [)" + one + "]}", "cases");
}

}  // namespace

TEST_CASE("every conformance case of the statistics is met, and there are many kinds of them") {
  const core::Value document = read("cases.json");
  check_all(document);
  std::set<std::string> kinds;
  for (const auto& c : stats::replay_statistics(document)) kinds.insert(c.kind);
  CHECK(kinds.size() == 22);
  CHECK(document.at("cases").size() >= 70);
}

TEST_CASE("tests for a fixed n, Holm and e-BH agree with scipy and statsmodels") { check_all(read("companions.json")); }

TEST_CASE("a case whose answer is changed fails, in every kind") {
  core::Value document = read("cases.json");
  std::set<std::string> kinds;
  for (core::Value& one : document["cases"].as_array()) {
    for (auto& [key, wanted] : one["expect"].as_object()) spoil(wanted);
    kinds.insert(one.at("kind").as_string());
  }
  for (const auto& c : stats::replay_statistics(document)) CHECK_MESSAGE(!c.pass, std::string(c.kind + " " + c.name + " still passes"));
  CHECK(kinds.size() == 22);
}

TEST_CASE("an unknown kind, a missing member and another format are errors that name the case") {
  CHECK_THROWS_WITH_AS(stats::replay_statistics(document_with(R"({"name": "a", "kind": "bayes", "input": {}, "expect": {}})")),
                       "[statistics] case a: the kind bayes is unknown", core::DataError);
  CHECK_THROWS_AS(stats::replay_statistics(document_with(R"({"name": "a", "kind": "holm", "input": {}, "expect": {}})")), core::DataError);
  CHECK_THROWS_AS(stats::replay_statistics(core::parse_json(R"({"format": 2})", "cases")), core::DataError);
}
