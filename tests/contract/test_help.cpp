#include <doctest/doctest.h>

#include <cstdlib>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "assay/arch/architecture.h"
#include "assay/arch/transformer/decoder/component.h"
#include "contract/program.h"
#include "core/refusal.h"

namespace assay::contract {
namespace {

using test::contains;
using Words = std::vector<std::string>;

// First words of lines such as "  train      train one architecture", from `from` (a line's beginning) to the next blank line.
Words listed(const std::string& help, const std::string& from) {
  static const std::regex entry(R"(^  ([a-z][a-z-]*)  +\S.*)");
  Words out;
  std::istringstream lines(help.substr(std::min(help.find(from), help.size())));
  std::string line;
  std::getline(lines, line);
  while (std::getline(lines, line) && (!line.empty() || out.empty())) {
    std::smatch match;
    if (std::regex_match(line, match, entry)) out.push_back(match[1]);
  }
  return out;
}

struct Explained {
  Words command;  // {"train"}, {"data", "make"}
  Outcome help;
  Words actions;  // of a command that has some
};

// Every command and every action, with what --help says; asked once, for the program takes a moment to start.
const std::vector<Explained>& commands() {
  static const std::vector<Explained> all = [] {
    const Program program;
    std::vector<Explained> out;
    const auto explain = [&](const Words& command) {
      Words words = command;
      words.emplace_back("--help");
      const Outcome help = program.run(words);
      out.push_back({command, help, listed(help.out, "\nActions")});
      return out.back().actions;
    };
    for (const std::string& name : listed(program.run({"--help"}).out, "usage:")) {
      for (const std::string& action : explain({name})) explain({name, action});
    }
    CHECK(program.files() == Words{});
    return out;
  }();
  return all;
}

std::string joined(const Words& words) {
  std::string out;
  for (const std::string& w : words) out += (out.empty() ? "" : " ") + w;
  return out;
}

// Lines "  --name TYPE   text": flags without text.
Words unexplained(const std::string& help) {
  static const std::regex flag(R"(^  (?:-\w,)?--\S+(?: [A-Z]+)?\s*$)");
  Words out;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, flag)) out.push_back(line);
  }
  return out;
}

TEST_CASE("help lists the commands, and each explains itself on stdout") {
  REQUIRE(commands().size() >= 9);
  for (const Explained& e : commands()) {
    INFO(joined(e.command));
    CHECK(e.help.code == 0);
    CHECK(e.help.err.empty());
    CHECK(contains(e.help.out, "Usage: assay " + joined(e.command)));
    CHECK(unexplained(e.help.out) == Words{});
    if (e.actions.empty()) CHECK(contains(e.help.out, "--json"));
  }
}

TEST_CASE("an unknown flag of any command is exit 2, said on stderr, and creates nothing") {
  const Program program;
  for (const Explained& e : commands()) {
    Words words = e.command;
    words.emplace_back("--jsom");
    const Outcome refused = program.run(words);
    INFO(joined(e.command));
    CHECK(refused.code == 2);
    CHECK(refused.out.empty());
    CHECK(contains(refused.err, "--jsom"));
  }
  CHECK(program.files() == Words{});
}

TEST_CASE("an unknown command names the nearest one, and no command at all is an error") {
  const Program program;
  const Outcome near = program.run({"trian"});
  CHECK(near.code == 2);
  CHECK(contains(near.err, "'train'"));
  CHECK(program.run({}).code == 2);
}

TEST_CASE("show explains every option of every architecture, and list names all of them") {
  const Program program;
  const std::string list = program.run({"list", "architectures"}).out;
  for (const arch::ArchInfo* a : arch::architectures()) {
    const std::string name(a->name);
    const Outcome shown = program.run({"show", name});
    INFO(name);
    CHECK(shown.code == 0);
    CHECK(contains(list, "  " + name + " "));
    CHECK(contains(shown.out, std::string(a->equations)));
    for (const core::Field& option : a->schema().fields()) {
      INFO(option.name);
      CHECK(contains(shown.out, "  " + option.name + " "));
      CHECK(contains(shown.out, option.help));
    }
  }
}

