#pragma once
#include <initializer_list>
#include <string>

namespace assay::data {

// A shared library that is opened when it is needed first, so that a machine without it runs everything else. It stays open.
class OpenedLibrary {
 public:
  // The first of `names` that loads. ResourceError with what the loader said and the package (Debian's name) that has it.
  OpenedLibrary(std::initializer_list<const char*> names, const char* package);

  // `library.function<decltype(curl_easy_init)>("curl_easy_init")`. ResourceError where the library has no such function.
  template <class F>
  F* function(const char* name) const {
    return reinterpret_cast<F*>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;
  void* handle_ = nullptr;
  std::string name_;
};

}  // namespace assay::data
