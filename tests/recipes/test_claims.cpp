// The recipes of published claims about the decoder's components, each in a form that takes seconds: small models, ten updates, two seeds, no
// audit. What they end with means nothing; that every arm is trained and judged, with all that a verdict has to say, does.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <set>

#include "assay/core/file.h"
#include "assay/core/log.h"
#include "assay/lab/campaign.h"
#include "assay/lab/recipe.h"
#include "core/scratch.h"

using namespace assay;
using core::Value;

namespace {

const std::vector<std::string> kRecipes = {"banded_fc1",
                                           "banded_fc2",
                                           "banded_time",
                                           "blend",
                                           "blend_rescue",
                                           "hebbian",
                                           "hebbian_window",
                                           "masked_loss",
                                           "recall",
                                           "sort_layer",
                                           "gradient_conditioning_images",
                                           "gradient_conditioning_cifar10"};
constexpr int64_t kWidth = 16, kUpdates = 10;

lab::Recipe recipe_named(const std::string& name) { return lab::read_recipe(std::string(ASSAY_SOURCE_DIR) + "/recipes/" + name + ".toml"); }

std::string text_of(const lab::Arm& a, const char* option) { return a.options.at(option).as_string(); }
int64_t integer_of(const lab::Arm& a, const char* option) { return a.options.at(option).as_int(); }

// What stands in for an option: another size, the processor at hand, text that is there.
Value shortened(const lab::Arm& a, const std::string& option, const Value& v) {
  if (a.arch == "cnn") {  // the embedded images in place of files
    if (option == "data.path") return "digits";
    if (option == "train.seq_len") return 769;
    if (option == "model.image_side") return 16;
    if (option == "model.width") return 4;
    if (option == "data.corpus_tokens") return 769 * 20 + 1;
  }
  const bool task = text_of(a, "data.path") != "grammar" && text_of(a, "data.path").find('/') == std::string::npos;
  if (option == "model.n_layer" || option == "model.n_head") return std::min<int64_t>(v.as_int(), 2);
  if (option == "model.n_embd") return kWidth;
  if (option == "model.band_fc1" || option == "model.band_fc2")
    return std::max<int64_t>(1, v.as_int() * kWidth / integer_of(a, "model.n_embd"));
  if (option == "train.batch") return 2;
  if (option == "train.seq_len" && !task) return 16;
  if (option == "train.val_every") return 0;
  if (option == "train.val_tokens" || option == "data.corpus_val_tokens") return 1000;
  if (option == "train.device") return "cpu";
  if (option == "train.precision") return "fp32";
  if (option == "data.path" && !task) return "grammar";
  return v;
}

// The control and at most two others, the last among them: a member takes most of a second to start.
std::vector<lab::Arm> some_arms(const lab::Recipe& r) {
  std::vector<lab::Arm> others, out;
  for (const lab::Arm& a : r.arms) (a.name == r.control ? out : others).push_back(a);
  for (size_t k = 1; k <= 2; ++k) out.push_back(others[others.size() * k / 2 - 1]);
  return out;
}

// "[[arm]] ..." of the short form, and its tokens.
std::string short_form(const lab::Recipe& r, const std::vector<lab::Arm>& chosen) {
  const lab::Arm& first = r.arms.front();
  const int64_t tokens = kUpdates * 2 * shortened(first, "train.seq_len", first.options.at("train.seq_len")).as_int();
  std::string text = "name = \"short\"\ncontrol = \"" + r.control + "\"\nmetric = \"" + r.metric +
                     "\"\nseeds = 2\nrule = \"fixed\"\naudit = \"none\"\n" +
                     "baselines = []\nthreads = 1\nproduct = \"aten\"\ntokens = " + std::to_string(tokens) + "\n";
  for (const lab::Arm& a : chosen) {
    text += "[[arm]]\nname = \"" + a.name + "\"\narch = \"" + a.arch + "\"\n";
    if (a.change) {
      text += "change = [";
      for (const std::string& c : *a.change) text += "\"" + c + "\", ";
      text += "]\n";
    }
    for (const auto& [option, value] : a.options.as_object()) {
      if (option == "data.tokenizer" || option == "data.vocab_size") continue;  // bytes
      text += option + " = " + core::to_json(shortened(a, option, value)) + "\n";
    }
  }
  return text;
}

Value run(const std::string& text, const std::string& directory) {
  core::set_quiet(true);
  core::set_log_level(core::Level::error);
  const char* program = std::getenv("ASSAY_PROGRAM");
  REQUIRE_MESSAGE(program != nullptr, "ASSAY_PROGRAM names the program under test");
  const std::string path = directory + "/short.toml";
  std::ofstream(path, std::ios::binary) << text;
  lab::Request request;
  request.recipe = path;
  request.directory = directory + "/out";
  request.program = program;
  request.jobs = 2;
  const lab::Outcome o = lab::run_campaign(request);
  CHECK(o.exit == core::Exit::ok);
  const std::string written = directory + "/out/results.json";
  return core::parse_json(core::read_file(written, 1 << 24), written, {.bytes = 1 << 24});
}

}  // namespace

