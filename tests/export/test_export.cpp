// int8 packing against its formulas, and `assay export` / `assay import` there and back.
#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "arch/helpers.h"
#include "assay/core/random.h"
#include "assay/core/value.h"
#include "assay/export/model_file.h"
#include "train/helpers.h"
#include "train/processes.h"

using namespace assay;
using exporting::Int8Rules;
using exporting::Packed;
using testing::Scratch;

namespace {

constexpr double kPublishedFloor = 1.0 / 127;

Tensor normal(std::vector<int64_t> shape, double sd, uint64_t seed) {
  Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kFloat));
  const core::Stream stream(seed, "weights");
  for (int64_t i = 0; i < t.numel(); ++i) t.data_ptr<float>()[i] = static_cast<float>(sd * stream.normal(static_cast<uint64_t>(i)));
  return t;
}

double relative_error(const Tensor& w, const Int8Rules& rules) {
  const Tensor back = exporting::unpack(exporting::pack("embedding", w, rules));
  return ((back - w).norm() / w.norm()).item().toDouble();
}

// [7.1] for one row, number by number in double.
struct Row {
  double clip = 0, scale = 0;
  std::vector<int> q;
};
Row row_by_hand(const float* w, int64_t n, double floor) {
  std::vector<double> sorted(n);
  for (int64_t i = 0; i < n; ++i) sorted[static_cast<size_t>(i)] = std::abs(static_cast<double>(w[i]));
  std::sort(sorted.begin(), sorted.end());
  const double at = 0.9999984 * static_cast<double>(n - 1);
  const auto below = static_cast<size_t>(at);
  Row r;
  r.clip = sorted[below] + (sorted[std::min<size_t>(below + 1, sorted.size() - 1)] - sorted[below]) * (at - static_cast<double>(below));
  r.scale = std::max(r.clip / 127, floor);
  for (int64_t i = 0; i < n; ++i)
    r.q.push_back(static_cast<int>(std::clamp(std::nearbyint(std::clamp<double>(w[i], -r.clip, r.clip) / r.scale), -127.0, 127.0)));
  return r;
}

struct Outcome {
  int code = 0;
  std::string out, err;
};

// `assay ARGS...`, with what it prints.
Outcome program(std::vector<std::string> args) {
  const Scratch dir;
  args.insert(args.begin(), testing::program());
  const pid_t child = fork();
  if (child == 0) {
    dup2(open((dir / "out").c_str(), O_CREAT | O_WRONLY, 0600), 1);
    dup2(open((dir / "err").c_str(), O_CREAT | O_WRONLY, 0600), 2);
    std::vector<char*> argv;
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  const int code = testing::wait_for(child);
  return {code, core::read_file(dir / "out"), core::read_file(dir / "err")};
}

core::Value json_of(const Outcome& o) {
  REQUIRE_MESSAGE(o.code == 0, o.err);
  return core::parse_json(o.out, "stdout", {.bytes = 1 << 24});
}

}  // namespace

TEST_CASE("rows become int8 as the formulas say, element by element") {
  const Tensor w = normal({7, 300}, 0.05, 1);
  for (const double floor : {Int8Rules{}.scale_floor, kPublishedFloor}) {
    const Packed p = exporting::pack("embedding", w, {.scale_floor = floor, .keep = 0});
    REQUIRE(p.kind == Packed::Kind::rows);
    CHECK((p.values.scalar_type() == at::kChar));
    CHECK((p.scales.scalar_type() == at::kHalf));
    const Tensor back = exporting::unpack(p);
    int64_t other = 0;
    for (int64_t r = 0; r < 7; ++r) {
      const Row want = row_by_hand(w.const_data_ptr<float>() + r * 300, 300, floor);
      const double stored = p.scales[r].item().toDouble();
      CHECK(stored == doctest::Approx(want.scale).epsilon(1.0 / 2048));  // fp16 keeps 11 bits
      for (int64_t i = 0; i < 300; ++i) {
        other += p.values[r][i].item().toLong() == want.q[static_cast<size_t>(i)] ? 0 : 1;
        CHECK(back[r][i].item().toDouble() == doctest::Approx(want.q[static_cast<size_t>(i)] * stored).epsilon(1e-6));
      }
    }
    CHECK(other == 0);
  }
  // Halves go to the even neighbour, and nothing leaves +-127.
  const Tensor halves = at::arange(-4, 4, at::kFloat).add(0.5).view({1, 8});
  const Packed p = exporting::pack("embedding", halves, {.scale_floor = 1, .keep = 0});
  const int wanted[] = {-4, -2, -2, 0, 0, 2, 2, 4};  // the ends are clipped a little below 3.5
  for (int64_t i = 1; i < 7; ++i) CHECK(p.values[0][i].item().toLong() == wanted[i]);
  CHECK(exporting::pack("embedding", halves * 1000, {.keep = 0}).values.abs().max().item().toLong() == 127);
}

