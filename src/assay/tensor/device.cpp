#include "assay/tensor/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/AutogradState.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/resource.h>
#include <torch/version.h>

#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "assay/core/error.h"

namespace assay::tensor {
namespace {

std::string library_directory() {
  Dl_info info{};
  if (dladdr(reinterpret_cast<const void*>(&library_directory), &info) == 0) return ".";
  return std::filesystem::path(info.dli_fname).parent_path().string();
}

const CudaInterface& cuda_library() {
  static const CudaInterface* interface = [] {
    // cuBLAS is repeatable only with a fixed workspace, and reads this once.
    setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", 0);
    const std::string path = library_directory() + "/libassay_cuda.so";
    if (!std::filesystem::exists(path))
      throw core::DeviceError(
          "device", "CUDA was asked for, but this build has no CUDA part: " + path + " does not exist (build with the preset 'cuda')");
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (handle == nullptr)
      throw core::DeviceError("device", std::string("CUDA was asked for, but its library does not load: ") + dlerror());
    const auto get = reinterpret_cast<const CudaInterface* (*)()>(dlsym(handle, "assay_cuda_interface"));
    if (get == nullptr) throw core::DeviceError("device", path + " is not of this build: assay_cuda_interface is missing");
    return get();
  }();
  return *interface;
}

int cuda_index(std::string_view name) {
  if (name == "cuda") return 0;
  int index = -1;
  const std::string_view digits = name.substr(5);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
  if (error != std::errc() || end != digits.data() + digits.size() || index < 0)
    throw core::ConfigError("device", "'" + std::string(name) + "' is no device; wanted cpu, cuda or cuda:N");
  return index;
}

// Tensors of a few megabytes are made and freed hundreds of times a step. By default glibc returns each to the system, and every
// new one then costs page faults: several times what the arithmetic on it costs. 32 MiB is the largest threshold that it takes.
void keep_freed_memory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

int64_t available_memory() {
  std::ifstream in("/proc/meminfo");
  std::string name, unit;
  for (int64_t kilobytes = 0; in >> name >> kilobytes; std::getline(in, unit))
    if (name == "MemAvailable:") return kilobytes * 1024;
  return -1;
}

// Repeatability comes first: no TF32, deterministic algorithms where torch has a choice. That mode also fills every new tensor with NaN, a
// pass over memory for each: our tests do that instead.
void make_repeatable() {
  at::globalContext().setDeterministicAlgorithms(true, /*warn_only=*/true);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setBenchmarkCuDNN(false);
}

// Backward passes run on the thread that asks for them. torch gives those of a GPU to a thread of their own, which has a cuBLAS handle of its own and
// with it 32 MB of workspace.
void one_thread_a_step() { c10::AutogradState::get_tls_state().set_multithreading_enabled(false); }

}  // namespace

at::Device open_device(std::string_view name) {
  keep_freed_memory();
  if (name == "cpu") return at::Device(at::kCPU);
  if (name != "cuda" && name.substr(0, 5) != "cuda:")
    throw core::ConfigError("device", "'" + std::string(name) + "' is no device; wanted cpu, cuda or cuda:N");
  const int index = cuda_index(name);
  const CudaInterface& cuda = cuda_library();
  std::string why;
  const int count = cuda.device_count(&why);
  if (count == 0) throw core::DeviceError("device", "CUDA was asked for, but there is no usable GPU: " + why);
  if (index >= count)
    throw core::DeviceError("device", "'" + std::string(name) + "' does not exist; this machine has " + std::to_string(count) + " GPU(s)");
  make_repeatable();
  one_thread_a_step();
  cuda.select(index);
  return at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
}

void synchronize(const at::Device& device) {
  if (device.is_cuda()) cuda_library().synchronize();
}

int64_t peak_bytes(const at::Device& device) {
  if (device.is_cuda()) return cuda_library().peak_bytes(device.index());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

int64_t capability(const at::Device& device) { return device.is_cuda() ? cuda_library().capability(device.index()) : 0; }

int64_t free_bytes(const at::Device& device) { return device.is_cuda() ? cuda_library().free_bytes(device.index()) : available_memory(); }

std::unique_ptr<Graph> capture(const at::Device& device, const std::function<void()>& work) {
  return device.is_cuda() ? cuda_library().capture(work) : nullptr;
}

std::string torch_version() { return TORCH_VERSION; }

core::Value device_report() {
  core::Value v = core::Value::object();
  v["torch"] = torch_version();
  v["cpu_capability"] = at::get_cpu_capability();
  v["threads"] = static_cast<int64_t>(at::get_num_threads());
  try {
    const CudaInterface& cuda = cuda_library();
    std::string why;
    const int count = cuda.device_count(&why);
    v["cuda"] = core::Value::array();
    for (int i = 0; i < count; ++i) v["cuda"].push_back(cuda.device_name(i));
    if (count == 0) v["cuda_reason"] = why;
  } catch (const core::DeviceError& e) {
    v["cuda"] = core::Value::array();
    v["cuda_reason"] = std::string(e.what());
  }
  return v;
}

}  // namespace assay::tensor
