#pragma once
#include <vector>

#include "assay/core/file.h"
#include "assay/core/value.h"
#include "assay/export/int8.h"

namespace assay::exporting {

// A trained model in one file that holds no code: tensors and how to build what they belong to.
struct ModelFile {
  core::Value config;           // of the run (RunConfig::to_document); null in files of others
  int64_t step = 0;             // updates that the weights have seen
  std::vector<Packed> tensors;  // parameters by name, the model's own statistics as state/NAME
};

// .safetensors: the tensors unpacked, fp32, metadata "config" and "step". Everything else: a zlib stream (level 9) of safetensors with
// values/NAME and scales/NAME as stored and metadata "format" = "assay-int8-1". Returns the bytes written.
int64_t write_model_file(core::FileSystem& fs, const std::string& path, const ModelFile& model);
// Either of them, told apart by content. DataError naming the file, the tensor or field, and what was wanted.
ModelFile read_model_file(const std::string& path);

}  // namespace assay::exporting
