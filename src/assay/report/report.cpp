#include "assay/report/report.h"

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/report/forms.h"
#include "assay/report/svg.h"

namespace assay::report {
namespace {

struct Format {
  const char* name;
  const char* file;
  std::string (*write)(const Document&);  // nullptr: many files
};

constexpr Format kFormats[] = {{"html", "report.html", html_form},
                               {"markdown", "report.md", markdown_form},
                               {"latex", "report.tex", latex_form},
                               {"svg", "figures", nullptr}};

const Format& format_of(const std::string& name) {
  for (const Format& f : kFormats)
    if (name == f.name) return f;
  throw core::ConfigError("report", "--format is '" + name + "'; wanted html, markdown, latex or svg");
}

std::string without_slash(std::string directory) {
  while (directory.size() > 1 && directory.back() == '/') directory.pop_back();
  return directory;
}

}  // namespace

Written write_report(const std::string& directory, const std::string& format, const std::string& out) {
  const Format& f = format_of(format);
  const std::string campaign = without_slash(directory);
  Written w{{}, document_of(read_campaign(campaign))};
  const std::string path = out.empty() ? campaign + "/" + f.file : out;
  if (!f.write) {
    w.files = write_svg(w.document, path);
    return w;
  }
  core::write_file(core::real_files(), path, f.write(w.document));
  w.files = {path};
  return w;
}

}  // namespace assay::report
