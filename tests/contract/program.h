#pragma once
#include <string>
#include <vector>

namespace assay::contract {

struct Outcome {
  int code = -1;  // exit code; -1 where the program died of a signal
  std::string out, err;
};

// Runs the program in an empty directory of its own.
struct Program {
  Program();
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  Outcome run(const std::vector<std::string>& arguments) const;
  std::vector<std::string> files() const;  // what runs have created, sorted

 private:
  std::string folder_, work_;
};

}  // namespace assay::contract
