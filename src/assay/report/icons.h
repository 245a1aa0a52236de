#pragma once
#include <string>

namespace assay::report {

// A picture for a verdict or a state, so that no meaning hangs on colour alone: an <svg> that a screen reader passes over.
std::string icon(const std::string& word);

// The word with its picture, in the colour of its class (style.css): `kind` is "badge" or "word".
std::string badge(const std::string& word, const std::string& kind);

// The word as a class of style.css; "" for one that has none.
std::string class_of(const std::string& word);

}  // namespace assay::report
