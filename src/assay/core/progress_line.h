#pragma once

namespace assay::core {

// Wipes a progress line that stands unfinished on the terminal, so that a message does not run into it. Not for use outside of core.
void clear_progress_line();

}  // namespace assay::core