TEST_CASE("the error is about 1 % of the weights, and was 11 % with the published floor") {
  const Tensor w = normal({64, 1100}, 0.02, 2);
  const Int8Rules published{.scale_floor = kPublishedFloor};
  CHECK(relative_error(w, {}) < 0.012);
  CHECK(relative_error(w, published) == doctest::Approx(0.11).epsilon(0.1));
  // Half a step, and what fp16 takes from the scale: at most 127 steps x 2^-11.
  const Packed p = exporting::pack("embedding", w, {});
  const Tensor bound = p.scales.to(at::kFloat).unsqueeze(1) * (0.5 + 127.0 / 2048 + 0.01);
  CHECK(((exporting::unpack(p) - w).abs() <= bound).all().item().toBool());
}

TEST_CASE("what is small stays floating point: fp32 where the name is on the list, else fp16") {
  const Tensor w = normal({4, 8}, 1, 3);
  CHECK(exporting::pack("hops.0.interaction.U", w, {}).kind == Packed::Kind::half);
  for (const char* name :
       {"steps.0.down.weight", "read_coeffs", "logit_scale", "steps.0.decay_logits", "hops.0.interact_scale", "x.diag"}) {
    const Packed p = exporting::pack(name, w, {});
    CHECK(p.kind == Packed::Kind::exact);
    CHECK(at::equal(exporting::unpack(p), w));
  }
  CHECK(at::equal(exporting::unpack(exporting::pack("U", w, {})), w.to(at::kHalf).to(at::kFloat)));
  // The limit counts elements: 65536 stay.
  CHECK(exporting::pack("U", at::zeros({256, 256}), {}).kind == Packed::Kind::half);
  CHECK(exporting::pack("down.weight", at::zeros({256, 257}), {}).kind == Packed::Kind::rows);
}

TEST_CASE("tensors of other shapes have one scale, and zeros stay zeros") {
  const Tensor w = normal({3, 5, 7}, 2, 4);
  const Packed p = exporting::pack("conv.weight", w, {.keep = 0});
  CHECK(p.kind == Packed::Kind::whole);
  CHECK((p.scales.scalar_type() == at::kFloat));
  CHECK(p.scales.item().toDouble() == doctest::Approx(w.abs().max().item().toDouble() / 127).epsilon(1e-3));
  CHECK((exporting::unpack(p) - w).abs().max().item().toDouble() <= 0.51 * p.scales.item().toDouble());
  const Packed zero = exporting::pack("conv.weight", at::zeros({3, 5, 7}), {.keep = 0});
  CHECK(zero.scales.item().toDouble() == 1);
  CHECK(exporting::unpack(zero).abs().max().item().toDouble() == 0);
  CHECK(exporting::unpack(exporting::pack("U", at::zeros({3, 5}), {.keep = 0})).abs().max().item().toDouble() == 0);
  Tensor bad = normal({3, 5}, 1, 5);
  bad[1][1] = std::nan("");
  CHECK_THROWS_WITH_AS(exporting::pack("U", bad, {}), doctest::Contains("'U' is not finite"), core::DataError);
}

