#include "assay/lab/executor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <ctime>
#include <filesystem>

#include "assay/core/error.h"
#include "assay/core/reference_environment.h"

extern char** environ;

namespace assay::lab {
namespace {

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr size_t kCaptureLimit = size_t{4} << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

[[noreturn]] void fail(const std::string& what) { throw core::ResourceError("campaign", what + ": " + std::strerror(errno)); }

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> out;
  for (const std::string& w : words) out.push_back(const_cast<char*>(w.c_str()));
  out.push_back(nullptr);
  return out;
}

// What a child does between fork and exec: only calls that are safe there, everything prepared before.
struct Launch {
  char** argv;
  char** environment;
  const sigset_t* mask;
  int in, out, err;
  pid_t parent;
  const cpu_set_t* cores;

  [[noreturn]] void run() const {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);                             // the parent died before the line above
    if (cores != nullptr) ::sched_setaffinity(0, sizeof *cores, cores);  // a wish: without it the child runs where it likes
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(err, 2);
    ::sigprocmask(SIG_SETMASK, mask, nullptr);
    ::execve(argv[0], argv, environment);
    const char* reason = std::strerror(errno);
    for (const char* part : {"[campaign] cannot run ", static_cast<const char*>(argv[0]), ": ", reason, "\n"})
      if (::write(2, part, std::strlen(part)) < 0) break;
    ::_exit(127);
  }
};

// fork and not posix_spawn: only between fork and exec can a child ask for a signal at its parent's death.
pid_t launch(const Words& words, const std::vector<std::string>& environment, const sigset_t& mask, int out, int err,
             const cpu_set_t* cores = nullptr) {
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (null.get() < 0) fail("/dev/null");
  std::vector<char*> argv = pointers(words), env = pointers(environment);
  const Launch child{argv.data(), env.data(), &mask, null.get(), out, err, ::getpid(), cores};
  const pid_t pid = ::fork();
  if (pid < 0) fail("cannot start a process for " + words.front());
  if (pid == 0) child.run();
  ::setpgid(pid, pid);  // here as well, so that a signal to the group cannot come before the group
  return pid;
}

Ending ending_of(const std::string& name, int status) {
  if (WIFSIGNALED(status)) return {name, 0, WTERMSIG(status)};
  return {name, WEXITSTATUS(status), 0};
}

// The cores that this process may use, in groups of `cores`.
std::vector<cpu_set_t> core_slots(int64_t cores) {
  cpu_set_t all;
  CPU_ZERO(&all);
  std::vector<cpu_set_t> slots;
  if (cores < 1 || ::sched_getaffinity(0, sizeof all, &all) != 0) return slots;
  cpu_set_t slot;
  CPU_ZERO(&slot);
  for (int c = 0; c < CPU_SETSIZE; ++c) {
    if (!CPU_ISSET(c, &all)) continue;
    CPU_SET(c, &slot);
    if (CPU_COUNT(&slot) < cores) continue;
    slots.push_back(slot);
    CPU_ZERO(&slot);
  }
  return slots;
}

std::pair<Descriptor, Descriptor> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) fail("cannot make a pipe");
  return {Descriptor(fds[0]), Descriptor(fds[1])};
}

// Appends what there is to `text` (what exceeds the limit is dropped); closes the descriptor at the end of the stream.
void drain(Descriptor& from, std::string& text) {
  char buffer[65536];
  const ssize_t n = ::read(from.get(), buffer, sizeof buffer);
  if (n < 0 && errno == EINTR) return;
  if (n <= 0) return from.close();
  text.append(buffer, std::min(static_cast<size_t>(n), kCaptureLimit - text.size()));
}

// One environment a device, or one for all.
std::vector<std::vector<std::string>> environments_of(const std::vector<std::string>& devices) {
  std::vector<std::vector<std::string>> all;
  for (const std::string& d : devices) all.push_back(child_environment(nullptr, &d));
  if (all.empty()) all.push_back(child_environment(nullptr));
  return all;
}

// A child whose streams are read to their end.
struct Listened {
  size_t number, place;
  pid_t pid;
  Descriptor out, err;
};

size_t free_place(const std::vector<Listened>& running) {
  size_t place = 0;
  const auto taken = [&] { return std::any_of(running.begin(), running.end(), [&](const Listened& l) { return l.place == place; }); };
  while (taken()) ++place;
  return place;
}

Listened listen(size_t number, const Words& words, const std::vector<std::string>& environment, size_t place, const sigset_t& mask) {
  auto [out, out_end] = make_pipe();
  auto [err, err_end] = make_pipe();
  const pid_t pid = launch(words, environment, mask, out_end.get(), err_end.get());
  return {number, place, pid, std::move(out), std::move(err)};
}

}  // namespace

std::string signal_text(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return (name ? std::string("SIG") + name : "signal " + std::to_string(signal)) + " (" + ::strsignal(signal) + ")";
}

SignalGate::SignalGate() {
  ::sigemptyset(&taken_);
  ::sigaddset(&taken_, SIGCHLD);
  for (int s : kStopSignals) {
    struct sigaction action {};
    ::sigaction(s, nullptr, &action);
    if (action.sa_handler != SIG_IGN) ::sigaddset(&taken_, s);
  }
  ::pthread_sigmask(SIG_BLOCK, &taken_, &before_);
}

