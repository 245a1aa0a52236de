// example_report DIR [SEEDS ROWS COPIES]: makes up a campaign in DIR and writes its report. What scripts/screenshots looks at, and a way to time
// reports of many runs.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/log.h"
#include "report/fixture.h"

int main(int argc, char** argv) {
  if (argc != 2 && argc != 5) {
    std::fprintf(stderr, "usage: example_report DIR [SEEDS ROWS COPIES]\n");
    return 2;
  }
  try {
    assay::test::FixtureRequest request;
    if (argc == 5) request.seeds = std::atol(argv[2]), request.rows = std::atol(argv[3]), request.copies = std::atol(argv[4]);
    assay::test::make_fixture(argv[1], request);
    const double start = assay::core::monotonic_seconds();
    const int code = assay::cli::run_report({argv[1]});
    std::fprintf(stderr, "%.2f s\n", assay::core::monotonic_seconds() - start);
    return code;
  } catch (const assay::core::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return static_cast<int>(e.code());
  }
}
