#pragma once

namespace assay::train {

// From here on SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 reach a thread that does nothing else: they are blocked in the caller and in all threads that
// it starts later, so this comes before any that multiplies. oneDNN's float32 products point the stack pointer into a buffer on the heap, and
// the kernel writes a handler's frame below it, over whatever lies there. What the signals do is left as it is.
void set_signals_apart();

// The same four set a flag: the step in hand is finished, the run is saved and the program exits with 6. A second signal ends the program at once
// (exit 6, nothing written). Sets them apart where that is not done yet.
void catch_signals();
bool stop_requested();

}  // namespace assay::train
