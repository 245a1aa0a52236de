#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/progress_line.h"

namespace assay::core {

namespace {

constexpr double kRedraw = 0.1;  // seconds between two redraws on a terminal

std::atomic<bool> quiet = false;
std::mutex line_mutex;
bool line_open = false;  // guarded by line_mutex

bool can_redraw() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) && terminal && std::string_view(terminal) != "dumb";
}

size_t terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void draw(const std::string& text, bool redraw) {
  const std::lock_guard lock(line_mutex);
  if (redraw) {
    fmt::print(stderr, "\r\033[K{}", text.substr(0, terminal_width() - 1));
  } else {
    fmt::print(stderr, "{}\n", text);
  }
  std::fflush(stderr);
  line_open = redraw;
}

}  // namespace

void clear_progress_line() {
  const std::lock_guard lock(line_mutex);
  if (line_open) std::fputs("\r\033[K", stderr);
  line_open = false;
}

void set_quiet(bool q) { quiet = q; }

struct Progress::Impl {
  std::string label;
  int64_t total;
  double interval;
  bool redraw = can_redraw();
  int64_t first_done = -1;  // work that was done before the first update (a resumed run) says nothing about the speed
  double first_time = 0;
  double drawn_at = 0;
  std::string drawn, latest;

  std::string text(int64_t done, std::string_view note, double now) const {
    std::string out = fmt::format("{} {}", label, done);
    if (total > 0) out += fmt::format("/{} {}%", total, std::clamp<int64_t>(done, 0, total) * 100 / total);
    if (!note.empty()) out += " " + printable(note);
    if (total > done && done > first_done)
      out += " eta " + duration_text((now - first_time) / static_cast<double>(done - first_done) * static_cast<double>(total - done));
    return out;
  }

  void update(int64_t done, std::string_view note) {
    const double now = monotonic_seconds();
    const bool first = first_done < 0;
    if (first) {
      first_done = done;
      first_time = now;
    }
    latest = text(done, note, now);
    if (!first && now - drawn_at < interval) return;
    draw(latest, redraw);
    drawn = latest;
    drawn_at = now;
  }

  void end() {
    if (latest != drawn) draw(latest, redraw);
    if (!redraw) return;
    const std::lock_guard lock(line_mutex);
    if (line_open) std::fputs("\n", stderr);
    line_open = false;
  }
};

Progress::Progress(std::string_view label, int64_t total, double seconds) : impl_(std::make_unique<Impl>()) {
  impl_->label = printable(label);
  impl_->total = total;
  impl_->interval = impl_->redraw ? kRedraw : seconds;
}

Progress::~Progress() {
  if (!quiet) impl_->end();
}

void Progress::update(int64_t done, std::string_view note) {
  if (!quiet) impl_->update(done, note);
}

double monotonic_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e15) return "?";
  const auto s = std::llround(std::max(seconds, 0.0));
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace assay::core
