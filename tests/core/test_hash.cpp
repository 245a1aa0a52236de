#include <doctest/doctest.h>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/core/hash.h"
#include "scratch.h"

using namespace assay::core;
using assay::test::Scratch;

TEST_CASE("64-bit hashes are XXH3") {
  CHECK(hex64(hash64("")) == "2d06800538d394c2");
  CHECK(hex64(hash64("a")) == "e6c632b61e964e1f");
  CHECK(hex64(hash64("abc")) == "78af5f94892f3950");
  CHECK(hex64(hash64("abc", 1)) == "6b4467b443c76228");
  CHECK(hex64(hash64(std::string(1000, 'x'))) == "c0a4877b962cba82");
}

TEST_CASE("128-bit hashes are XXH3 in the canonical order of digits") {
  CHECK(hash128_hex("") == "99aa06d3014798d86001c324468d497f");
  CHECK(hash128_hex("abc") == "06b05ab6733a618578af5f94892f3950");
  CHECK(hash128_hex(std::string(1000, 'x')) == "50a1af5a5f2dcf01c0a4877b962cba82");
}

TEST_CASE("hexadecimal numbers keep their leading zeros") {
  CHECK(hex64(0) == "0000000000000000");
  CHECK(hex64(0x0123456789abcdefULL) == "0123456789abcdef");
  CHECK(hex64(~0ULL) == "ffffffffffffffff");
}

TEST_CASE("a file's hash is the hash of its bytes, across the reading buffer's edges") {
  const Scratch dir;
  for (const size_t n : {size_t{0}, size_t{1}, (size_t{1} << 20) - 1, size_t{1} << 20, (size_t{1} << 20) + 1, size_t{3} << 20}) {
    std::string bytes(n, '\0');
    for (size_t i = 0; i < n; ++i) {
      bytes[i] = static_cast<char>(i * 7 + (i >> 11));
    }
    write_file(real_files(), dir / "x", bytes);
    CAPTURE(n);
    CHECK(hash_file(dir / "x") == hash128_hex(bytes));
  }
}

TEST_CASE("hashing what cannot be read is a data error") {
  const Scratch dir;
  CHECK_THROWS_AS(hash_file(dir / "absent"), DataError);
  CHECK_THROWS_AS(hash_file(dir.path()), DataError);
}
