#pragma once
#include <string>
#include <vector>

#include "assay/report/document.h"

namespace assay::report {

struct Written {
  std::vector<std::string> files;
  Document document;
};

// Reads the campaign in `directory` and writes its report. `format`: "html", "markdown", "latex" to a file, "svg" to a folder; `out`: where,
// "" for report.html, report.md, report.tex or figures in the directory. ConfigError for another format or where there is no campaign;
// DataError where its files are malformed; ResourceError where nothing can be written or no SVG made.
Written write_report(const std::string& directory, const std::string& format, const std::string& out);

}  // namespace assay::report
