#include "assay/results/run_directory.h"

#include <algorithm>
#include <fstream>
#include <limits>

#include "assay/core/error.h"
#include "assay/core/file.h"

namespace assay::results {
namespace {

using core::DataError;
using core::Value;

constexpr uint64_t kSummaryLimit = uint64_t{1} << 20;
constexpr size_t kLine = 64 << 10;  // a line of metrics.jsonl is far shorter

// Reads the fields of one document; messages name the file and the field.
class Reader {
 public:
  Reader(const Value& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) throw DataError("results", where_ + ": wanted an object, found " + object.kind());
  }
  const std::string& text(const char* key) const { return field(key, &Value::is_string, "a string").as_string(); }
  std::string text_or_none(const char* key) const { return object_.find(key) ? text(key) : ""; }
  int64_t integer(const char* key) const { return field(key, &Value::is_int, "an integer").as_int(); }
  double number(const char* key) const { return field(key, &Value::is_number, "a number").as_double(); }
  bool has(const char* key) const { return object_.find(key) != nullptr; }
  std::optional<double> measured(const char* key) const {
    const Value* v = object_.find(key);
    if (v && v->is_null()) return std::nullopt;
    return number(key);
  }
  std::optional<stats::EntropyRule> entropy(const char* key) const {
    const Value* v = object_.find(key);
    if (v && v->is_null()) return std::nullopt;
    return entropy_from(field(key, &Value::is_object, "an object or null"));
  }
  [[noreturn]] void fail(const char* key, const std::string& message) const {
    throw DataError("results", where_ + ": field '" + key + "': " + message);
  }

 private:
  const Value& field(const char* key, bool (Value::*is)() const, const char* wanted) const {
    const Value* v = object_.find(key);
    if (!v) fail(key, std::string("missing; wanted ") + wanted);
    if (!(v->*is)()) fail(key, std::string("wanted ") + wanted + ", found " + v->kind());
    return *v;
  }
  const Value& object_;
  std::string where_;
};

Value optional_number(const std::optional<double>& v) { return v ? Value(*v) : Value(); }

Summary read_fields(const Reader& in) {
  Summary s;
  s.status = in.text("status");
  if (s.status != "done" && s.status != "interrupted" && s.status != "failed")
    in.fail("status", "wanted done, interrupted or failed, found '" + s.status + "'");
  const int64_t code = in.integer("exit_code");
  if (code < std::numeric_limits<int>::min() || code > std::numeric_limits<int>::max()) in.fail("exit_code", "out of range");
  s.exit_code = static_cast<int>(code);
  s.error = in.text("error");
  s.arch = in.text("arch");
  s.name = in.text("name");
  s.seed = in.integer("seed");
  s.fingerprint = in.text("fingerprint");
  s.data_hash = in.text("data_hash");
  s.steps = in.integer("steps");
  s.tokens = in.integer("tokens");
  s.train_loss = in.measured("train_loss");
  s.val_loss = in.measured("val_loss");
  s.val_bits_per_byte = in.measured("val_bits_per_byte");
  if (in.has("accuracy")) s.accuracy = in.measured("accuracy");  // older runs do not say it
  s.parameters = in.integer("parameters");
  s.seconds = in.number("seconds");
  s.tokens_per_s = in.number("tokens_per_s");
  s.peak_bytes = in.integer("peak_bytes");
  s.device = in.text("device");
  s.precision = in.text("precision");
  s.threads = in.integer("threads");
  s.product_backend = in.text("product_backend");
  s.step = in.text_or_none("step");
  s.entropy = in.entropy("entropy");
  return s;
}

Value parse_line(const std::string& line, const std::string& where) {
  Value v = core::parse_json(line, where);
  const Reader in(v, where);
  in.integer("step");
  in.text("kind");
  return v;
}

}  // namespace

Value entropy_value(const std::optional<stats::EntropyRule>& rule) {
  if (!rule) return {};
  Value v = Value::object();
  v["symbols"] = rule->symbols;
  v["model_nats"] = rule->model_nats;
  v["generator_nats"] = rule->generator_nats;
  v["threshold"] = rule->threshold();
  v["entropy"] = rule->entropy();
  v["refuted"] = rule->refuted();
  return v;
}

std::optional<stats::EntropyRule> entropy_from(const Value& v) {
  if (v.is_null()) return std::nullopt;
  const Reader in(v, "entropy");
  return stats::EntropyRule{in.integer("symbols"), in.number("model_nats"), in.number("generator_nats")};
}

Value Summary::to_value() const {
  Value v = Value::object();
  v["status"] = status;
  v["exit_code"] = exit_code;
  v["error"] = error;
  v["arch"] = arch;
  v["name"] = name;
  v["seed"] = seed;
  v["fingerprint"] = fingerprint;
  v["data_hash"] = data_hash;
  v["steps"] = steps;
  v["tokens"] = tokens;
  v["train_loss"] = optional_number(train_loss);
  v["val_loss"] = optional_number(val_loss);
  v["val_bits_per_byte"] = optional_number(val_bits_per_byte);
  v["accuracy"] = optional_number(accuracy);
  v["parameters"] = parameters;
  v["seconds"] = seconds;
  v["tokens_per_s"] = tokens_per_s;
  v["peak_bytes"] = peak_bytes;
  v["device"] = device;
  v["precision"] = precision;
  v["threads"] = threads;
  v["product_backend"] = product_backend;
  v["step"] = step;
  v["entropy"] = entropy_value(entropy);
  return v;
}

Summary Summary::from_value(const Value& v) { return read_fields(Reader(v, "summary")); }

std::optional<Summary> read_summary(const std::string& run_directory) {
  const std::string path = run_directory + "/summary.json";
  if (!core::file_exists(path) && !core::directory_exists(path)) return std::nullopt;
  const Value v = core::parse_json(core::read_file(path, kSummaryLimit), path);
  return read_fields(Reader(v, path));
}

void write_summary(const std::string& run_directory, const Summary& s) {
  core::write_file(core::real_files(), run_directory + "/summary.json", core::to_json(s.to_value(), 2) + "\n");
}

std::vector<Value> read_metrics(const std::string& run_directory) {
  const std::string path = run_directory + "/metrics.jsonl";
  const std::string text = core::read_file(path);
  std::vector<Value> out;
  size_t start = 0;
  for (size_t end; (end = text.find('\n', start)) != std::string::npos; start = end + 1)
    out.push_back(parse_line(text.substr(start, end - start), path + " line " + std::to_string(out.size() + 1)));
  return out;
}

Value last_metrics(const std::string& run_directory) {
  const std::string path = run_directory + "/metrics.jsonl";
  const std::string text = tail_of(path, kLine);
  const size_t end = text.rfind('\n');
  if (end == std::string::npos || end == 0) return {};
  const size_t before = text.rfind('\n', end - 1);
  const size_t start = before == std::string::npos ? 0 : before + 1;
  return parse_line(text.substr(start, end - start), path + " last line");
}

std::string tail_of(const std::string& path, size_t bytes) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  if (!in) return "";
  const std::streamoff size = in.tellg();
  const std::streamoff wanted = std::min(size, static_cast<std::streamoff>(bytes));
  if (wanted <= 0) return "";
  std::string text(static_cast<size_t>(wanted), '\0');
  in.seekg(size - wanted);
  in.read(text.data(), wanted);
  text.resize(static_cast<size_t>(in.gcount()));
  return text;
}

bool has_checkpoints(const std::string& run_directory) {
  const std::string path = run_directory + "/checkpoints";
  return core::directory_exists(path) && !core::list_directory(path).empty();
}

}  // namespace assay::results
