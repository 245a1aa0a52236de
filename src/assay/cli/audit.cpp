#include "assay/audit/audit.h"

#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/hash.h"

namespace assay::cli {
namespace {

// The data's vocabulary without generating or counting more of it than that takes.
int64_t vocabulary(const train::RunConfig& config) {
  data::DataConfig small = config.data;
  small.corpus_tokens = small.corpus_val_tokens = 2;
  return data::open_corpus(small).vocab_size;
}

void print(const audit::Report& r) {
  for (const audit::CheckResult& c : r.checks) {
    std::printf("%-7s %-24s %6.2f s  %s\n", c.skipped ? "skipped" : c.pass() ? "pass" : "FAIL", c.check.c_str(), c.seconds, c.note.c_str());
    for (const audit::Finding& f : c.findings) {
      if (!f.where.empty()) std::printf("        at %s\n", f.where.c_str());
      std::printf("        %s\n", f.message.c_str());
    }
  }
  size_t failed = 0;
  for (const audit::CheckResult& c : r.checks) failed += c.pass() ? 0 : 1;
  std::printf("%s: ", r.name.c_str());
  if (failed == 0) std::printf("passes the %s audit", r.level.c_str());
  else
    std::printf("does not pass the %s audit, %zu of %zu checks failed: its numbers do not count", r.level.c_str(), failed, r.checks.size());
  std::printf(" (%.1f s of checks, fingerprint %s)\n", r.seconds(), r.fingerprint.c_str());
}

std::string hash_of(const arch::Built& b) {
  const Tensor flat = b.params->values().detach().to(at::kCPU).contiguous();
  return core::hash128_hex({static_cast<const char*>(flat.const_data_ptr()), flat.nbytes()});
}

}  // namespace

int run_audit(const std::vector<std::string>& args) {
  CommandLine line(
      "audit",
      "The checks that a model must pass before its numbers count: it must not see the future, nor other rows, nor earlier calls ...");
  RunOptions options;
  std::string level = "full", checkpoint;
  bool no_cache = false;
  line.positional("NAME", options.arch, "architecture; `assay list architectures` names them");
  declare_preset(line, options.preset);
  line.option("--level", level, "quick (seconds) or full");
  line.option("--checkpoint", checkpoint, "run or checkpoint directory: audit its options, and its weights beside fresh ones");
  line.option("--data", options.data, "data.path: whose vocabulary the model is built for");
  line.option("--seq-len", options.seq_len, "train.seq_len: the longest sequence that is tried");
  line.option("--device", options.device, "cpu, cuda or cuda:N");
  line.option("--threads", options.threads, "CPU threads");
  line.flag("--no-cache", no_cache, "look again even where this program has audited the same before");
  line.assignments(options.assignments, "any option, e.g. model.interaction_rank=16 compat.reversed_mask=true");
  line.epilog("exit code 1: the audit found something. Results are kept in the user's cache, by the fingerprint of program and options.\n");
  if (!line.parse(args)) return 0;

  audit::Request request;
  request.level = audit::level_from(level);
  request.cache = !no_cache;
  std::unique_ptr<train::RunConfig> config;
  OpenedRun run;
  if (!checkpoint.empty()) {
    if (!options.preset.empty()) throw core::ConfigError("audit", "--preset sets options, which --checkpoint has of its own");
    run = open_run(checkpoint, options.device, options.assignments);
    if (run.config->architecture != &arch::find_architecture(options.arch))
      throw core::ConfigError("audit", checkpoint + " holds a " + std::string(run.config->architecture->name) + ", not a " + options.arch);
    request.vocab = run.corpus.vocab_size;
    request.trained = &run.built;
    request.weights_hash = hash_of(run.built);
    config = std::move(run.config);
  } else {
    config = options.resolve(line, false);
    request.vocab = vocabulary(*config);
  }
  config->check();
  const train::Machine machine = train::prepare_machine(config->train);
  const audit::Report report = audit::audit(*config, request, machine.device);
  if (line.json) std::printf("%s\n", core::to_json(report.to_value(), 2).c_str());
  else print(report);
  return static_cast<int>(report.pass() ? core::Exit::ok : core::Exit::check_failed);
}

}  // namespace assay::cli
