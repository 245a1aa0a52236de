// What somebody writes who uses the installed package: numbers from core, tensors from torch, the table of architectures.
#include <ATen/ops/zeros.h>

#include <cstdio>

#include "assay/arch/architecture.h"
#include "assay/core/random.h"

int main() {
  const auto block = assay::core::philox({0, 0, 0, 0}, {0, 0});
  if (block[0] != 0x6627e8d5) {
    std::puts("philox gave another number than published");
    return 1;
  }
  if (at::zeros({2, 3}).numel() != 6) {
    std::puts("torch gave a tensor of another size");
    return 1;
  }
  std::printf("%zu architectures\n", assay::arch::architectures().size());
  return assay::arch::architectures().empty() ? 1 : 0;
}
