#pragma once
#include "assay/report/document.h"

namespace assay::report {

// What `assay bench NAME --profile --json` prints (bench/profile.h) as a page: arithmetic against traffic, log-log, under the two measured
// ceilings; a point a phase of the update, and smaller ones for the operators that take most of the time, where their work is known.
Document roofline_document(const core::Value& profile);
core::Value roofline_chart(const core::Value& profile);

}  // namespace assay::report
