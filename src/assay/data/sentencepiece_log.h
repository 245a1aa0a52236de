#pragma once

namespace assay::data {

// Stops what the SentencePiece library writes to stderr by itself; its errors reach people as ours.
void silence_sentencepiece();

}  // namespace assay::data