SignalGate::~SignalGate() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int SignalGate::take(double seconds) {
  timespec time{};
  time.tv_sec = static_cast<time_t>(seconds);
  time.tv_nsec = static_cast<long>((seconds - std::floor(seconds)) * 1e9);
  const int signal = ::sigtimedwait(&taken_, nullptr, &time);
  return signal > 0 ? signal : 0;
}

LocalExecutor::LocalExecutor(int64_t cores, const std::vector<std::string>& devices)
    : environments_(environments_of(devices)), slots_(core_slots(cores)) {}

size_t LocalExecutor::free_slot() const {
  size_t slot = 0;
  const auto taken = [&] { return std::any_of(children_.begin(), children_.end(), [&](const Child& c) { return c.slot == slot; }); };
  while (taken()) ++slot;
  return slot;
}

LocalExecutor::~LocalExecutor() {
  signal_all(SIGTERM);
  while (!children_.empty()) wait(1);
}

void LocalExecutor::start(const std::string& name, const Words& words, const std::string& log) {
  const Descriptor out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (out.get() < 0) fail(log);
  const size_t slot = free_slot();
  const cpu_set_t* cores = slot < slots_.size() ? &slots_[slot] : nullptr;
  const std::vector<std::string>& environment = environments_[slot % environments_.size()];
  children_.push_back({name, launch(words, environment, gate_.before(), out.get(), out.get(), cores), slot});
}

std::vector<std::string> LocalExecutor::running_names() const {
  std::vector<std::string> names;
  for (const Child& c : children_) names.push_back(c.name);
  return names;
}

std::vector<Ending> LocalExecutor::wait(double seconds) {
  std::vector<Ending> ended = reap();
  const int signal = gate_.take(ended.empty() ? seconds : 0);
  if (signal != 0 && signal != SIGCHLD) signal_all(++stop_requests_ == 1 ? SIGTERM : SIGKILL);
  for (Ending& e : reap()) ended.push_back(std::move(e));
  return ended;
}

std::vector<Ending> LocalExecutor::reap() {
  std::vector<Ending> ended;
  for (size_t i = 0; i < children_.size();) {
    int status = 0;
    const pid_t r = ::waitpid(children_[i].pid, &status, WNOHANG);
    if (r == 0 || (r < 0 && errno == EINTR)) {
      ++i;
      continue;
    }
    // A child that somebody else waited for cannot be judged; its run directory can (as after an exit with 0).
    ended.push_back(ending_of(children_[i].name, r < 0 ? 0 : status));
    children_.erase(children_.begin() + static_cast<std::ptrdiff_t>(i));
  }
  return ended;
}

void LocalExecutor::signal_all(int signal) {
  for (const Child& c : children_) ::kill(-c.pid, signal);
}

Captured capture(const Words& words) { return capture_all({words}, 1).front(); }

std::vector<Captured> capture_all(const std::vector<Words>& programs, size_t at_a_time, const std::vector<std::string>& devices) {
  const std::vector<std::vector<std::string>> environments = environments_of(devices);
  sigset_t mask;
  ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  std::vector<Captured> results(programs.size());
  std::vector<Listened> running;
  size_t next = 0;
  while (next < programs.size() || !running.empty()) {
    for (; next < programs.size() && running.size() < std::max<size_t>(1, at_a_time); ++next)
      running.push_back(listen(next, programs[next], environments[free_place(running) % environments.size()], free_place(running), mask));
    std::vector<pollfd> ready;
    for (const Listened& l : running) ready.insert(ready.end(), {{l.out.get(), POLLIN, 0}, {l.err.get(), POLLIN, 0}});
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) fail("poll");
    for (size_t i = 0; i < running.size(); ++i) {
      if (ready[2 * i].revents) drain(running[i].out, results[running[i].number].out);
      if (ready[2 * i + 1].revents) drain(running[i].err, results[running[i].number].err);
    }
    std::erase_if(running, [&](const Listened& l) {
      if (l.out.get() >= 0 || l.err.get() >= 0) return false;
      int status = 0;
      while (::waitpid(l.pid, &status, 0) < 0 && errno == EINTR) {}
      results[l.number].ending = ending_of("", status);
      return true;
    });
  }
  return results;
}

std::string this_program() {
  std::error_code error;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw core::ResourceError("campaign", "/proc/self/exe: " + error.message());
  return path.string();
}

std::vector<std::string> child_environment(std::vector<std::string>* ignored, const std::string* device) {
  std::vector<std::string> kept;
  for (char** entry = environ; *entry; ++entry) {
    const std::string text = *entry, name = text.substr(0, text.find('='));
    if (device && name == kVisibleDevices) continue;
    if (!core::is_known_environment_name(name)) kept.push_back(text);
    else if (ignored) ignored->push_back(name);
  }
  if (device) kept.push_back(std::string(kVisibleDevices) + "=" + *device);
  return kept;
}

}  // namespace assay::lab
