#pragma once
#include <doctest/doctest.h>

#include <cerrno>
#include <functional>
#include <string>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "refusal.h"
#include "scratch.h"

namespace assay::test {

// Runs `once(files)` with the n-th call failing for n = 1, 2, ... until nothing fails, each time in a fresh directory made by `prepare`,
// and hands (directory, error message or "") to `check`. Returns how many different calls failed.
inline int fail_each_call(bool sticky, const std::function<void(const Scratch&)>& prepare,
                          const std::function<void(core::FileSystem&, const Scratch&)>& once,
                          const std::function<void(const Scratch&, const std::string&)>& check) {
  int failures = 0;
  for (const int error : {ENOSPC, EIO}) {
    for (int64_t n = 1;; ++n) {
      const Scratch dir;
      prepare(dir);
      core::FailingFiles files(n, error, sticky);
      const std::string message = refusal<core::ResourceError>([&] { once(files, dir); });
      CAPTURE(n);
      CAPTURE(error);
      CAPTURE(message);
      if (!message.empty()) {
        CHECK(contains(message, dir.path()));
        CHECK(contains(message, std::string(error == ENOSPC ? "ENOSPC" : "EIO")));
      }
      check(dir, message);
      if (files.calls() < n) {
        CHECK(message.empty());
        break;
      }
      ++failures;
      REQUIRE(n < 1000);
    }
  }
  return failures;
}

}  // namespace assay::test
