// Prints the calibration of the rule as one JSON document: statistics_figures [CAMPAIGNS [THREADS [SEED]]].
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "assay/stats/calibrate.h"

int main(int argc, char** argv) {
  assay::stats::CalibrationOptions options;
  if (argc > 1) options.campaigns = std::atoll(argv[1]);
  if (argc > 2) options.threads = std::atoi(argv[2]);
  if (argc > 3) options.seed = std::strtoull(argv[3], nullptr, 10);
  try {
    const assay::stats::Calibration result = assay::stats::calibrate(options);
    std::printf("%s\n", assay::core::to_json(assay::stats::document_of(result), 1).c_str());
    return result.pass() ? 0 : 1;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 2;
  }
}
