#include "assay/data/sentencepiece_log.h"

// Exported by the library since 0.1.9, but declared in none of its public headers.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}

// Both SentencePiece and libtorch's c10 export a variable of this name: an object of 32 bytes there, an int here. The loader gives both the first
// that it finds, and SentencePiece's constructor wrote over c10's neighbours of the int, one of which says to abort instead of throwing. This is
// the first: room enough for SentencePiece's, and c10 reads its own only in a logging set-up that nobody here asks for.
// NOLINTNEXTLINE(readability-identifier-naming)
alignas(64) __attribute__((visibility("default"))) unsigned char FLAGS_minloglevel[256];

namespace assay::data {

void silence_sentencepiece() {
  constexpr int kFatal = 3;
  sentencepiece::logging::SetMinLogLevel(kFatal);
}

}  // namespace assay::data
