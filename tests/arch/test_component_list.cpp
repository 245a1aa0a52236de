// What `assay show` says of the decoder's components is about options that exist and models that can be built.
#include <doctest/doctest.h>

#include <set>

#include "arch/helpers.h"
#include "assay/arch/transformer/decoder/component.h"

using namespace assay;
using arch::decoder::Component;

namespace {

const arch::ArchInfo& gpt2() { return arch::find_architecture("gpt2"); }

core::Value completed(std::string_view options) { return arch::complete_config(gpt2(), testing::options_of(std::string(options))); }

int64_t parameters(const core::Value& options) { return arch::build(gpt2(), options, {40, 16}, {}).params->count(); }

std::set<std::string> words(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

TEST_CASE("every component has a name of its own, a place, equations, a cost, a claim with its limits, and controls") {
  std::set<std::string_view> names;
  for (const Component* c : arch::decoder::components()) {
    INFO(std::string(c->name));
    CHECK(names.insert(c->name).second);
    CHECK(arch::decoder::find_component(c->name) == c);
    for (const std::string_view text : {c->summary, c->place, c->on, c->options, c->equations, c->cost, c->source, c->claim, c->trust})
      CHECK_FALSE(text.empty());
    CHECK_FALSE(c->controls.empty());
  }
  for (const char* wanted : {"banded_mlp", "sort", "blend", "hebbian", "token_shift", "rmsnorm", "rotary", "swiglu", "relu2", "qk_norm",
                             "untied_head", "grouped_query", "z_loss", "label_smoothing", "loss_mask"})
    CHECK(names.count(wanted) == 1);
  CHECK(arch::decoder::find_component("gpt2") == nullptr);
}

TEST_CASE("what switches a component on, and each of its controls, is a model that can be built and differs from the component") {
  for (const Component* c : arch::decoder::components()) {
    INFO(std::string(c->name));
    const core::Value on = completed(c->on);
    CHECK_FALSE(on == completed(""));
    CHECK(parameters(on) > 0);
    for (const arch::decoder::Control& control : c->controls) {
      INFO(std::string(control.options));
      CHECK_FALSE(control.tells.empty());
      const core::Value instead = completed(control.options);
      CHECK_FALSE(instead == on);
      CHECK(parameters(instead) > 0);
    }
  }
}

TEST_CASE("every option of gpt2 is a size, the biases, or belongs to components") {
  std::set<std::string> owned{"vocab_size", "n_layer", "n_head", "n_embd", "max_seq_len", "bias", "fc2_init_scale"};
  for (const Component* c : arch::decoder::components())
    for (const std::string& option : words(c->options)) {
      INFO(std::string(c->name) << ": " << option);
      CHECK(gpt2().schema().find(option) != nullptr);
      owned.insert(option);
    }
  for (const core::Field& f : gpt2().schema().fields()) {
    INFO(f.name);
    CHECK(owned.count(f.name) == 1);
  }
}

TEST_CASE("controls of equal weights hold them: grouped queries by a narrower MLP, the band by a narrower one") {
  const auto near = [](std::string_view a, std::string_view b, double share) {
    const double x = static_cast<double>(parameters(completed(a))), y = static_cast<double>(parameters(completed(b)));
    return std::abs(x - y) <= share * x;
  };
  CHECK(near("n_kv_head=1", "mlp_hidden=416", 0.005));
  CHECK(near("mlp=swiglu", "mlp=gelu", 0.02));
  CHECK(near("band_fc2=256 band_storage=packed", "band_fc2=256 band_control=narrower", 0.005));
}
