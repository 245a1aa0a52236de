#include "assay/cli/command_line.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <cstdio>

#include "assay/core/error.h"
#include "assay/core/log.h"
#include "assay/core/options.h"

namespace assay::cli {

namespace {

using core::ConfigError;
using core::Field;
using core::printable;

// "optim.lr=0.1": a name, then '='.
bool is_assignment(const std::string& word) {
  const size_t equals = word.find('=');
  if (equals == std::string::npos || equals == 0) return false;
  const auto first = static_cast<unsigned char>(word.front());
  return (std::isalpha(first) || first == '_') &&
         std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(equals),
                     [](unsigned char c) { return std::isalnum(c) || c == '_' || c == '.' || c == '-'; });
}

core::Value number(const std::string& name, Field::Kind kind, const std::string& text) {
  Field field;
  field.kind = kind;
  return core::checked_as(name, field, core::Value(text));
}

}  // namespace

struct CommandLine::Impl {
  Impl(std::string command, std::string summary) : name(std::move(command)), app(std::move(summary), "assay " + name) {
    app.allow_extras();  // so that a misspelt flag is reported before whatever else is amiss
    app.set_help_flag("-h,--help", "Print this help and exit");
  }

  // The library gives a flag's value as text; it takes any word for it, so a flag in its place is caught here.
  template <class Take>
  CLI::Option* add(const std::string& flag, const std::string& help, const char* kind, const Take& take) {
    auto checked = [flag, take, this](const std::string& text) {
      if (text.starts_with("--")) throw ConfigError(name, flag + ": a value is missing before '" + printable(text, 80) + "'");
      take(text);
    };
    return app.add_option_function<std::string>(flag, checked, help)->type_name(kind);
  }

  // Takes the KEY=VALUE words out of the arguments; the value of a flag may look like one and stays.
  std::vector<std::string> without_assignments(const std::vector<std::string>& args) {
    std::vector<std::string> rest;
    for (size_t i = 0; i < args.size(); ++i) {
      if (args[i] == "--") {
        rest.insert(rest.end(), args.begin() + static_cast<std::ptrdiff_t>(i), args.end());
        break;
      }
      const bool flag_value = i > 0 && takes_value(args[i - 1]);
      if (is_assignment(args[i]) && !flag_value) {
        assigned->push_back(args[i]);
      } else {
        rest.push_back(args[i]);
      }
    }
    return rest;
  }

  bool takes_value(const std::string& word) const {
    const CLI::Option* option = word.starts_with("-") ? app.get_option_no_throw(word) : nullptr;
    return option && option->get_items_expected_min() > 0;
  }

  std::vector<std::string> flags() const {
    std::vector<std::string> out;
    for (const CLI::Option* option : app.get_options())
      for (const std::string& flag : option->get_lnames()) out.push_back("--" + flag);
    return out;
  }

  // A word that nothing took: a flag that there is not, or a word too many.
  void refuse_extras() const {
    const std::vector<std::string> extras = app.remaining();
    for (const std::string& word : extras)
      if (word.size() > 1 && word.front() == '-' && word != "--")
        throw ConfigError(name, core::unknown_name("flag", word.substr(0, word.find('=')), flags()));
    for (const std::string& word : extras)
      if (word != "--")
        throw ConfigError(name, "'" + printable(word, 80) + "' is a word too many; `assay " + name + " --help` lists what is taken");
  }

  std::string name;
  CLI::App app;
  std::vector<std::string>* assigned = nullptr;
};

CommandLine::CommandLine(std::string name, std::string summary) : impl_(std::make_unique<Impl>(std::move(name), std::move(summary))) {
  flag("--json", json, "Print one JSON document on stdout");
  flag("--quiet", quiet, "Show no progress");
}

CommandLine::~CommandLine() = default;

void CommandLine::flag(const std::string& name, bool& target, const std::string& help) { impl_->app.add_flag(name, target, help); }

void CommandLine::option(const std::string& name, std::string& target, const std::string& help) {
  impl_->add(name, help, "TEXT", [&target](const std::string& text) { target = text; });
}

void CommandLine::options(const std::string& name, std::vector<std::string>& target, const std::string& help) {
  impl_->add(name, help, "TEXT", [&target](const std::string& text) { target.push_back(text); })->trigger_on_parse();
}

void CommandLine::option(const std::string& name, int64_t& target, const std::string& help) {
  impl_->add(name, help, "INTEGER",
             [&target, name](const std::string& text) { target = number(name, Field::Kind::integer, text).as_int(); });
}

void CommandLine::option(const std::string& name, double& target, const std::string& help) {
  impl_->add(name, help, "NUMBER",
             [&target, name](const std::string& text) { target = number(name, Field::Kind::number, text).as_double(); });
}

void CommandLine::positional(const std::string& name, std::string& target, const std::string& help, bool required) {
  impl_->app.add_option(name, target, help)->required(required)->type_name("");
}

void CommandLine::rest(const std::string& name, std::vector<std::string>& target, const std::string& help, bool required) {
  impl_->app.add_option(name, target, help)->required(required)->type_name("");
}

void CommandLine::assignments(std::vector<std::string>& target, const std::string& help) {
  impl_->assigned = &target;
  epilog("KEY=VALUE: " + help);
}

void CommandLine::epilog(std::string text) {
  const std::string before = impl_->app.get_footer();
  impl_->app.footer(before.empty() ? std::move(text) : before + "\n\n" + text);
}

bool CommandLine::given(const std::string& name) const {
  const CLI::Option* option = impl_->app.get_option_no_throw(name);  // null: a flag that this command does not have
  return option != nullptr && option->count() > 0;
}

void CommandLine::refuse_unread(const std::vector<Way>& ways, size_t chosen) const {
  const auto reads = [](const Way& w, std::string_view option) {
    return std::any_of(w.reads.begin(), w.reads.end(), [&](const char* o) { return option == o; });
  };
  for (const Way& other : ways)
    for (const char* option : other.reads) {
      if (!given(option) || reads(ways[chosen], option)) continue;
      std::string readers;
      for (const Way& w : ways)
        if (reads(w, option)) readers += (readers.empty() ? "" : ", ") + w.title;
      throw ConfigError(impl_->name, std::string(option) + " is not read by " + ways[chosen].title + "; it is of " + readers);
    }
}

std::string CommandLine::help_document(const std::string& command, const std::string& text) {
  core::Value v = core::Value::object();
  v["command"] = command;
  v["help"] = text;
  return core::to_json(v, 2) + "\n";
}

bool CommandLine::parse(const std::vector<std::string>& args) {
  std::vector<std::string> words = impl_->assigned ? impl_->without_assignments(args) : args;
  std::reverse(words.begin(), words.end());  // the library takes them from the back
  try {
    impl_->app.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    const std::string text = impl_->app.help();
    const bool as_json = std::find(args.begin(), args.end(), "--json") != args.end();
    std::fputs(as_json ? help_document(impl_->name, text).c_str() : text.c_str(), stdout);
    return false;
  } catch (const CLI::ParseError& e) {
    impl_->refuse_extras();
    throw ConfigError(impl_->name, std::string(e.what()) + "; `assay " + impl_->name + " --help` lists what is taken");
  }
  impl_->refuse_extras();
  core::set_quiet(quiet);
  return true;
}

}  // namespace assay::cli
