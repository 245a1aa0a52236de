#include "assay/report/report.h"

#include <cstdio>
#include <string>
#include <vector>

#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/output_path.h"
#include "assay/report/forms.h"

namespace assay::cli {

int run_report(const std::vector<std::string>& args) {
  CommandLine line("report", "Write what a campaign found as one HTML file that needs nothing else, or as tables and figures for a paper.");
  std::string directory, out, format = "html";
  line.positional("DIR", directory, "directory of the campaign");
  line.option("--out", out, "file, or folder of figures (DIR/report.html, report.md, report.tex, figures)");
  line.option("--format", format, "html, markdown, latex or svg");
  line.epilog(
      "The campaign may still run: the report says what is missing. Figures for papers (svg) need the Python that scripts/setup installs.");
  if (!line.parse(args)) return 0;
  if (line.given("--out")) (format == "svg" ? core::require_directory_place : core::require_file_place)("report", "--out", out);
  const report::Written written = report::write_report(directory, format, out);
  if (!line.json) {
    for (const std::string& file : written.files) std::printf("%s\n", file.c_str());
    return 0;
  }
  core::Value v = core::Value::object();
  v["format"] = format;
  v["files"] = core::Value::array();
  for (const std::string& file : written.files) v["files"].push_back(file);
  const core::Value document = report::json_form(written.document);
  for (const auto& [key, value] : document.as_object()) v[key] = value;
  std::printf("%s\n", core::to_json(v, 2).c_str());
  return 0;
}

}  // namespace assay::cli
