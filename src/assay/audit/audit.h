#pragma once
#include "assay/audit/finding.h"
#include "assay/audit/subject.h"

namespace assay::audit {

struct Request {
  Level level = Level::full;
  int64_t vocab = 0;               // of the data
  arch::Built* trained = nullptr;  // weights of a checkpoint, audited too
  std::string weights_hash;        // identity of those weights, for the fingerprint
  bool cache = true;               // take and leave results in the user's cache
};

// Runs every check of the level on the architecture with its options, as a run with this configuration would build it. An error inside of
// a check (a model that refuses a length, say) is a finding of that check. `config` has been checked; device, threads and product
// library are prepared.
Report audit(const train::RunConfig& config, const Request& request, const at::Device& device);

// What an audit is valid for: this program's code, the architecture, every option that can change a result, level and vocabulary.
std::string audit_fingerprint(const train::RunConfig& config, const Request& request);

}  // namespace assay::audit