TEST_CASE("export and import: the loss before and after, a file that is smaller, and damage that is named") {
  const Scratch dir;
  const auto config = testing::tiny_run("v8_lowrank_vv", {"train.steps=40", "model.interaction_rank=16"});
  train::train_new(*config, dir / "run");
  const core::Value v = json_of(program({"export", dir / "run", "--out", dir / "model.int8", "--keep", "100", "--json"}));
  CHECK(v.at("format").as_string() == "int8");
  CHECK(v.at("tensors_int8").as_int() > 0);
  CHECK(v.at("payload_bytes").as_int() < v.at("baseline_bytes").as_int() / 2);
  CHECK(v.at("file_bytes").as_int() == static_cast<int64_t>(std::filesystem::file_size(dir / "model.int8")));
  const double before = v.at("before").at("loss").as_double(), after = v.at("after").at("loss").as_double();
  CHECK(before != after);
  CHECK(std::abs(after - before) < 0.01);
  const double trained = json_of(program({"eval", dir / "run", "--json"})).at("val_loss").as_double();
  CHECK(before == doctest::Approx(trained).epsilon(1e-9));

  // The file alone says what it is: its run evaluates to the loss after the round trip; exact weights to the one before.
  json_of(program({"import", dir / "model.int8", "--out", dir / "packed", "--json"}));
  CHECK(json_of(program({"eval", dir / "packed", "--json"})).at("val_loss").as_double() == doctest::Approx(after).epsilon(1e-9));
  json_of(program({"export", dir / "run", "--out", dir / "model.safetensors", "--no-eval", "--json"}));
  const core::Value back = json_of(program({"import", dir / "model.safetensors", "--out", dir / "exact", "--json"}));
  CHECK(back.at("step").as_int() == 40);
  CHECK(json_of(program({"eval", dir / "exact", "--json"})).at("val_loss").as_double() == trained);

  const auto refused = [&](const std::string& file, std::vector<std::string> more, std::initializer_list<const char*> parts) {
    std::vector<std::string> args = {"import", file, "--out", dir / "none"};
    args.insert(args.end(), more.begin(), more.end());
    const Outcome o = program(args);
    CHECK_MESSAGE(o.code == 2, o.err);
    for (const char* part : parts) CHECK_MESSAGE(o.err.find(part) != std::string::npos, o.err);
    CHECK_FALSE(core::directory_exists(dir / "none"));
  };
  std::string bytes = core::read_file(dir / "model.int8");
  const auto damaged = [&](std::string content) {
    std::ofstream(dir / "damaged.int8", std::ios::binary) << content;
    return dir / "damaged.int8";
  };
  refused(damaged(bytes.substr(0, bytes.size() / 2)), {}, {"damaged.int8", "whole zlib stream"});
  refused(damaged(bytes + "x"), {}, {"damaged.int8", "whole zlib stream"});
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 8);
  refused(damaged(bytes), {}, {"damaged.int8"});
  refused(dir / "model.int8", {"--arch", "gpt2"}, {"v8_lowrank_vv", "gpt2"});
  refused(dir / "model.int8", {"model.num_hops=3"}, {"model.num_hops=3", "cannot change"});
  // Weights alone, and a model that they do not belong to: the first difference.
  exporting::ModelFile alone = exporting::read_model_file(dir / "model.safetensors");
  alone.config = core::Value();
  exporting::write_model_file(core::real_files(), dir / "alone.safetensors", alone);
  const std::vector<std::string> data = {"data.corpus_tokens=20000", "data.corpus_val_tokens=2000", "train.seq_len=32"};
  const auto with = [&](std::vector<std::string> args) {
    args.insert(args.end(), data.begin(), data.end());
    return args;
  };
  refused(dir / "alone.safetensors", {}, {"does not say which architecture", "--arch"});
  refused(dir / "alone.safetensors", with({"--arch", "v8", "model.num_hops=3", "model.interaction_rank=16"}),
          {"hops.2.", "which this model has"});
  refused(dir / "alone.safetensors", with({"--arch", "v8", "model.num_hops=1", "model.interaction_rank=16"}),
          {"hops.1.", "belongs to no part"});
  refused(dir / "alone.safetensors", with({"--arch", "v8", "model.num_hops=2", "model.interaction_rank=8"}),
          {"interaction.U", "[260, 16]", "[260, 8]"});
  const std::vector<std::string> right = with({"import", dir / "alone.safetensors", "--out", dir / "right", "--arch", "v8",
                                               "model.num_hops=2", "model.interaction_rank=16", "--json"});
  json_of(program(right));
  CHECK(json_of(program({"eval", dir / "right", "--json"})).at("val_loss").as_double() == doctest::Approx(trained).epsilon(1e-9));
}
