#include "assay/report/svg.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/report/assets.h"
#include "assay/report/charts.h"

namespace assay::report {
namespace {

constexpr int64_t kWide = 720, kNarrow = 220;

std::string python() {
  const char* chosen = std::getenv("ASSAY_CHARTS_PYTHON");
  return chosen && *chosen ? chosen : ASSAY_CHARTS_PYTHON;
}

std::string file_of(const Panel& p) { return p.id.substr(std::string("chart-").size()); }

// What the process exited with; 128 + n where signal n ended it; -1 where it could not be started.
int run(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  if (::posix_spawn(&child, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) return -1;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

std::vector<std::string> write_svg(const Document& d, const std::string& folder) {
  core::make_directories(core::real_files(), folder);
  std::vector<std::string> pictures;
  for (const Panel* p : panels_of(d)) {
    const core::Value spec = standalone(p->spec, p->title.empty() || p->id.find("pairs") == std::string::npos ? kWide : kNarrow);
    core::write_file(core::real_files(), folder + "/" + file_of(*p) + ".vl.json", core::to_json(spec, 1) + "\n");
    pictures.push_back(folder + "/" + file_of(*p) + ".svg");
  }
  const int code = run({python(), "-c", std::string(assets::svg_program()), folder});
  if (code == 0) return pictures;
  const std::string what = code < 0 ? python() + " cannot be started" : python() + " ended with exit code " + std::to_string(code);
  throw core::ResourceError(
      "report", what + "; wanted a Python with vl-convert-python: run scripts/setup, or set ASSAY_CHARTS_PYTHON. The specs are in " +
                    folder + "/*.vl.json");
}

}  // namespace assay::report
