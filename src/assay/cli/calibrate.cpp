#include "assay/stats/calibrate.h"

#include <cmath>
#include <cstdio>
#include <thread>

#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/output_path.h"
#include "assay/lab/executor.h"
#include "assay/lab/real_calibration.h"
#include "assay/results/run_directory.h"

namespace assay::cli {
namespace {

constexpr int64_t kCampaigns = 10000, kQuickCampaigns = 2000;

const char* mark(bool asserted, bool pass) { return !asserted ? "      " : pass ? "pass  " : "FAIL  "; }

void print(const stats::Calibration& c) {
  std::printf("false verdicts without any difference, %lld simulated campaigns a row, a look after every seed from 2 to 30\n",
              static_cast<long long>(c.options.campaigns));
  for (const stats::NullRate& r : c.null_rates)
    std::printf("  %s%-34s stated %4.1f %%  found %5.2f %%  (mixture t %5.2f %%, repeated t test %5.1f %%)\n", mark(r.asserted, r.pass),
                r.noise.c_str(), 100 * r.stated_rate, 100 * r.false_rate, 100 * r.mixture_t, 100 * r.repeated_t);
  std::printf("the truth inside the reported interval\n");
  for (const stats::Coverage& r : c.coverage)
    std::printf("  %s%-34s effect %3.1f sd  at the stop %5.1f %%  always %5.1f %%  of %4.1f %%\n", mark(r.asserted, r.pass),
                r.noise.c_str(), r.effect, 100 * r.at_stop, 100 * r.always, 100 * r.level);
  std::printf("four arms that share a control\n");
  for (const stats::ArmsRate& r : c.arms)
    std::printf("  %s%-34s %lld real  false-discovery rate %4.2f %%  power %5.1f %%\n", mark(true, r.pass), r.noise.c_str(),
                static_cast<long long>(r.real), 100 * r.fdr, 100 * r.power);
  std::printf("seeds until the verdict, Gaussian noise\n");
  for (const stats::SeedsToVerdict& r : c.seeds)
    std::printf("  %seffect %4.2f sd, %lld hypotheses: mean %5.2f, %4.2f x the fixed n of a t test that knew the effect\n",
                mark(r.allowance > 0, r.pass), r.effect, static_cast<long long>(r.hypotheses), r.mean, r.ratio);
  std::printf("two modes: right in %.1f %% of campaigns\n%s\n", 100 * c.gate.right,
              c.pass() ? "every asserted rate holds" : "an asserted rate does not hold");
}

void print_real(const core::Value& v) {
  const core::Value& planted = v.at("planted");
  const auto number = [](const core::Value& x) { return x.is_null() ? std::nan("") : x.as_double(); };
  std::printf("%lld campaigns of one architecture against itself: %lld false verdicts at a stated %.3g %%; at most %lld are expected with "
              "probability .99\n",
              static_cast<long long>(v.at("campaigns").as_int()), static_cast<long long>(v.at("false_verdicts").as_int()),
              100 * v.at("stated_rate").as_double(), static_cast<long long>(v.at("limit").as_int()));
  std::printf("%lld pairs: sd of a difference %.4g, correlation of paired runs %.3f, %.1f %% positive, skewness %.3f\n",
              static_cast<long long>(v.at("pairs").as_int()), number(v.at("sd_difference")), number(v.at("rho")),
              100 * number(v.at("share_positive")), number(v.at("skewness")));
  std::printf("a score lowered by %.3g %% of the control's after training: found in %lld campaigns, wrong in %lld, after %.0f seeds "
              "(median; 90 %%: %.0f)\n",
              100 * planted.at("share").as_double(), static_cast<long long>(planted.at("found").as_int()),
              static_cast<long long>(planted.at("wrong").as_int()), number(planted.at("median_seeds")), number(planted.at("high_seeds")));
  if (v.at("refused").as_int() > 0) std::printf("%lld campaigns were refused\n", static_cast<long long>(v.at("refused").as_int()));
}

int run_real(const CommandLine& line, lab::RealRequest request) {
  if (request.campaigns < 1) throw core::ConfigError("calibrate", "--real must be at least 1, got " + std::to_string(request.campaigns));
  if (!(request.planted > 0 && request.planted < 1))
    throw core::ConfigError("calibrate", "--planted must be between 0 and 1, got " + std::to_string(request.planted));
  core::set_quiet(line.quiet);
  request.program = lab::this_program();
  const core::Value v = lab::calibrate_real(request);
  if (line.json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print_real(v);
  return static_cast<int>(v.at("pass").as_bool() ? core::Exit::ok : core::Exit::check_failed);
}

}  // namespace

int run_calibrate(const std::vector<std::string>& args) {
  CommandLine line("calibrate",
                   "How often the rule of verdicts errs, by simulation of whole campaigns: false verdicts, coverage, power, seeds.");
  bool quick = false;
  int64_t campaigns = 0, seed = 1;
  line.flag("--quick", quick, "2,000 campaigns a row instead of 10,000");
  line.option("--campaigns", campaigns, "campaigns a row");
  line.option("--seed", seed, "of the simulated noise");
  lab::RealRequest real{.directory = "runs/calibration"};
  line.option("--real", real.campaigns,
              "instead: so many campaigns of trained models, one architecture against itself; goes on where it stopped");
  line.option("--out", real.directory, "of --real: directory of the campaigns (runs/calibration)");
  line.option("--jobs", real.jobs, "of --real: trainings at a time");
  line.option("--planted", real.planted, "of --real: share by which a score is lowered afterwards, to see whether it is found (0.03)");
  line.epilog("Exit code 1: a rate that is asserted (docs/statistics.md) does not hold.\n");
  if (!line.parse(args)) return 0;
  line.refuse_unread({{"the simulation", {"--quick", "--campaigns", "--seed"}}, {"--real", {"--out", "--jobs", "--planted"}}},
                     line.given("--real") ? 1 : 0);
  if (quick && line.given("--campaigns"))
    throw core::ConfigError("calibrate", "--quick and --campaigns both say how many campaigns; give one");
  if (line.given("--out")) core::require_directory_place("calibrate", "--out", real.directory);
  if (line.given("--real")) return run_real(line, real);
  if (line.given("--campaigns") && campaigns < 1)
    throw core::ConfigError("calibrate", "--campaigns must be at least 1, got " + std::to_string(campaigns));
  if (seed < 0) throw core::ConfigError("calibrate", "--seed must be 0 or more, got " + std::to_string(seed));
  stats::CalibrationOptions options;
  options.campaigns = campaigns > 0 ? campaigns : quick ? kQuickCampaigns : kCampaigns;
  options.seed = static_cast<uint64_t>(seed);
  options.threads = static_cast<int>(results::usable_cores());
  const stats::Calibration c = stats::calibrate(options);
  if (line.json) std::printf("%s\n", core::to_json(stats::document_of(c), 2).c_str());
  else print(c);
  return static_cast<int>(c.pass() ? core::Exit::ok : core::Exit::check_failed);
}

}  // namespace assay::cli
