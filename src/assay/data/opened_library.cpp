#include "assay/data/opened_library.h"

#include <dlfcn.h>

#include "assay/core/error.h"

namespace assay::data {

OpenedLibrary::OpenedLibrary(std::initializer_list<const char*> names, const char* package) {
  std::string reasons;
  for (const char* name : names) {
    handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (handle_ != nullptr) {
      name_ = name;
      return;
    }
    reasons += (reasons.empty() ? "" : "; ") + std::string(dlerror());
  }
  throw core::ResourceError("data", "fetching needs a library that does not load (package " + std::string(package) + "): " + reasons);
}

void* OpenedLibrary::symbol(const char* name) const {
  void* found = dlsym(handle_, name);
  if (found == nullptr) throw core::ResourceError("data", name_ + " has no " + name + ": it is too old");
  return found;
}

}  // namespace assay::data