TEST_CASE("recipes of claims: a control, a smallest effect, ten seeds or more, an audit, and what the campaign costs") {
  for (const std::string& name : kRecipes) {
    INFO(name);
    const lab::Recipe r = recipe_named(name);
    CHECK(r.name == name);
    CHECK_FALSE(r.question.empty());
    CHECK(r.seeds.size() >= 10);
    CHECK(r.smallest_effect.has_value());
    CHECK(r.audit == "quick");
    CHECK(r.arms.size() >= 4);
    for (const lab::Arm& a : r.arms) CHECK((a.name == r.control || a.change.has_value()));
    CHECK(r.text.find("assay plan recipes/" + name + ".toml") != std::string::npos);
  }
}

TEST_CASE("the short form of every recipe ends with each of its arms judged, nothing missing and nothing undeclared") {
  for (const std::string& name : kRecipes) {
    if (name == "gradient_conditioning_cifar10") continue;  // its files are the user's; with others it is gradient_conditioning_images
    INFO(name);
    const lab::Recipe r = recipe_named(name);
    const test::Scratch dir;
    const std::vector<lab::Arm> chosen = some_arms(r);
    const Value results = run(short_form(r, chosen), dir.path());
    CHECK(results.at("done").as_int() == 2 * static_cast<int64_t>(chosen.size()));
    for (const char* none : {"failed", "unfinished", "refused", "not_needed"}) CHECK(results.at(none).as_int() == 0);
    CHECK(results.at("metric").as_string() == r.metric);
    const auto& arms = results.at("arms").as_array();
    REQUIRE(arms.size() == chosen.size());
    for (size_t i = 0; i < arms.size(); ++i) {
      const Value& a = arms[i];
      INFO(chosen[i].name);
      CHECK(a.at("name").as_string() == chosen[i].name);
      CHECK(a.at("n").as_int() == 2);
      CHECK(a.at("parameters").as_int() > 0);
      const std::string word = a.at("verdict").as_string();
      if (chosen[i].name == r.control) {
        CHECK(word == "control");
        continue;
      }
      CHECK(std::set<std::string>{"better", "worse", "undecided"}.count(word) == 1);
      CHECK_FALSE(a.at("sentence").as_string().empty());
      CHECK(a.at("differences").size() == 2);
      CHECK(a.at("undeclared").size() == 0);
      CHECK(a.at("change").size() > 0);
      CHECK(a.at("interval").as_array()[0].as_double() <= a.at("effect").as_double());
    }
    std::set<std::string> lines;
    for (const Value& line : results.at("references").as_array()) lines.insert(line.at("kind").as_string());
    CHECK(lines == (r.metric == "accuracy" ? std::set<std::string>{"chance", "oracle"} : std::set<std::string>{"entropy"}));
  }
}
