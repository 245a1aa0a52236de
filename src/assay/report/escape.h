#pragma once
#include <string>
#include <string_view>

#include "assay/core/value.h"

namespace assay::report {

// Text from files as plain text of each form: nothing in it can act as markup, script or formula. Control characters are shown as \xNN.
std::string html_text(std::string_view text);      // also inside quoted attributes
std::string script_json(const core::Value& v);     // JSON for a <script type="application/json"> element: no <, > or &
std::string markdown_text(std::string_view text);  // also inside table cells
std::string latex_text(std::string_view text);
std::string csv_text(std::string_view text);    // one cell; what a spreadsheet would compute gets an apostrophe before it
std::string shell_word(std::string_view text);  // one word of a POSIX shell
std::string base64(std::string_view bytes);     // RFC 4648, section 4

// `text` broken into lines stays so: for code, where line ends and tabs are kept.
std::string html_lines(std::string_view text);

}  // namespace assay::report
