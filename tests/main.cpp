#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "core/scratch.h"

namespace {

// What the program keeps for the next time goes here, in tests and in programs that they start, and not among the user's.
struct OwnCache {
  OwnCache() { ::setenv("XDG_CACHE_HOME", directory.path().c_str(), 1); }
  const assay::test::Scratch directory;
} own_cache;

}  // namespace
