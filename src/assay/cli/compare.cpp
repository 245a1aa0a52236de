#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/cli/text_table.h"
#include "assay/core/error.h"
#include "assay/results/run_comparison.h"

namespace assay::cli {
namespace {

using core::Value;
using Side = TextTable::Side;

std::string runs_text(const Value& v) {
  TextTable table({"", "arch", "seed", "status", "tokens", "parameters", "seconds", "path"},
                  {Side::left, Side::left, Side::right, Side::left, Side::right, Side::right, Side::right, Side::left});
  for (const char* side : {"a", "b"}) {
    const Value& run = v.at(side);
    table.add({side, cell(run.at("arch")), cell(run.at("seed")), cell(run.at("status")), cell(run.at("tokens")), cell(run.at("parameters")),
               cell(run.at("seconds")), cell(run.at("path"))});
  }
  return table.text();
}

std::string differences_text(const Value& rows) {
  if (rows.size() == 0) return "\nThe configurations are the same.\n";
  TextTable table({"option", "a", "b"}, {Side::left, Side::left, Side::left});
  for (const Value& row : rows.as_array()) table.add({row.at("option").as_string(), cell(row.at("a")), cell(row.at("b"))});
  return "\n" + table.text();
}

std::string losses_text(const Value& losses) {
  TextTable table({"loss", "a", "b", "a - b"}, {Side::left, Side::right, Side::right, Side::right});
  for (const auto& [name, row] : losses.as_object())
    table.add({name, cell(row.at("a")), cell(row.at("b")), signed_cell(row.at("difference"))});
  return "\n" + table.text();
}

std::string paired_text(const Value& v) {
  const Value& p = v.at("paired");
  if (p.is_null()) return "\nNo comparison of the validations piece by piece: " + core::printable(v.at("paired_reason").as_string()) + "\n";
  const std::string by = core::printable(p.at("piece").as_string());
  return "\nOn the same " + cell(p.at("pieces")) + " validation " + by + "s (" + cell(p.at("tokens")) +
         " tokens), a - b: " + signed_cell(p.at("difference")) + " nats a token, standard error over " + by + "s " +
         cell(p.at("standard_error")) + " (positive: b has the lower loss)\nThis is " + p.at("meaning").as_string() +
         " `assay campaign` and `assay verdict` give those.\n";
}

std::string text_of(const Value& v) {
  std::string out = runs_text(v);
  for (const Value& caution : v.at("cautions").as_array()) out += "caution: " + core::printable(caution.as_string()) + "\n";
  return out + differences_text(v.at("differences")) + losses_text(v.at("losses")) + paired_text(v);
}

}  // namespace

int run_compare(const std::vector<std::string>& args) {
  CommandLine line("compare",
                   "Two runs beside each other: what differs in their configurations, their losses, and their validations piece by piece.");
  std::string a, b;
  line.positional("RUN_A", a, "run directory");
  line.positional("RUN_B", b, "run directory");
  line.epilog("One pair of runs is no evidence about architectures: `assay campaign` trains pairs, `assay verdict` says what they show.");
  if (!line.parse(args)) return 0;
  const Value v = results::compare_runs(a, b);
  print(line.json ? core::to_json(v, 2) + "\n" : text_of(v));
  return 0;
}

}  // namespace assay::cli
