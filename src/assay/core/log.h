#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace assay::core {

enum class Level { debug, info, warn, error };

// People's messages go to stderr (plain lines in a pipe, colour on a terminal unless NO_COLOR); results go to stdout and do not
// pass through here. Text is made printable (error.h).
void set_log_level(Level l);
void log(Level l, std::string_view message);
inline void info(std::string_view m) { log(Level::info, m); }
inline void warn(std::string_view m) { log(Level::warn, m); }
void log_to_file(const std::string& path);  // also append to this file (a run's log.txt); "" stops that

// Progress of long work on stderr: one redrawn line on a terminal, a plain line every `seconds` in a pipe, nothing when quiet.
class Progress {
 public:
  Progress(std::string_view label, int64_t total, double seconds = 10);
  ~Progress();                                       // ends the line
  void update(int64_t done, std::string_view note);  // "label 120/500 24% note eta 0:31"
 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
void set_quiet(bool quiet);

// Seconds on the monotonic clock.
double monotonic_seconds();
std::string utc_now();                      // 2026-01-31T12:00:00Z
std::string duration_text(double seconds);  // 0:31, 12:05, 3:07:00

}  // namespace assay::core
