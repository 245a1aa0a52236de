#include "assay/data/source_kind.h"

#include "assay/core/file.h"
#include "assay/data/corpus.h"
#include "assay/data/images.h"

namespace assay::data {

SourceKind source_kind(const std::string& path) {
  if (is_embedded(path)) return SourceKind::embedded;
  if (is_text_file(path) && !core::directory_exists(path)) return SourceKind::text;
  return is_cifar10(path) ? SourceKind::images : SourceKind::shards;
}

}  // namespace assay::data
