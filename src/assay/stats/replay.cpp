#include "assay/stats/replay.h"

#include <limits>
#include <string>

#include "assay/core/error.h"
#include "assay/stats/replay_cases.h"

namespace assay::stats {
namespace {

using core::Value;

std::vector<double> doubles(const Value& list) {
  std::vector<double> out;
  for (const Value& v : list.as_array()) out.push_back(v.is_null() ? std::numeric_limits<double>::quiet_NaN() : v.as_double());
  return out;
}

ReplayedCase replay_case(const Value& one, double tolerance, const std::vector<double>& kappa) {
  ReplayedCase out;
  out.name = one.at("name").as_string();
  out.kind = one.at("kind").as_string();
  const Replay sequential = sequential_replay(out.kind), replay = sequential ? sequential : companion_replay(out.kind);
  if (!replay) throw core::DataError("statistics", "case " + out.name + ": the kind " + out.kind + " is unknown");
  Agreement agreement(one.find("tolerance") ? one.at("tolerance").as_double() : tolerance);
  try {
    replay({one.at("input"), one.at("expect"), kappa, agreement});
  } catch (const core::Error& e) {
    throw core::DataError("statistics", "case " + out.name + ": " + e.what());
  }
  out.pass = agreement.pass();
  out.error = agreement.error();
  out.bound = agreement.bound();
  return out;
}

}  // namespace

std::vector<double> ReplayContext::list(std::string_view key) const { return doubles(input.at(key)); }
double ReplayContext::number(std::string_view key) const { return input.at(key).as_double(); }
int64_t ReplayContext::integer(std::string_view key) const { return input.at(key).as_int(); }

std::vector<ReplayedCase> replay_statistics(const Value& document) {
  if (document.at("format").as_int() != 1)
    throw core::DataError("statistics", "the cases have format " + std::to_string(document.at("format").as_int()) + "; wanted 1");
  const double tolerance = document.at("tolerance").as_double();
  const std::vector<double> kappa = doubles(document.at("kappa"));
  std::vector<ReplayedCase> out;
  for (const Value& one : document.at("cases").as_array()) out.push_back(replay_case(one, tolerance, kappa));
  return out;
}

}  // namespace assay::stats
