#pragma once
#include <map>
#include <string>
#include <vector>

#include "assay/core/value.h"

namespace assay::test {

using Rows = std::vector<std::vector<std::string>>;

// The cells of a table by its caption, heading first, as text without its form's escapes. {} where the form has no such table.
Rows html_table(const std::string& html, const std::string& caption);
Rows markdown_table(const std::string& markdown, const std::string& caption);
Rows latex_table(const std::string& latex, const std::string& caption);
Rows json_table(const core::Value& document, const std::string& caption);

std::string html_unescaped(const std::string& text);                  // tags removed, entities replaced
core::Value data_of(const std::string& html, const std::string& id);  // of <script type="application/json">

}  // namespace assay::test
