#pragma once
#include <string>

#include "assay/core/value.h"

namespace assay::lab {

struct Page {
  size_t width = 100;
  bool colour = false;
};
// Of stdout: a terminal's width, 100 columns in a pipe; colour on a terminal unless NO_COLOR is set or TERM is dumb.
Page page_of_stdout();

// The results document (lab/comparison.h) for people.
std::string render(const core::Value& results, const Page& page);

}  // namespace assay::lab
