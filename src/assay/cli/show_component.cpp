#include <cstdio>
#include <map>
#include <sstream>

#include "assay/cli/run_options.h"
#include "assay/cli/show_parts.h"
#include "assay/core/file.h"

namespace assay::cli {
namespace {

using arch::decoder::Component;
using core::Value;

std::vector<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), {}};
}

// gpt2 with or without the component, for comparison.
struct Whole {
  train::RunConfig config;
  arch::Built built;
  arch::Cost cost;

  Whole(std::string_view on, const std::vector<std::string>& assignments, int64_t vocab) : config(arch::find_architecture("gpt2")) {
    for (const std::string& word : words(on)) config.settings.set_assignment("model." + word, core::Source::recipe);
    for (const std::string& a : assignments) config.settings.set_assignment(a, core::Source::command_line);
    const arch::Dims dims{vocab, config.train.seq_len};
    built = arch::build(*config.architecture, config.model_options(), dims, {});
    cost = config.architecture->cost(config.model_options(), dims);
  }
};

// "blocks.*.sort.a" for those of all blocks.
std::string of_any_block(const std::string& name) {
  const std::string blocks = "blocks.";
  return name.starts_with(blocks) ? blocks + "*" + name.substr(name.find('.', blocks.size())) : name;
}

// The parameters of `a` that `b` has not, or in another shape.
Value beyond(const tensor::Params& a, const tensor::Params& b) {
  std::map<std::string, Value> by_name;
  for (const auto& e : a.entries()) {
    const auto* other = b.find(e.name);
    if (other != nullptr && other->shape == e.shape) continue;
    Value& v = by_name[of_any_block(e.name)];
    if (v.is_null()) {
      v = Value::object();
      v["name"] = of_any_block(e.name);
      v["shape"] = Value::array();
      for (const int64_t d : e.shape) v["shape"].push_back(d);
      v["tensors"] = 0;
    }
    v["tensors"] = v["tensors"].as_int() + 1;
  }
  Value list = Value::array();
  for (const auto& named : by_name) list.push_back(named.second);
  return list;
}

Value document_of(const Component& c, const std::vector<std::string>& assignments, int64_t vocab) {
  const Whole without("", assignments, vocab), with(c.on, assignments, vocab);
  Value v = Value::object();
  v["name"] = c.name;
  v["kind"] = "component";
  v["architecture"] = "gpt2";
  v["summary"] = c.summary;
  v["place"] = c.place;
  v["on"] = c.on;
  v["equations"] = c.equations;
  v["cost"] = c.cost;
  v["source"] = c.source;
  v["claim"] = c.claim;
  v["trust"] = c.trust;
  v["controls"] = Value::array();
  for (const arch::decoder::Control& control : c.controls) {
    Value row = Value::object();
    row["options"] = control.options;
    row["tells"] = control.tells;
    v["controls"].push_back(row);
  }
  v["vocab_size"] = vocab;
  v["seq_len"] = with.config.train.seq_len;
  v["parameters_added"] = beyond(*with.built.params, *without.built.params);
  v["parameters_removed"] = beyond(*without.built.params, *with.built.params);
  v["parameter_count"] = with.built.params->count();
  v["parameter_count_without"] = without.built.params->count();
  v["forward_flops_per_token"] = with.cost.forward_flops;
  v["forward_flops_per_token_without"] = without.cost.forward_flops;
  v["training_flops_per_token"] = with.cost.training_flops;
  v["training_flops_per_token_without"] = without.cost.training_flops;
  v["options"] = Value::array();
  for (const core::Bound& section : with.config.settings.sections())
    if (section.schema().section() == "model")
      for (const std::string& name : words(c.options)) v["options"].push_back(option_document(section, *section.schema().find(name)));
  return v;
}

void print_parameters(const char* title, const Value& list) {
  for (const Value& p : list.as_array())
    std::printf("  %s %-34s %-14s in %lld tensor%s\n", title, p.at("name").as_string().c_str(), shape_text(p.at("shape")).c_str(),
                static_cast<long long>(p.at("tensors").as_int()), p.at("tensors").as_int() == 1 ? "" : "s");
}

std::string default_text(const Value& v) { return v.is_string() ? v.as_string() : core::to_json(v); }

void print(const Value& v) {
  const auto text = [&](const char* key) { return v.at(key).as_string().c_str(); };
  const auto count = [&](const char* key) { return static_cast<long long>(v.at(key).as_int()); };
  const auto number = [&](const char* key) { return v.at(key).as_double(); };
  std::printf("%s (component of gpt2)\n%s\n\nwhere: %s\n\n%s\n\n", text("name"), text("summary"), text("place"), text("equations"));
  std::printf("switched on by: %s\n\ncost: %s\n", text("on"), text("cost"));
  std::printf("at V=%lld, T=%lld: %lld parameters (%lld without), %.4g FLOP a token forward (%.4g), %.4g in training (%.4g)\n",
              count("vocab_size"), count("seq_len"), count("parameter_count"), count("parameter_count_without"),
              number("forward_flops_per_token"), number("forward_flops_per_token_without"), number("training_flops_per_token"),
              number("training_flops_per_token_without"));
  print_parameters("+", v.at("parameters_added"));
  print_parameters("-", v.at("parameters_removed"));
  std::printf("\npublished (%s): %s\nhow far: %s\n\ncontrols\n", text("source"), text("claim"), text("trust"));
  for (const Value& c : v.at("controls").as_array())
    std::printf("  %s\n      %s\n", c.at("options").as_string().c_str(), c.at("tells").as_string().c_str());
  std::printf("\noptions (model.NAME=VALUE)\n");
  for (const Value& o : v.at("options").as_array()) {
    std::string choices;
    for (const Value& choice : o.at("choices").as_array()) choices += (choices.empty() ? "; one of " : ", ") + choice.as_string();
    std::printf("  %s = %s\n      %s%s\n", o.at("name").as_string().c_str(), default_text(o.at("default")).c_str(),
                o.at("help").as_string().c_str(), choices.c_str());
  }
}

}  // namespace

void show_component(const Component& c, const std::vector<std::string>& assignments, int64_t vocab, bool json) {
  const Value v = document_of(c, assignments, vocab);
  if (json) std::printf("%s\n", core::to_json(v, 2).c_str());
  else print(v);
}

}  // namespace assay::cli
