#pragma once
#include <functional>
#include <optional>
#include <string>

#include "assay/core/file.h"

namespace assay::data {

// A file at an http or https address, with what is known of it beforehand.
struct Remote {
  std::string url;
  std::optional<uint64_t> bytes;
  std::string sha256;  // 64 lower-case digits; "": not known
};

struct Received {
  uint64_t bytes = 0, resumed_from = 0;  // of which so many were there from an earlier call
  std::string sha256;
};

struct DownloadRules {
  int64_t retries = 3;                           // after a failure that may pass: waiting 1, 2, 4, ... seconds
  std::function<void(uint64_t bytes)> progress;  // bytes of the file so far
  // Looks at the whole file before it gets its name; a DataError refuses it.
  std::function<void(const std::string& part, const Received& received)> inspect;
};

// Fetches into PATH.part and renames that to `path` when it is whole; a call that finds a PATH.part goes on at its end (HTTP Range), or from the
// beginning where the server does not do that. Exactly the file that was wanted gets the name, or none.
// ResourceError: no connection, one that ends early, a server that fails; the part stays for the next call. DataError: an address that the server does
// not have, other sizes or sums than were stated, or what `inspect` throws; a part whose content is wrong is removed.
Received download(core::FileSystem& fs, const Remote& remote, const std::string& path, const DownloadRules& rules);

}  // namespace assay::data