TEST_CASE("show explains every component beside its controls, and list names all of them") {
  const Program program;
  const std::string list = program.run({"list", "components"}).out;
  for (const arch::decoder::Component* c : arch::decoder::components()) {
    const std::string name(c->name);
    const Outcome shown = program.run({"show", name});
    INFO(name);
    CHECK(shown.code == 0);
    CHECK(contains(list, "  " + name + " "));
    for (const std::string_view text : {c->place, c->equations, c->cost, c->claim, c->trust}) CHECK(contains(shown.out, std::string(text)));
    for (const arch::decoder::Control& control : c->controls) CHECK(contains(shown.out, std::string(control.tells)));
  }
  const core::Value sort = core::parse_json(program.run({"show", "sort", "model.n_layer=2", "--json"}).out, "show");
  CHECK(sort.at("kind").as_string() == "component");
  CHECK(sort.at("parameter_count").as_int() == sort.at("parameter_count_without").as_int() + 4);
  CHECK(sort.at("parameters_added").as_array()[0].at("name").as_string() == "blocks.*.sort.a");
  CHECK(sort.at("forward_flops_per_token").as_double() > sort.at("forward_flops_per_token_without").as_double());
}

TEST_CASE("show of an unknown name knows architectures and components; a component has no presets") {
  const Program program;
  for (const auto& [wrong, near] : std::vector<std::pair<std::string, std::string>>{{"banded_mpl", "'banded_mlp'"}, {"gpt3", "'gpt2'"}}) {
    const Outcome outcome = program.run({"show", wrong});
    CHECK(outcome.code == 2);
    CHECK(contains(outcome.err, near));
  }
  CHECK(program.run({"show", "sort", "--preset", "reference"}).code == 2);
}

TEST_CASE("an option that is given twice and a name that leaves runs/ are refused") {
  const Program program;
  const auto refused = [&](Words words, const std::string& part) {
    words.insert(words.begin(), {"train", "--arch", "gpt2", "--data", "uniform", "--dry-run"});
    const Outcome outcome = program.run(words);
    CHECK(outcome.code == 2);
    CHECK_MESSAGE(contains(outcome.err, part), outcome.err);
  };
  refused({"train.steps=3", "train.steps=4"}, "train.steps is given twice, by train.steps=3 and by train.steps=4");
  refused({"train.steps=3", "--steps", "4"}, "train.steps is given twice, by --steps and by train.steps=3");
  refused({"steps=3", "train.steps=3"}, "train.steps is given twice");
  refused({"--name", "../evil"}, "the name of the run is '../evil'");
}

TEST_CASE("results that cannot be written are an error") {
  const Program program;
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"list"}, {"list", "--json"}}) {
    const Outcome outcome = program.run(arguments, "/dev/full");
    CHECK(outcome.code == 4);
    CHECK(contains(outcome.err, "standard output cannot be written"));
  }
}

TEST_CASE("a name in the environment that the chosen variant does not read is warned about, by its name; one that it reads is taken") {
  const Program program;
  ::setenv("INTERACTION_RANK", "4", 1);
  const auto planned = [&](const std::string& arch) {
    return program.run(
        {"train", "--arch", arch, "--data", "uniform", "--dry-run", "--json", "train.seq_len=16", "data.corpus_tokens=2000"});
  };
  const Outcome reads = planned("v8_lowrank_vv"), ignores = planned("v2_conv");
  ::unsetenv("INTERACTION_RANK");
  CHECK(reads.code == 0);
  CHECK(core::parse_json(reads.out, "plan").at("config").at("model").at("interaction_rank").as_int() == 4);
  CHECK_FALSE(contains(reads.err, "INTERACTION_RANK"));
  CHECK(ignores.code == 0);
  CHECK(contains(ignores.err, "the environment sets INTERACTION_RANK, which v2_conv does not read"));
  CHECK_FALSE(contains(planned("v2_conv").err, "INTERACTION_RANK"));
}

}  // namespace
}  // namespace assay::contract
