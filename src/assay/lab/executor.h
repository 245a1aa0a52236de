#pragma once
#include <sched.h>
#include <sys/types.h>

#include <csignal>
#include <string>
#include <vector>

namespace assay::lab {

using Words = std::vector<std::string>;  // a program's path and its arguments

inline constexpr const char* kVisibleDevices = "CUDA_VISIBLE_DEVICES";

// How a child process ended: by a signal (its number, else 0) or with an exit code.
struct Ending {
  std::string name;
  int exit_code = 0;
  int signal = 0;
};
std::string signal_text(int signal);  // "SIGSEGV (Segmentation fault)"

// While it lives, SIGINT, SIGTERM, SIGHUP and SIGCHLD of this thread wait to be taken instead of acting. Those that the process
// ignored before (nohup, a shell's background jobs) stay ignored.
class SignalGate {
 public:
  SignalGate();
  ~SignalGate();
  SignalGate(const SignalGate&) = delete;
  SignalGate& operator=(const SignalGate&) = delete;
  int take(double seconds);                           // one waiting signal, 0 after `seconds` without one
  const sigset_t& before() const { return before_; }  // the mask that children get

 private:
  sigset_t taken_, before_;
};

// Child processes on this machine. Each leads a process group of its own, so that a terminal's Ctrl-C reaches this program alone,
// and is asked to stop (SIGTERM) by the kernel when this program dies, so that no member outlives its campaign.
class LocalExecutor {
 public:
  // The environment of the children is this process's without the names that configure reference implementations. Each child gets `cores`
  // processor cores of its own as long as there are enough; 0, or one child more: all cores. Children are dealt to `devices` in turn: each sees
  // only its own (words for CUDA_VISIBLE_DEVICES); none: all that this process sees.
  explicit LocalExecutor(int64_t cores = 0, const std::vector<std::string>& devices = {});
  ~LocalExecutor();  // asks what still runs to stop and waits for it
  LocalExecutor(const LocalExecutor&) = delete;
  LocalExecutor& operator=(const LocalExecutor&) = delete;

  // Starts a child; its stdout and stderr are appended to the file `log`. ResourceError where no process can be made.
  void start(const std::string& name, const Words& words, const std::string& log);
  size_t running() const { return children_.size(); }
  std::vector<std::string> running_names() const;

  // The children that ended; waits for one, for a signal to this program, or for `seconds`. The first SIGINT, SIGTERM or SIGHUP is
  // passed on as SIGTERM to all children, a further one kills them.
  std::vector<Ending> wait(double seconds);
  int stop_requests() const { return stop_requests_; }

 private:
  struct Child {
    std::string name;
    pid_t pid;
    size_t slot;  // of cores and devices
  };
  size_t free_slot() const;

  std::vector<Ending> reap();
  void signal_all(int signal);
  SignalGate gate_;
  std::vector<std::vector<std::string>> environments_;  // one a device, at least one
  std::vector<cpu_set_t> slots_;
  std::vector<Child> children_;
  int stop_requests_ = 0;
};

// Runs a program to its end and returns what it wrote. Exit code 127 where it could not be started.
struct Captured {
  Ending ending;
  std::string out, err;
};
Captured capture(const Words& words);
// The same for several programs, at most `at_a_time` at once, dealt to `devices` as by LocalExecutor; what each wrote, in their order.
std::vector<Captured> capture_all(const std::vector<Words>& programs, size_t at_a_time, const std::vector<std::string>& devices = {});

std::string this_program();  // the path of what runs, whatever the PATH says

// This process's environment without the reference names; `ignored` (may be null) gets the names left out. With a `device`: it alone is visible.
std::vector<std::string> child_environment(std::vector<std::string>* ignored, const std::string* device = nullptr);

}  // namespace assay::lab
