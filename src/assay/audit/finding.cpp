#include "assay/audit/finding.h"

#include <algorithm>

#include "assay/core/error.h"

namespace assay::audit {
namespace {

using core::Value;

Value value_of(const CheckResult& c) {
  Value v = Value::object();
  v["check"] = c.check;
  v["pass"] = c.pass();
  v["skipped"] = c.skipped;
  v["note"] = c.note;
  v["seconds"] = c.seconds;
  v["findings"] = Value::array();
  for (const Finding& f : c.findings) {
    Value row = Value::object();
    row["where"] = f.where;
    row["message"] = f.message;
    v["findings"].push_back(row);
  }
  return v;
}

}  // namespace

bool Report::pass() const {
  return std::all_of(checks.begin(), checks.end(), [](const CheckResult& c) { return c.pass(); });
}

double Report::seconds() const {
  double s = 0;
  for (const CheckResult& c : checks) s += c.seconds;
  return s;
}

Value Report::to_value() const {
  Value v = Value::object();
  v["name"] = name;
  v["level"] = level;
  v["fingerprint"] = fingerprint;
  v["pass"] = pass();
  v["seconds"] = seconds();
  v["checks"] = Value::array();
  for (const CheckResult& c : checks) v["checks"].push_back(value_of(c));
  return v;
}

Report Report::from_value(const Value& v) {
  Report r;
  r.name = v.at("name").as_string();
  r.level = v.at("level").as_string();
  r.fingerprint = v.at("fingerprint").as_string();
  for (const Value& c : v.at("checks").as_array()) {
    CheckResult result;
    result.check = c.at("check").as_string();
    result.note = c.at("note").as_string();
    result.skipped = c.at("skipped").as_bool();
    result.seconds = c.at("seconds").as_double();
    for (const Value& f : c.at("findings").as_array()) result.findings.push_back({f.at("where").as_string(), f.at("message").as_string()});
    r.checks.push_back(std::move(result));
  }
  return r;
}

}  // namespace assay::audit
