#include "assay/data/sentencepiece_log.h"

// Exported by the library since 0.1.9, but declared in none of its public headers.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}

namespace assay::data {

void silence_sentencepiece() {
  constexpr int kFatal = 3;
  sentencepiece::logging::SetMinLogLevel(kFatal);
}

}  // namespace assay::data
