#pragma once
#include <string>

#include "assay/report/document.h"

namespace assay::report {

// The forms of a report. Each writes all text as text of its own kind (escape.h), and numbers exactly as the document has them.
std::string html_form(const Document& d);  // one file that needs nothing else and allows itself no network
std::string markdown_form(const Document& d);
std::string latex_form(const Document& d);  // tables for \input; needs booktabs
core::Value json_form(const Document& d);   // {name, title, verdicts[]: {arm, verdict, effect, interval, unit, sentence, ...}, tables[]}

}  // namespace assay::report
