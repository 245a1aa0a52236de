#pragma once
#include "assay/report/document.h"

namespace assay::report {

// The sections of a report, in the order in which they are read. One without blocks is left out.
Section verdict_section(const Campaign& c);
Section effect_section(const Campaign& c);
Section pair_section(const Campaign& c);
Section mode_section(const Campaign& c);
Section curve_section(const Campaign& c);
Section agreement_section(const Campaign& c);
Section audit_section(const Campaign& c);
Section cost_section(const Campaign& c);
Section fairness_section(const Campaign& c);
Section pairing_section(const Campaign& c);
Section member_section(const Campaign& c);
Section design_section(const Campaign& c);
Section difference_section(const Campaign& c);
Section setting_section(const Campaign& c);
Section environment_section(const Campaign& c);
Section repeat_section(const Campaign& c);
Section data_section(const Campaign& c);
Section register_section(const Campaign& c);

}  // namespace assay::report
