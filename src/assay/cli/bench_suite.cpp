#include "assay/cli/bench_suite.h"

#include "assay/arch/architecture.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/lab/executor.h"

namespace assay::cli {
namespace {

using core::Value;
using Words = std::vector<std::string>;

// A model at a shape, as docs/performance.md has it.
struct Shape {
  const char* name;
  int64_t batch, seq_len;
  const char* precision;
  const char* options;  // KEY=VALUE words
};

constexpr const char* kFamily = "vocabulary space";  // this row stands for each of that family
constexpr const char* kGpt2Small = "model.n_layer=4 model.n_embd=256 model.n_head=4 model.vocab_size=1024";
constexpr const char* kGpt2 = "model.n_layer=12 model.n_embd=768 model.n_head=12 model.vocab_size=50257";
constexpr const char* kNgpt = "model.n_layer=11 model.n_embd=768 model.n_head=6 model.vocab_size=50257 model.gate=static optim.name=adamw";

constexpr Shape kOnCpu[] = {
    {kFamily, 4, 256, "fp32", "model.vocab_size=1024"},
    {"gpt2", 4, 256, "fp32", kGpt2Small},
    {"v2_conv", 4, 256, "bf16", "model.vocab_size=1024"},
    {"v8_lowrank_vv", 4, 256, "bf16", "model.vocab_size=1024"},
    {"v9_linattn", 4, 256, "bf16", "model.vocab_size=1024"},
    {"v12_vocab_slice", 4, 256, "bf16", "model.vocab_size=1024"},
    {"v13_with_embedding", 4, 256, "bf16", "model.vocab_size=1024"},
    {"gpt2", 4, 256, "bf16", kGpt2Small},
};
constexpr Shape kOnGpu[] = {
    {kFamily, 16, 1024, "bf16", "model.vocab_size=1024"},
    {"v8_lowrank_vv", 2, 256, "bf16", "model.vocab_size=1024"},
    {"gpt2", 16, 1024, "bf16", kGpt2},
    {"gpt2", 16, 256, "bf16", kGpt2Small},
    {"ngpt", 32, 128, "bf16", kNgpt},
    {"ngpt", 32, 1024, "bf16", kNgpt},
};
constexpr Shape kQuick[] = {
    {"v9_linattn", 2, 16, "fp32", "model.vocab_size=64 model.num_steps=1 model.state_dim=4 model.inner_dim=8"},
    {"gpt2", 2, 16, "bf16", "model.vocab_size=64 model.n_layer=1 model.n_embd=16 model.n_head=2"},
};

void append_words(Words& to, const std::string& text) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    to.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

SuiteRow row_of(const std::string& name, const Shape& s, const SuiteOptions& options) {
  SuiteRow row{name, {name, "--batch", std::to_string(s.batch), "--seq-len", std::to_string(s.seq_len), "--precision", s.precision}};
  row.words.insert(row.words.end(), {"--device", options.device});
  row.words.insert(row.words.end(), options.passed_on.begin(), options.passed_on.end());
  append_words(row.words, s.options);
  return row;
}

std::string command_of(const Words& words) {
  std::string text = "assay bench";
  for (const std::string& w : words) text += " " + w;
  return text;
}

// The last line that is not empty: an error stands after warnings.
std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const size_t before = text.rfind('\n');
  return before == std::string::npos ? text : text.substr(before + 1);
}

Value answered(const SuiteRow& row, const SuiteAnswer& a, double seconds) {
  Value v = Value::object();
  v["name"] = row.name;
  v["command"] = command_of(row.words);
  v["exit_code"] = a.exit_code;
  std::string error;
  Value result;
  if (a.exit_code == 0) {
    try {
      result = core::parse_json(a.out, row.name);
    } catch (const core::Error& e) {
      error = e.what();
    }
  } else {
    error = a.exit_code > 128 ? "ended by " + lab::signal_text(a.exit_code - 128) : last_line(a.err);
    if (error.empty()) error = "exit code " + std::to_string(a.exit_code);
  }
  v["error"] = error;
  v["seconds"] = seconds;
  v["result"] = std::move(result);
  return v;
}

}  // namespace

std::vector<SuiteRow> suite_rows(const SuiteOptions& options) {
  const std::span<const Shape> shapes = options.quick                        ? std::span<const Shape>(kQuick)
                                        : options.device.starts_with("cuda") ? std::span<const Shape>(kOnGpu)
                                                                             : std::span<const Shape>(kOnCpu);
  std::vector<SuiteRow> rows;
  for (const Shape& s : shapes) {
    if (std::string_view(s.name) != kFamily) {
      rows.push_back(row_of(s.name, s, options));
      continue;
    }
    for (const arch::ArchInfo* a : arch::architectures())
      if (a->family == kFamily) rows.push_back(row_of(std::string(a->name), s, options));
  }
  rows.push_back({"ops", {"--ops", "--device", options.device}});
  if (options.quick) rows.back().words.emplace_back("--quick");
  return rows;
}

SuiteAnswer ask_this_program(const std::vector<std::string>& words) {
  Words all{lab::this_program(), "bench"};
  all.insert(all.end(), words.begin(), words.end());
  const lab::Captured c = lab::capture(all);
  return {c.ending.signal != 0 ? 128 + c.ending.signal : c.ending.exit_code, c.out, c.err};
}

core::Value run_suite(const SuiteOptions& options, const AskRow& ask) {
  const std::vector<SuiteRow> rows = suite_rows(options);
  Value v = Value::object();
  v["device"] = options.device;
  v["quick"] = options.quick;
  v["rows"] = Value::array();
  core::Progress progress("suite", static_cast<int64_t>(rows.size()), 0);
  for (size_t i = 0; i < rows.size(); ++i) {
    progress.update(static_cast<int64_t>(i), rows[i].name);
    Words words = rows[i].words;
    words.insert(words.end(), {"--json", "--quiet"});
    const double begin = core::monotonic_seconds();
    const SuiteAnswer answer = ask(words);
    if (i == 0 && answer.exit_code == static_cast<int>(core::Exit::device))
      throw core::Error(core::Exit::device, "bench", "--suite: " + last_line(answer.err));
    v["rows"].push_back(answered(rows[i], answer, core::monotonic_seconds() - begin));
  }
  progress.update(static_cast<int64_t>(rows.size()), "done");
  return v;
}

}  // namespace assay::cli
