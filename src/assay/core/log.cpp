#include "assay/core/log.h"

// The distributions' spdlog and fmt, both as headers only: the program then needs neither at run time.
#ifndef SPDLOG_HEADER_ONLY
#define SPDLOG_HEADER_ONLY
#endif
#ifndef SPDLOG_FMT_EXTERNAL
#define SPDLOG_FMT_EXTERNAL
#endif
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <mutex>

#include "assay/core/error.h"
#include "assay/core/progress_line.h"

namespace assay::core {

namespace {

constexpr size_t kLongest = size_t{1} << 14;  // of one message; a faulty file must not flood the terminal

class Sinks {
 public:
  Sinks() : logger_("assay") {
    const bool plain = std::getenv("NO_COLOR") != nullptr;
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(plain ? spdlog::color_mode::never : spdlog::color_mode::automatic);
    sink->set_pattern("%^%v%$");
    logger_.sinks().push_back(std::move(sink));
    logger_.flush_on(spdlog::level::debug);
  }

  void level(spdlog::level::level_enum l) {
    const std::lock_guard lock(mutex_);
    logger_.set_level(l);
  }

  void write(spdlog::level::level_enum l, std::string_view text) {
    const std::lock_guard lock(mutex_);
    if (!logger_.should_log(l)) return;
    clear_progress_line();
    logger_.log(l, spdlog::string_view_t(text.data(), text.size()));
  }

  void file(const std::string& path) {
    const std::lock_guard lock(mutex_);
    logger_.sinks().resize(1);
    if (path.empty()) return;
    try {
      auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
      sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%SZ %v", spdlog::pattern_time_type::utc));
      logger_.sinks().push_back(std::move(sink));
    } catch (const spdlog::spdlog_ex& e) {
      throw ResourceError("log", e.what());
    }
  }

 private:
  std::mutex mutex_;
  spdlog::logger logger_;
};

Sinks& sinks() {
  static Sinks* s = new Sinks;  // never destroyed: destructors of other statics may still log
  return *s;
}

spdlog::level::level_enum library_level(Level l) {
  static constexpr spdlog::level::level_enum levels[] = {spdlog::level::debug, spdlog::level::info, spdlog::level::warn,
                                                         spdlog::level::err};
  return levels[static_cast<int>(l)];
}

const char* prefix(Level l) {
  static constexpr const char* prefixes[] = {"debug: ", "", "warning: ", "error: "};
  return prefixes[static_cast<int>(l)];
}

}  // namespace

void set_log_level(Level l) { sinks().level(library_level(l)); }
void log(Level l, std::string_view message) { sinks().write(library_level(l), prefix(l) + printable(message, kLongest)); }
void log_to_file(const std::string& path) { sinks().file(path); }

}  // namespace assay::core
