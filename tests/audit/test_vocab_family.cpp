// The audit of the seventeen published variants: sound by default; what it says of them as they were published.
#include <ATen/Parallel.h>
#include <doctest/doctest.h>

#include <set>

#include "arch/helpers.h"
#include "assay/audit/audit.h"
#include "assay/core/log.h"

using namespace assay;

namespace {

// "causality at hops.0.propagation (...)" for each finding.
std::vector<std::string> quick_audit(const std::string& name, const core::Value& options) {
  core::set_quiet(true);
  at::set_num_threads(1);
  train::RunConfig config(arch::find_architecture(name));
  for (const char* a : {"train.seq_len=24", "train.threads=1", "train.product=aten", "optim.lr=0.003"})
    config.settings.set_assignment(a, core::Source::command_line);
  core::Value document = core::Value::object();
  document["model"] = options;
  config.settings.set_document(document, core::Source::command_line);
  audit::Request request;
  request.level = audit::Level::quick;
  request.vocab = 40;
  request.cache = false;
  std::vector<std::string> all;
  for (const audit::CheckResult& c : audit::audit(config, request, at::kCPU).checks)
    for (const audit::Finding& f : c.findings) all.push_back(c.check + " at " + f.where + ": " + f.message);
  return all;
}

core::Value preset(const std::string& name, const char* which) {
  return testing::merged(arch::preset_options(arch::find_architecture(name), which), testing::small_options(name));
}

std::string joined(const std::vector<std::string>& lines) {
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  return all;
}

std::set<std::string> checks_of(const std::vector<std::string>& findings) {
  std::set<std::string> names;
  for (const std::string& line : findings) names.insert(line.substr(0, line.find(" at ")));
  return names;
}

}  // namespace

TEST_CASE("every variant passes the quick audit by default") {
  for (const auto& [name, options] : testing::small_vocab_options()) {
    const auto findings = quick_audit(name, testing::options_of(options));
    INFO(name << ":\n" << joined(findings));
    CHECK(findings.empty());
  }
}

TEST_CASE("as published, the audit names the defects that it can see and no others") {
  const std::map<std::string, std::set<std::string>> known = {
      {"v11a_mixed_ops", {"prefix consistency"}}, {"v11b_hard_routing", {"noise"}}, {"v15_aux_loss", {"loss"}}};
  for (const auto& [name, options] : testing::small_vocab_options()) {
    const auto findings = quick_audit(name, preset(name, "reference"));
    INFO(name << ":\n" << joined(findings));
    CHECK(checks_of(findings) == (known.count(name) != 0 ? known.at(name) : std::set<std::string>{}));
  }
}

TEST_CASE("as in the published table, the fifteen variants with the reversed mask are refused, v1 and v2 are not") {
  for (const auto& [name, options] : testing::small_vocab_options()) {
    const auto findings = quick_audit(name, preset(name, "historical"));
    INFO(name << ":\n" << joined(findings));
    CHECK((checks_of(findings).count("causality") != 0) == (name != "v1_shared_attn" && name != "v2_conv"));
    if (name == "v1_shared_attn" || name == "v2_conv") CHECK(findings.empty());
  }
}
