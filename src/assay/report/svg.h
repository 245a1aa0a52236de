#pragma once
#include <string>
#include <vector>

#include "assay/report/document.h"

namespace assay::report {

// Writes the document's charts into `folder`: NAME.vl.json for each, and NAME.svg through vl-convert. Returns the paths of the pictures.
// ResourceError where there is no Python with vl-convert (ASSAY_CHARTS_PYTHON, else the one known when the program was built): the specs
// are then there all the same.
std::vector<std::string> write_svg(const Document& d, const std::string& folder);

}  // namespace assay::report
