#pragma once
#include <string>
#include <vector>

#include "assay/report/document.h"

namespace assay::report {

// A campaign on several sizes: each rung has its own control and arms.
std::vector<std::string> rungs_of(const Campaign& c);  // in the order of the arms; none where it is no ladder
Campaign on_rung(const Campaign& c, const std::string& rung);
Section on_rung(Section section, const std::string& rung);  // its title and the ids inside say the rung

// Effect against size, one line an arm.
Section ladder_section(const Campaign& c);
core::Value ladder_chart(const Campaign& c);

}  // namespace assay::report
