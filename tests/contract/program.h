#pragma once
#include <string>
#include <vector>

#include "core/scratch.h"

namespace assay::contract {

struct Outcome {
  int code = -1;  // exit code; -1 where the program died of a signal
  std::string out, err;
};

// Runs the program in an empty directory of its own.
struct Program {
  Program();
  // `standard_output`: where it goes, in place of Outcome::out.
  Outcome run(const std::vector<std::string>& arguments, const std::string& standard_output = "") const;
  std::vector<std::string> files() const;  // what runs have created, sorted

 private:
  test::Scratch folder_;
  std::string work_;
};

}  // namespace assay::contract
