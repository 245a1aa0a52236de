#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/results/run_directory.h"

namespace assay::results {
namespace {

using core::Value;

// The value of "key : value" in a file of /proc, or "".
std::string proc_entry(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.rfind(key, 0) != 0) continue;
    const size_t colon = line.find(':');
    const size_t start = colon == std::string::npos ? colon : line.find_first_not_of(" \t", colon + 1);
    if (start != std::string::npos) return core::printable(line.substr(start));
  }
  return "";
}

Value build() {
  Value v = Value::object();
#if defined(__clang__)
  v["compiler"] = std::string("clang ") + __clang_version__;
#else
  v["compiler"] = std::string("gcc ") + __VERSION__;
#endif
#ifdef NDEBUG
  v["assertions"] = false;
#else
  v["assertions"] = true;
#endif
  return v;
}

Value host() {
  Value v = Value::object();
  utsname name{};
  if (uname(&name) != 0) return v;
  v["system"] = name.sysname;
  v["release"] = name.release;
  v["machine"] = name.machine;
  v["host"] = core::printable(name.nodename);
  return v;
}

Value processor() {
  Value v = Value::object();
  v["model"] = proc_entry("/proc/cpuinfo", "model name");
  v["cores"] = usable_cores();
  v["memory_bytes"] = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<int64_t>(sysconf(_SC_PAGESIZE));
  return v;
}

}  // namespace

int64_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max<int64_t>(1, sysconf(_SC_NPROCESSORS_ONLN));
}

Value environment(const std::string& version, const std::string& torch_version) {
  Value v = Value::object();
  v["version"] = version;
  v["torch"] = torch_version;
  v["build"] = build();
  v["processor"] = processor();
  v["system"] = host();
  v["started"] = core::utc_now();
  return v;
}

}  // namespace assay::results
