#pragma once
#include <string_view>

namespace assay::report::assets {

// Files of assets/ and the chart library, as they were at build time: the program makes reports without anything beside it.
std::string_view chart_library();  // vega, vega-lite and vega-embed as one script
std::string_view page_script();
std::string_view page_style();
std::string_view themes();  // {"light": Vega-Lite config, "dark": ...}
std::string_view forest_chart();
std::string_view slope_chart();
std::string_view curve_chart();
std::string_view agreement_chart();
std::string_view tuning_chart();
std::string_view ladder_chart();
std::string_view roofline_chart();
std::string_view svg_program();  // Python: makes SVG files of specs

}  // namespace assay::report::assets
