#include "assay/lab/devices.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "assay/results/run_directory.h"

namespace assay::lab {
namespace {

// What arms say that their members train on: no CUDA device, whichever is given to them ("cuda"), or one that they name.
enum class Wanted { none, any, named };

Wanted wanted_of(const Recipe& recipe) {
  Wanted wanted = Wanted::none;
  for (const Arm& a : recipe.arms) {
    const core::Value* device = a.options.find("train.device");
    if (device == nullptr || !device->is_string()) continue;
    if (device->as_string().starts_with("cuda:")) return Wanted::named;
    if (device->as_string() == "cuda") wanted = Wanted::any;
  }
  return wanted;
}

std::vector<std::string> devices_of(const Recipe& recipe) {
  return wanted_of(recipe) == Wanted::any ? visible_cuda_devices() : std::vector<std::string>();
}

// As many as the driver counts: its interface has been the same since CUDA 2, and a process that only counts makes no context.
int driver_count() {
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return 0;
  const auto init = reinterpret_cast<int (*)(unsigned)>(::dlsym(library, "cuInit"));
  const auto get = reinterpret_cast<int (*)(int*)>(::dlsym(library, "cuDeviceGetCount"));
  int count = 0;
  return init != nullptr && get != nullptr && init(0) == 0 && get(&count) == 0 ? count : 0;
}

}  // namespace

std::vector<std::string> visible_cuda_devices() {
  std::vector<std::string> devices;
  const char* named = std::getenv(kVisibleDevices);
  if (named == nullptr) {
    const int count = driver_count();
    for (int i = 0; i < count; ++i) devices.push_back(std::to_string(i));
    return devices;
  }
  const std::string list = named;
  for (size_t start = 0, end = 0; end != std::string::npos; start = end + 1) {
    end = list.find(',', start);
    std::string one = list.substr(start, end == std::string::npos ? end : end - start);
    std::erase(one, ' ');
    if (one.empty() || one.front() == '-') break;  // as the driver reads it: the first word that names none ends the list
    devices.push_back(one);
  }
  return devices;
}

Places places_of(const Recipe& recipe, const Request& request, int64_t threads) {
  Places places{devices_of(recipe), 1};
  if (request.jobs > 0) places.members = static_cast<size_t>(request.jobs);
  else if (wanted_of(recipe) != Wanted::none) places.members = std::max<size_t>(1, places.devices.size());
  else places.members = static_cast<size_t>(std::max<int64_t>(1, results::usable_cores() / threads));
  return places;
}

int64_t threads_of(const Recipe& recipe, const Request& request) {
  if (recipe.threads > 0) return recipe.threads;
  const auto members = static_cast<int64_t>(recipe.arms.size() * recipe.seeds.size());
  int64_t at_a_time = members;
  if (request.jobs > 0) at_a_time = request.jobs;
  else if (wanted_of(recipe) != Wanted::none) at_a_time = std::max<int64_t>(1, static_cast<int64_t>(devices_of(recipe).size()));
  return std::max<int64_t>(1, results::usable_cores() / std::min(at_a_time, members));
}

}  // namespace assay::lab
