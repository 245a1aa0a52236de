#include "assay/train/rate_log.h"

#include "assay/core/value.h"

namespace assay::train {
namespace {

// Lines that read well and follow each other from step 0; anything else ends what can be trusted.
std::function<bool(std::string_view)> reader(std::vector<RateLog::Decision>& past, bool keep_stop) {
  return [&past, keep_stop](std::string_view line) {
    try {
      const core::Value v = core::parse_json(line, "rates.jsonl");
      if (v.at("step").as_int() != static_cast<int64_t>(past.size())) return false;
      if (v.at("stop").as_bool() && !keep_stop) return false;
      past.push_back({v.at("stop").as_bool(), v.at("multiplier").as_double(), v.at("elapsed").as_double()});
      return true;
    } catch (const std::exception&) {
      return false;
    }
  };
}

}  // namespace

RateLog::RateLog(core::FileSystem& fs, const std::string& path, bool keep_stop) : log_(fs, path, reader(past_, keep_stop)) {}

const RateLog::Decision* RateLog::recorded(int64_t step) const {
  return step < static_cast<int64_t>(past_.size()) ? &past_[static_cast<size_t>(step)] : nullptr;
}

void RateLog::record(int64_t step, const Decision& d) {
  core::Value v = core::Value::object();
  v["step"] = step;
  v["stop"] = d.stop;
  v["multiplier"] = d.multiplier;
  v["elapsed"] = d.elapsed;
  log_.append(core::to_json(v));
  past_.push_back(d);
}

}  // namespace assay::train
