#pragma once
#include <cstddef>
#include <string>

namespace assay::data {

// SHA-256 (FIPS 180-4) by OpenSSL's libcrypto, opened when it is needed first: what publishers state of their files.
class Sha256 {
 public:
  Sha256();  // ResourceError where libcrypto is not there
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(const void* data, size_t n);
  std::string hex();  // 64 digits, of everything so far; the object begins anew

 private:
  void* context_;
};

std::string sha256_of_file(const std::string& path);  // DataError where it cannot be read

}  // namespace assay::data
