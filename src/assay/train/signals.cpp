#include "assay/train/signals.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>

#include "assay/core/error.h"

namespace assay::train {
namespace {

volatile std::sig_atomic_t signals = 0;

void on_signal(int) {
  if (signals != 0) _exit(static_cast<int>(core::Exit::interrupted));
  signals = 1;
}

}  // namespace

void catch_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (int s : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) sigaction(s, &action, nullptr);
}

bool stop_requested() { return signals != 0; }

}  // namespace assay::train
