#pragma once

namespace assay::train {

// SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 set a flag: the step in hand is finished, the run is saved and the program exits with 6. A second
// signal ends the program at once (exit 6, nothing written).
void catch_signals();
bool stop_requested();

}  // namespace assay::train
