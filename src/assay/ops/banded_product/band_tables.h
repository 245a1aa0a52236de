#pragma once
#include <c10/core/Device.h>

#include <map>
#include <mutex>
#include <tuple>

#include "assay/ops/banded_product/band.h"

namespace assay::ops {

// What depends on a band and a device alone, as tables on the device do: made once.
template <class T>
class BandTables {
 public:
  template <class Make>
  const T& of(const Band& band, const c10::Device& device, const Make& make) {
    const std::lock_guard lock(guard_);
    const Key key{band.out, band.in, band.bandwidth, device};
    const auto found = known_.find(key);
    return found != known_.end() ? found->second : known_.emplace(key, make()).first->second;
  }

 private:
  struct Key {
    int64_t out, in, bandwidth;
    c10::Device device;
    bool operator<(const Key& o) const {
      return std::tuple(out, in, bandwidth, device.type(), device.index()) <
             std::tuple(o.out, o.in, o.bandwidth, o.device.type(), o.device.index());
    }
  };
  std::mutex guard_;
  std::map<Key, T> known_;
};

}  // namespace assay::ops
