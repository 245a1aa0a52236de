#include "assay/audit/audit.h"

#include <dlfcn.h>

#include <cstdlib>
#include <span>

#include "assay/audit/checks.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "assay/core/log.h"
#include "assay/tensor/device.h"
#include "assay/tensor/failure.h"

namespace assay::audit {
namespace {

struct Entry {
  const char* name;
  void (*run)(const Subject& s, CheckResult& r);
  Level from;  // the lowest level that runs it
};

constexpr Entry entries[] = {
    {"causality", check_causality, Level::quick},
    {"causality of gradients", check_causality_of_gradients, Level::quick},
    {"prefix consistency", check_prefix_consistency, Level::quick},
    {"batch independence", check_batch_independence, Level::quick},
    {"noise", check_noise, Level::quick},
    {"state", check_state, Level::quick},
    {"finite", check_finite, Level::quick},
    {"loss", check_loss, Level::quick},
    {"target alignment", check_alignment, Level::quick},
    {"gradients", check_gradients, Level::quick},
    {"update", check_update, Level::quick},
    {"dead parameters", check_dead_parameters, Level::quick},
    {"determinism", check_determinism, Level::quick},
    {"resume", check_resume, Level::full},
    {"options", check_options, Level::full},
    {"uniform tokens", check_uniform_tokens, Level::full},
    {"entropy of known text", check_known_text, Level::full},
};

CheckResult run(const Entry& entry, const Subject& s) {
  CheckResult r;
  r.check = entry.name;
  const double start = core::monotonic_seconds();
  try {
    entry.run(s, r);
  } catch (const std::exception& any) {
    r.findings.push_back({"", std::string("could not be run: ") + tensor::to_error(any).what()});
  }
  r.seconds = core::monotonic_seconds() - start;
  return r;
}

// The file that holds this code: the shared library, or the program where it is linked in.
std::string code_hash() {
  static const std::string hash = [] {
    Dl_info info{};
    if (dladdr(reinterpret_cast<const void*>(&level_from), &info) == 0 || info.dli_fname == nullptr) return std::string();
    return core::hash_file(info.dli_fname);
  }();
  return hash;
}

// "" where the user has no place for it.
std::string cache_file(const std::string& fingerprint) {
  const std::string root = core::user_cache();
  return root.empty() ? "" : root + "/audits/" + fingerprint + ".json";
}

std::optional<Report> cached(const std::string& file, const std::string& fingerprint) {
  if (file.empty() || !core::file_exists(file)) return std::nullopt;
  try {
    Report r = Report::from_value(core::parse_json(core::read_file(file, 1 << 20), file));
    if (r.fingerprint == fingerprint) return r;
  } catch (const core::Error& e) {
    core::warn(std::string("the cached audit is not readable and is made anew: ") + e.what());
  }
  return std::nullopt;
}

void store(const std::string& file, const Report& r) {
  if (file.empty()) return;
  try {
    core::make_directories(core::real_files(), file.substr(0, file.find_last_of('/')));
    core::write_file(core::real_files(), file, core::to_json(r.to_value(), 2) + "\n");
  } catch (const core::Error& e) {  // the audit itself is complete
    core::warn(std::string("the audit was not kept for the next time: ") + e.what());
  }
}

}  // namespace

std::string audit_fingerprint(const train::RunConfig& config, const Request& request) {
  std::string all = code_hash() + "\n" + tensor::torch_version() + "\n" + config.fingerprint() + "\n" + name_of(request.level) + "\n" +
                    std::to_string(request.vocab) + "\n" + config.train.device + "\n" + request.weights_hash;
  return core::hash128_hex(all);
}

Report audit(const train::RunConfig& config, const Request& request, const at::Device& device) {
  const std::string fingerprint = audit_fingerprint(config, request),
                    file = request.cache && !code_hash().empty() ? cache_file(fingerprint) : "";
  if (std::optional<Report> known = cached(file, fingerprint)) return *known;
  Report report;
  report.name = config.architecture->name;
  report.level = name_of(request.level);
  report.fingerprint = fingerprint;
  core::Progress progress("audit " + report.name, std::size(entries));
  const Subject subject(config, request.vocab, request.level, device, request.trained);
  int64_t done = 0;
  for (const Entry& entry : entries) {
    progress.update(done++, entry.name);
    if (entry.from <= request.level) report.checks.push_back(run(entry, subject));
  }
  store(file, report);
  return report;
}

}  // namespace assay::audit
