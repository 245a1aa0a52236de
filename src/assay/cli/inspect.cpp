#include <algorithm>
#include <cstdio>

#include "assay/cli/commands.h"
#include "assay/cli/run_options.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/output_path.h"
#include "assay/inspect/calibration.h"
#include "assay/inspect/lens.h"
#include "assay/inspect/scales.h"
#include "assay/inspect/sharpness.h"

namespace assay::cli {
namespace {

constexpr int64_t kCalibrationPositions = 20000;

// The text's tokens with bos before them, or the beginning of the validation text.
std::vector<uint16_t> tokens_of(const OpenedRun& run, const std::string& text, int64_t most) {
  const data::Tokenizer* tokenizer = run.corpus.tokenizer.get();
  std::vector<uint16_t> ids;
  if (text.empty()) {
    ids.resize(std::min<uint64_t>(run.corpus.val->size(), static_cast<uint64_t>(most)));
    run.corpus.val->read(0, ids.size(), ids.data());
    return ids;
  }
  if (tokenizer == nullptr)
    throw core::ConfigError("inspect", run.corpus.name + " has no tokenizer; leave --text out to see its validation tokens");
  ids = tokenizer->encode(text);
  if (tokenizer->bos() >= 0) ids.insert(ids.begin(), static_cast<uint16_t>(tokenizer->bos()));
  if (static_cast<int64_t>(ids.size()) > run.config->train.seq_len)
    throw core::ConfigError("inspect", "--text is " + std::to_string(ids.size()) + " tokens long; this run's sequences have " +
                                           std::to_string(run.config->train.seq_len));
  return ids;
}

// On the first validation windows, as many as a training step has.
inspect::Sharpness sharpness_of(const OpenedRun& run) {
  const int64_t T = run.config->train.seq_len, n = std::min(run.config->rows(), data::validation_windows(*run.corpus.val, T));
  if (n < 1) throw core::ConfigError("inspect", "the validation part holds no window of train.seq_len=" + std::to_string(T));
  const train::Batch batch = train::to_batch(data::validation_rows(*run.corpus.val, T, 0, n), run.built.params->device());
  return inspect::sharpness(run.built, {&batch, 1});
}

std::string document(const char* key, core::Value rows) {
  core::Value v = core::Value::object();
  v[key] = std::move(rows);
  return core::to_json(v, 2) + "\n";
}

}  // namespace

int run_inspect(const std::vector<std::string>& args) {
  CommandLine line("inspect", "The register lens: what each step of a trained model would predict, if the remaining steps did nothing.");
  std::string directory, text, device, format = "text", out;
  int64_t top = 3, tokens = 24;
  bool sharpness = false, scales = false, calibration = false;
  line.positional("DIR", directory, "run directory or checkpoint directory");
  line.option("--text", text, "text to look at; default: the beginning of the validation text");
  line.option("--tokens", tokens, "how much of the validation text");
  line.option("--top", top, "guesses of each step");
  line.option("--format", format, "text, html or fragment (to be put into a page)");
  line.option("--out", out, "file to write instead of stdout");
  line.flag("--sharpness", sharpness,
            "instead: top eigenvalue of the loss's Hessian on validation windows, and the loss under noise on the weights");
  line.flag("--scales", scales, "instead: what the model has learnt in its gates, steps, gains and other vectors and scalars");
  line.flag("--calibration", calibration,
            "instead: confidence, calibration error and likelihood on validation windows, of softmax and ShiftMax, as they are and with a "
            "tuned temperature");
  line.option("--device", device, "cpu, cuda or cuda:N; default: the run's");
  if (!line.parse(args)) return 0;
  if (sharpness + scales + calibration > 1)
    throw core::ConfigError("inspect", "--sharpness, --scales and --calibration are different looks; choose one");
  line.refuse_unread({{"the register lens", {"--text", "--tokens", "--top", "--format", "--out"}},
                      {"--sharpness", {}},
                      {"--scales", {}},
                      {"--calibration", {}}},
                     sharpness     ? 1
                     : scales      ? 2
                     : calibration ? 3
                                   : 0);
  if (line.given("--text") && line.given("--tokens"))
    throw core::ConfigError("inspect", "--tokens is of the validation text, and --text gives another");
  for (const char* option : {"--format", "--out"})
    if (line.json && line.given(option))
      throw core::ConfigError("inspect", std::string(option) + " is for people; --json prints its document on stdout");
  if (line.given("--out")) core::require_file_place("inspect", "--out", out);
  if (top < 1 || top > 100) throw core::ConfigError("inspect", "--top must lie in 1..100, got " + std::to_string(top));
  if (tokens < 1) throw core::ConfigError("inspect", "--tokens must be at least 1, got " + std::to_string(tokens));
  if (format != "text" && format != "html" && format != "fragment")
    throw core::ConfigError("inspect", core::unknown_name("format", format, {"text", "html", "fragment"}));
  const OpenedRun run = open_run(directory, device, {});
  if (sharpness || scales || calibration) {
    std::string page;
    if (sharpness) {
      const inspect::Sharpness s = sharpness_of(run);
      page = line.json ? core::to_json(inspect::to_value(s), 2) + "\n" : inspect::to_text(s);
    } else if (calibration) {
      const train::EvaluationRequest request{*run.corpus.val, nullptr, nullptr, run.config->train.seq_len, run.config->rows()};
      const std::vector<inspect::Calibration> all = inspect::calibrations(run.built, request, kCalibrationPositions);
      page = line.json ? document("calibration", inspect::to_value(all)) : inspect::to_text(all);
    } else {
      const std::vector<inspect::Scale> all = inspect::scales(run.built);
      page = line.json ? document("scales", inspect::to_value(all)) : inspect::to_text(all);
    }
    std::fwrite(page.data(), 1, page.size(), stdout);
    return 0;
  }
  const data::Tokenizer* tokenizer = run.corpus.tokenizer.get();
  const inspect::Lens lens = inspect::look(run.built, tokens_of(run, text, std::min(tokens, run.config->train.seq_len)), top);
  const std::string title = run.config->name + " (" + std::string(run.config->architecture->name) + ")";
  std::string page;
  if (line.json) page = core::to_json(inspect::to_value(lens, tokenizer), 2) + "\n";
  else if (format == "text") page = inspect::to_text(lens, tokenizer);
  else page = format == "html" ? inspect::html_page(title, inspect::to_html(lens, tokenizer)) : inspect::to_html(lens, tokenizer);
  if (!out.empty()) core::write_file(core::real_files(), out, page);
  else std::fwrite(page.data(), 1, page.size(), stdout);
  return 0;
}

}  // namespace assay::cli
