#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace assay::core {

struct TomlFault {
  size_t offset;
  std::string what;
};

// What in a TOML text must not reach the parser behind parse_toml, found by one pass with a stack of at most `depth` entries:
// - more than `depth` levels (the document itself is the first). The parser recurses with brackets and, when it frees what it has read,
//   with dotted keys. Elements of arrays of tables are counted in headers of their own only, so the true depth can be twice this one.
// - bytes beyond ASCII outside of strings and comments, which TOML does not allow, and behind a backslash that continues a line, which it
//   does: the parser's test for white space is undefined for some of them;
// - other characters within a number, boolean or date: the parser reads on to white space, over quotes too.
std::optional<TomlFault> scan_toml(std::string_view text, int depth);

}  // namespace assay::core
