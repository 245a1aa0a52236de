#include "assay/bench/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/tensor/failure.h"

namespace assay::bench {
namespace {

using core::Value;

Value number(const std::optional<double>& v) { return v && std::isfinite(*v) ? Value(*v) : Value(); }

Value row(const std::string& name, const results::Summary& s, const std::string& directory) {
  Value v = Value::object();
  v["name"] = name;
  v["status"] = s.status;
  v["error"] = s.error;
  v["parameters"] = s.parameters;
  v["steps"] = s.steps;
  v["tokens"] = s.tokens;
  v["val_loss"] = number(s.val_loss);
  v["val_bits_per_byte"] = number(s.val_bits_per_byte);
  v["train_loss"] = number(s.train_loss);
  v["tokens_per_s"] = s.tokens_per_s;
  v["seconds"] = s.seconds;
  v["directory"] = directory;
  return v;
}

// What a failed run left behind; without a summary, the message alone.
results::Summary failed(const std::string& directory, const core::Error& e) {
  results::Summary s;
  try {
    if (const auto left = results::read_summary(directory)) s = *left;
  } catch (const core::Error&) {  // unreadable: the message says why the run ended
  }
  s.status = "failed";
  s.error = e.what();
  return s;
}

void require_distinct(const std::vector<std::unique_ptr<train::RunConfig>>& configs) {
  std::set<std::string_view> names;
  for (const auto& c : configs)
    if (!names.insert(c->architecture->name).second)
      throw core::ConfigError(
          "bench", "--compare names " + std::string(c->architecture->name) + " twice; a second run of it would show noise alone");
}

// Whatever train_new would refuse is refused before the first run starts. A run that cannot be had for another reason, such as memory, fails
// in its turn.
void require_accepted(train::RunConfig& config) {
  try {
    train::dry_run(config);
  } catch (const core::Error& e) {
    if (e.code() == core::Exit::bad_input) throw;
  } catch (const std::exception&) {  // shown by the run
  }
}

}  // namespace

core::Value compare_timed(const std::vector<std::unique_ptr<train::RunConfig>>& configs, double minutes, const std::string& directory,
                          const TrainOne& train_one) {
  if (!(minutes > 0)) throw core::ConfigError("bench", "--minutes must be more than 0, got " + std::to_string(minutes));
  if (configs.empty()) throw core::ConfigError("bench", "--compare wants names of architectures, separated by commas");
  require_distinct(configs);
  const auto directory_of = [&](const train::RunConfig& c) { return directory + "/" + std::string(c.architecture->name); };
  for (const auto& c : configs) {
    c->settings.set("train.seconds", 60 * minutes, core::Source::command_line);
    for (const char* off : {"train.steps", "train.tokens", "train.checkpoint_every", "train.val_every"})
      c->settings.set(off, int64_t{0}, core::Source::command_line);
    c->check();
    if (core::directory_exists(directory_of(*c)))
      throw core::ConfigError("bench", directory_of(*c) + " is there already; --out takes the directory of a new comparison");
    require_accepted(*c);
  }
  std::vector<std::pair<double, Value>> rows;  // by validation loss
  for (const auto& c : configs) {
    const std::string name(c->architecture->name), run = directory_of(*c);
    c->name = name;
    results::Summary s;
    try {
      s = train_one(*c, run);
    } catch (const std::exception& any) {
      const core::Error e = tensor::to_error(any);
      if (e.code() == core::Exit::interrupted) throw;  // by its code: on its way here an error may have been copied as its base
      core::warn(name + ": " + e.what());
      s = failed(run, e);
    }
    const bool ranked = s.error.empty() && s.val_loss && std::isfinite(*s.val_loss);
    rows.emplace_back(ranked ? *s.val_loss : std::numeric_limits<double>::infinity(), row(name, s, run));
  }
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  Value v = Value::object();
  v["minutes"] = minutes;
  v["directory"] = directory;
  v["runs"] = Value::array();
  for (auto& [loss, r] : rows) v["runs"].push_back(std::move(r));
  core::make_directories(core::real_files(), directory);  // where no run came so far
  core::write_file(core::real_files(), directory + "/comparison.json", core::to_json(v, 2) + "\n");
  return v;
}

}  // namespace assay::bench
