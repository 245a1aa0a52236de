#include "assay/data/sha256.h"

#include <openssl/evp.h>

#include <vector>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/data/opened_library.h"

namespace assay::data {
namespace {

struct Crypto {
  OpenedLibrary library{{"libcrypto.so.3", "libcrypto.so.1.1"}, "libssl3"};
  decltype(EVP_MD_CTX_new)* create = library.function<decltype(EVP_MD_CTX_new)>("EVP_MD_CTX_new");
  decltype(EVP_MD_CTX_free)* destroy = library.function<decltype(EVP_MD_CTX_free)>("EVP_MD_CTX_free");
  decltype(EVP_sha256)* sha256 = library.function<decltype(EVP_sha256)>("EVP_sha256");
  decltype(EVP_DigestInit_ex)* begin = library.function<decltype(EVP_DigestInit_ex)>("EVP_DigestInit_ex");
  decltype(EVP_DigestUpdate)* update = library.function<decltype(EVP_DigestUpdate)>("EVP_DigestUpdate");
  decltype(EVP_DigestFinal_ex)* end = library.function<decltype(EVP_DigestFinal_ex)>("EVP_DigestFinal_ex");
};

const Crypto& crypto() {
  static const Crypto opened;
  return opened;
}

void require(int ok) {
  if (ok != 1) throw core::ResourceError("data", "libcrypto does not compute SHA-256");
}

EVP_MD_CTX* of(void* context) { return static_cast<EVP_MD_CTX*>(context); }

}  // namespace

Sha256::Sha256() : context_(crypto().create()) { require(crypto().begin(of(context_), crypto().sha256(), nullptr)); }

Sha256::~Sha256() { crypto().destroy(of(context_)); }

void Sha256::update(const void* data, size_t n) { require(crypto().update(of(context_), data, n)); }

std::string Sha256::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int n = 0;
  require(crypto().end(of(context_), digest, &n));
  require(crypto().begin(of(context_), crypto().sha256(), nullptr));
  std::string text;
  for (unsigned int i = 0; i < n; ++i)
    for (const int half : {digest[i] >> 4, digest[i] & 15}) text += "0123456789abcdef"[half];
  return text;
}

std::string sha256_of_file(const std::string& path) {
  Sha256 sum;
  core::InputFile file(path);
  std::vector<char> piece(1 << 20);
  while (const size_t n = file.read(piece.data(), piece.size())) sum.update(piece.data(), n);
  return sum.hex();
}

}  // namespace assay::data
