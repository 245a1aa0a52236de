#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace assay::cli {

// The arguments of one command (CLI11 behind it). Every command has --json, --quiet and --help without asking for them.
class CommandLine {
 public:
  CommandLine(std::string name, std::string summary);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  void flag(const std::string& name, bool& target, const std::string& help);  // "--resume"
  void option(const std::string& name, std::string& target, const std::string& help);
  void option(const std::string& name, int64_t& target, const std::string& help);
  void option(const std::string& name, double& target, const std::string& help);
  void options(const std::string& name, std::vector<std::string>& target, const std::string& help);  // may be given many times
  void positional(const std::string& name, std::string& target, const std::string& help, bool required = true);
  void rest(const std::string& name, std::vector<std::string>& target, const std::string& help, bool required = true);
  void assignments(std::vector<std::string>& target, const std::string& help);  // KEY=VALUE words, anywhere
  void epilog(std::string text);                                                // printed after the options by --help
  bool given(const std::string& name) const;                                    // after parse; false for a flag that was not declared

  // True: go on. False: help was printed and the command is done. ConfigError (exit 2) for an unknown flag (with the nearest one), a
  // missing or unreadable value, a word too many.
  bool parse(const std::vector<std::string>& args);

  // The options that each way of using a command reads, beside those that are in no list. ConfigError for one that was given and that
  // the chosen way does not read: it names the option, the way and the ways that read it.
  struct Way {
    std::string title;
    std::vector<const char*> reads;
  };
  void refuse_unread(const std::vector<Way>& ways, size_t chosen) const;

  static std::string help_document(const std::string& command, const std::string& text);  // what --help --json prints

  bool json = false;   // --json: one document on stdout
  bool quiet = false;  // --quiet: no progress

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assay::cli
