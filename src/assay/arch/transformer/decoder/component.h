#pragma once
#include <span>
#include <string_view>

// What `assay show` says of a component: the description stands in the component's own file, beside its equations.
namespace assay::arch::decoder {

// What tells the idea from its side effects.
struct Control {
  std::string_view options;  // in place of the component's: "sort_window=64 sort_sim=mean"
  std::string_view tells;    // what a difference from the component then means
};

// All strings have static storage. Options are those of gpt2.
struct Component {
  std::string_view name;
  std::string_view summary;
  std::string_view place;      // where it goes
  std::string_view on;         // options that switch it on, with the values of its publication where there is one
  std::string_view options;    // all that belong to it, space-separated
  std::string_view equations;  // in the letters of the code
  std::string_view cost;       // multiply-adds and what else it takes
  std::string_view source;     // who published it
  std::string_view claim;      // what was reported
  std::string_view trust;      // how far that can be relied on, and why
  std::span<const Control> controls;
};

std::span<const Component* const> components();  // in the order of the places that they take in the model
const Component* find_component(std::string_view name);

}  // namespace assay::arch::decoder
