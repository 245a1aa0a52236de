#pragma once
#include <string>

#include "assay/core/value.h"

namespace assay::cli {

// The verdicts of a campaign's results document (docs/campaign.md), in any state of the campaign and with keys missing.

// {name, question, control, metric, ..., arms[]}: what the results say but members; an arm opens with name, verdict, effect, interval,
// e_value, p_value, seeds and reason, null where it has none. DataError where arms are no list of objects.
core::Value verdict_document(const core::Value& results);

// A sentence for each arm but the control, then a table of all.
std::string render_verdict(const core::Value& results);

}  // namespace assay::cli
