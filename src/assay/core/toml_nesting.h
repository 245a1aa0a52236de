#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

namespace assay::core {

// The offset at which a TOML text nests deeper than `limit` levels (the document itself is the first), or nothing. Reads the text once
// with a stack of at most `limit` entries. The parser behind parse_toml recurses with brackets and, when it frees what it has read, with
// dotted keys, so a hostile text has to be stopped before it. Elements of arrays of tables are counted in headers of their own only, so
// that the true depth can be up to twice what is counted here.
std::optional<size_t> too_deep(std::string_view text, int limit);

}  // namespace assay::core
