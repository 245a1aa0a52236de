#include "assay/train/signals.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "assay/core/error.h"

namespace assay::train {
namespace {

constexpr int kStopSignals[] = {SIGTERM, SIGINT, SIGUSR1, SIGUSR2};

std::atomic<bool> stopped = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // a handler may touch it

void on_signal(int) {
  if (stopped.exchange(true)) _exit(static_cast<int>(core::Exit::interrupted));
}

}  // namespace

void set_signals_apart() {
  static pid_t apart_in = 0;  // a forked child has the mask, but not the thread
  if (apart_in == getpid()) return;
  apart_in = getpid();
  sigset_t set;
  sigemptyset(&set);
  for (int s : kStopSignals) sigaddset(&set, s);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::thread([set] {
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    for (;;) pause();
  }).detach();
}

void catch_signals() {
  set_signals_apart();
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int s : kStopSignals) sigaction(s, &action, nullptr);
}

bool stop_requested() { return stopped; }

}  // namespace assay::train
