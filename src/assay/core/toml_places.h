#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "assay/core/value.h"

namespace assay::core {

// Where the members of a TOML text stand, so that what is wrong with a well-formed text can be shown in it.
class TomlPlaces {
 public:
  using Path = std::vector<std::string>;  // keys, and indices into arrays: {"arm", "0", "optim", "lr"}

  void add(const Path& path, std::string position) { places_.emplace(path, std::move(position)); }
  bool has(const Path& path) const { return places_.count(path) != 0; }
  // "line 3, column 7" of the member, or of the nearest one around it that the text has; the text's first place where it has none.
  std::string of(Path path) const;

 private:
  std::map<Path, std::string> places_;
};

// parse_toml that also says where everything stands.
Value parse_toml(std::string_view text, std::string_view where, TomlPlaces& places, ParseLimits limits = {.depth = 32});

}  // namespace assay::core
