#include "assay/results/run_row.h"

#include <sys/stat.h>

#include <array>
#include <ctime>
#include <filesystem>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/results/run_directory.h"

namespace assay::results {
namespace {

using core::Value;

constexpr uint64_t kCampaignLimit = uint64_t{16} << 20;

constexpr Column columns[] = {
    {"path", ColumnKind::text},
    {"name", ColumnKind::text},
    {"campaign", ColumnKind::text},
    {"arm", ColumnKind::text},
    {"arch", ColumnKind::text},
    {"seed", ColumnKind::integer},
    {"status", ColumnKind::text},
    {"exit_code", ColumnKind::integer},
    {"error", ColumnKind::text},
    {"steps", ColumnKind::integer},
    {"tokens", ColumnKind::integer},
    {"parameters", ColumnKind::integer},
    {"train_loss", ColumnKind::number},
    {"val_loss", ColumnKind::number},
    {"val_bits_per_byte", ColumnKind::number},
    {"accuracy", ColumnKind::number},
    {"entropy", ColumnKind::number},
    {"leak", ColumnKind::boolean},
    {"seconds", ColumnKind::number},
    {"tokens_per_s", ColumnKind::number},
    {"peak_bytes", ColumnKind::integer},
    {"device", ColumnKind::text},
    {"precision", ColumnKind::text},
    {"threads", ColumnKind::integer},
    {"product_backend", ColumnKind::text},
    {"step", ColumnKind::text},
    {"fingerprint", ColumnKind::text},
    {"data_hash", ColumnKind::text},
    {"created", ColumnKind::text},
};

Value text_or_null(const std::string& text) { return text.empty() ? Value() : Value(text); }

// When a file was written, in UTC; null where there is none.
Value time_of(const std::string& file) {
  struct stat s {};
  tm utc{};
  if (::stat(file.c_str(), &s) != 0 || ::gmtime_r(&s.st_mtim.tv_sec, &utc) == nullptr) return {};
  std::array<char, 32> text{};
  return std::string(text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc));
}

// A directory's own name stands in for a campaign whose file cannot be read.
std::string campaign_name(const std::string& directory) {
  const std::string path = directory + "/campaign.json";
  try {
    return core::parse_json(core::read_file(path, kCampaignLimit), path, {.bytes = kCampaignLimit}).at("name").as_string();
  } catch (const core::Error&) {
    return core::printable(std::filesystem::path(directory).filename().string());
  }
}

Value stored(const Value& v) {
  if (v.is_bool()) return v.as_bool() ? "true" : "false";
  return v.is_array() ? Value(core::to_json(v)) : v;
}

void flatten(const Value& section, const std::string& prefix, Value& out) {
  for (const auto& [key, value] : section.as_object()) {
    const std::string name = prefix + key;
    if (value.is_object()) flatten(value, name + ".", out);
    else out[name] = stored(value);
  }
}

Value options_of(const Value& config) {
  Value out = Value::object();
  for (const auto& [section, values] : config.as_object())
    if (values.is_object() && section != "sources") flatten(values, section + ".", out);
  return out;
}

// `v` where it is of the column's kind, else null: a configuration may hold anything.
Value fitting(const Value* v, ColumnKind kind) {
  if (v == nullptr) return {};
  return (kind == ColumnKind::text ? v->is_string() : v->is_int()) ? *v : Value();
}

void add_begun(Value& row, const Value& config, const Value& options) {
  for (const char* key : {"arch", "name"}) row[key] = fitting(config.find(key), ColumnKind::text);
  for (const char* key : {"device", "precision"}) row[key] = fitting(options.find(std::string("train.") + key), ColumnKind::text);
  for (const char* key : {"seed", "threads"}) row[key] = fitting(options.find(std::string("train.") + key), ColumnKind::integer);
}

void add_progress(Value& row, const std::string& directory) try {
  const Value last = last_metrics(directory);
  if (last.is_null()) return;
  row["steps"] = last.at("step");
  row["tokens"] = fitting(last.find("tokens"), ColumnKind::integer);
} catch (const core::Error&) {
  row["steps"] = row["tokens"] = Value();  // a torn or foreign file says nothing
}

void add_summary(Value& row, const Summary& s) {
  const Value document = s.to_value();
  for (const auto& [key, value] : document.as_object())
    if (key != "entropy") row[key] = value;
  if (!s.entropy) return;
  row["entropy"] = s.entropy->entropy();
  row["leak"] = s.entropy->refuted();
}

void add_fault(Value& row, const core::Error& e) {
  row["status"] = "unreadable";
  row["error"] = e.what();
}

}  // namespace

std::span<const Column> run_columns() { return columns; }

RunRow read_run(const FoundRun& run) {
  RunRow out{Value::object(), Value::object()};
  Value& row = out.columns;
  for (const Column& c : columns)
    if (c.name != std::string_view("path")) row[c.name] = Value();
  row["campaign"] = run.campaign.empty() ? Value() : text_or_null(campaign_name(run.campaign));
  row["arm"] = text_or_null(run.arm);
  row["status"] = "unfinished";
  const std::string config_path = run.directory + "/config.toml";
  row["created"] = time_of(config_path);
  if (row["created"].is_null()) row["created"] = time_of(run.directory + "/summary.json");
  Value config = Value::object();
  try {
    if (core::file_exists(config_path)) config = core::parse_toml(core::read_file(config_path, kConfigLimit), config_path);
    out.options = options_of(config);
    add_begun(row, config, out.options);
  } catch (const core::Error& e) {
    add_fault(row, e);
  }
  try {
    if (const std::optional<Summary> s = read_summary(run.directory)) {
      const std::string fault = row["status"] == Value("unreadable") ? row["error"].as_string() : "";
      add_summary(row, *s);
      if (!fault.empty()) row["error"] = s->error.empty() ? fault : s->error + "; " + fault;
    } else {
      add_progress(row, run.directory);
    }
  } catch (const core::Error& e) {
    add_fault(row, e);
  }
  return out;
}

}  // namespace assay::results
