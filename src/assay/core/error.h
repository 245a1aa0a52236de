#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

namespace assay::core {

// Exit codes of the program (docs/architecture.md). Scripts depend on them.
enum class Exit : int {
  ok = 0,
  check_failed = 1,  // well-formed input was checked and the answer is no
  bad_input = 2,     // malformed input, unknown name, value out of range
  diverged = 3,      // a loss or gradient stopped being finite
  resource = 4,      // disk full, out of memory
  device = 5,        // a device or driver is missing or failed
  interrupted = 6,   // stopped by a signal or a limit; the same command with --resume goes on
  partial = 7,       // some members of a campaign failed
  internal = 70,     // a fault of the program itself
};

// Base of every error that is meant for people. `what()` reads "[speaker] message": who found the fault, what came and
// what was wanted. Control characters are escaped here, so that no text from a file can drive a terminal.
class Error : public std::runtime_error {
 public:
  Error(Exit code, std::string_view speaker, std::string_view message);
  Exit code() const noexcept { return code_; }

 private:
  Exit code_;
};

struct ConfigError : Error {
  ConfigError(std::string_view speaker, std::string_view message) : Error(Exit::bad_input, speaker, message) {}
};
struct DataError : Error {
  DataError(std::string_view speaker, std::string_view message) : Error(Exit::bad_input, speaker, message) {}
};
struct NumericsError : Error {
  NumericsError(std::string_view speaker, std::string_view message) : Error(Exit::diverged, speaker, message) {}
};
struct ResourceError : Error {
  ResourceError(std::string_view speaker, std::string_view message) : Error(Exit::resource, speaker, message) {}
};
struct DeviceError : Error {
  DeviceError(std::string_view speaker, std::string_view message) : Error(Exit::device, speaker, message) {}
};
struct Interrupted : Error {
  Interrupted(std::string_view speaker, std::string_view message) : Error(Exit::interrupted, speaker, message) {}
};

// `text` with control characters (C0, DEL, C1) and invalid UTF-8 written as \xNN, cut to `limit` bytes, "..." included.
std::string printable(std::string_view text, size_t limit = 400);

// Well-formed UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace assay::core
