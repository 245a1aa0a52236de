#include "assay/cli/bench_text.h"

#include <cstdio>

#include "assay/cli/text_table.h"

namespace assay::cli {

using core::Value;

namespace {

std::string digits(double x, int n) {
  char text[32];
  std::snprintf(text, sizeof text, "%.*f", n, x);
  return text;
}

// The library of this run's products: what a bf16 run would use beside it ("mixed+bf16") is no word about one in fp32.
std::string products_of(const Value& v) {
  const std::string name = v.at("product_backend").as_string();
  return v.at("dtype").as_string() == "fp32" ? name.substr(0, name.find('+')) : name;
}

// "-" of too few samples.
std::string spread_of(const Value& v, int n) { return v.at("spread_ms").is_null() ? "-" : digits(v.at("spread_ms").as_double(), n); }

}  // namespace

void print_updates(const Value& v) {
  const auto number = [&](const char* key) { return v.at(key).as_double(); };
  std::printf("%s on %s, %s, B=%lld T=%lld V=%lld, %lld threads, products by %s\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("seq_len").as_int()), static_cast<long long>(v.at("vocab_size").as_int()),
              static_cast<long long>(v.at("threads").as_int()), products_of(v).c_str());
  std::printf("  %.0f tokens/s, %.2f ms a step (+- %s, %lld samples)\n", number("tokens_per_s"), number("ms"), spread_of(v, 2).c_str(),
              static_cast<long long>(v.at("samples").as_int()));
  for (const auto& [name, t] : v.at("phases").as_object()) std::printf("    %-14s %8.2f ms\n", name.c_str(), t.at("median").as_double());
  std::printf("  %.1f GFLOP/s of model arithmetic, %.0f %% of a large product's %.1f; peak %.0f MB\n", number("gflops"),
              100 * number("floor_fraction"), number("product_gflops"), number("peak_bytes") / 1e6);
}

void print_generation(const Value& v) {
  std::printf("%s on %s, %s, B=%lld V=%lld, %lld threads, products by %s: token by token\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("vocab_size").as_int()), static_cast<long long>(v.at("threads").as_int()),
              products_of(v).c_str());
  for (const Value& c : v.at("contexts").as_array())
    std::printf("  after %6lld tokens: %8.0f tokens/s, %.3f ms a token (+- %s), memory of %.1f kB\n",
                static_cast<long long>(c.at("context").as_int()), c.at("tokens_per_s").as_double(), c.at("ms").as_double(),
                spread_of(c, 3).c_str(), static_cast<double>(c.at("memory_bytes").as_int()) / 1e3);
  std::printf("  a token later on costs %.2f times one early on\n", v.at("ratio").as_double());
}

void print_ops(const Value& v) {
  std::printf("on %s; a copy moves %.0f GB/s\n", v.at("device").as_string().c_str(), v.at("copy_gb_per_s").as_double());
  for (const Value& op : v.at("ops").as_array())
    std::printf("  %-19s %-22s %9.3f ms (+- %s)  %6.0f GB/s, %3.0f %% of a copy's; composite %.3f ms\n", op.at("name").as_string().c_str(),
                op.at("shape").as_string().c_str(), op.at("ms").as_double(), spread_of(op, 3).c_str(), op.at("gb_per_s").as_double(),
                100 * op.at("floor_fraction").as_double(), op.at("composite_ms").as_double());
}

void print_banded(const Value& v) {
  std::printf("banded product on %s, %s, %lld tokens, %lld threads, products by %s: forward and backward; a copy moves %.0f GB/s\n",
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("tokens").as_int()),
              static_cast<long long>(v.at("threads").as_int()), products_of(v).c_str(), v.at("copy_gb_per_s").as_double());
  for (const Value& m : v.at("matrices").as_array()) {
    std::printf("%s, %lld x %lld: dense %.3f ms (%.0f GFLOP/s), crossover at density %.3f\n", m.at("matrix").as_string().c_str(),
                static_cast<long long>(m.at("out").as_int()), static_cast<long long>(m.at("in").as_int()), m.at("dense_ms").as_double(),
                m.at("dense_gflops").as_double(), m.at("crossover_density").as_double());
    std::printf("%10s %9s %9s %10s %9s %10s %10s %8s %9s\n", "bandwidth", "density", "of tiles", "ms", "+-", "tiles ms", "bytes ms",
                "share", "x dense");
    for (const Value& b : m.at("bands").as_array())
      std::printf("%10lld %9.4f %9.4f %10.3f %9s %10.3f %10.3f %7.0f%% %9.2f\n", static_cast<long long>(b.at("bandwidth").as_int()),
                  b.at("density").as_double(), b.at("tile_density").as_double(), b.at("ms").as_double(), spread_of(b, 3).c_str(),
                  b.at("tile_ms").as_double(), b.at("byte_ms").as_double(), 100 * b.at("floor_fraction").as_double(),
                  b.at("speedup").as_double());
  }
}

void print_comparison(const Value& v) {
  using Side = TextTable::Side;
  TextTable table({"architecture", "parameters", "steps", "val loss", "bits a byte", "train loss", "tokens/s", "seconds", "status"},
                  {Side::left, Side::right, Side::right, Side::right, Side::right, Side::right, Side::right, Side::right, Side::left});
  for (const Value& r : v.at("runs").as_array()) {
    std::vector<std::string> row;
    for (const char* key :
         {"name", "parameters", "steps", "val_loss", "val_bits_per_byte", "train_loss", "tokens_per_s", "seconds", "status"})
      row.push_back(r.at(key).is_string() ? r.at(key).as_string() : cell(r.at(key)));
    table.add(row);
  }
  cli::print(table.text());
  std::printf("one seed each, %g minutes of training: an order, no verdict (`assay campaign` decides with seeds)\nrun directories: %s\n",
              v.at("minutes").as_double(), v.at("directory").as_string().c_str());
}

void print_profile(const Value& v) {
  std::printf("%s on %s, %s, B=%lld T=%lld V=%lld: %.2f ms a step in %s, launched one by one\n", v.at("name").as_string().c_str(),
              v.at("device").as_string().c_str(), v.at("dtype").as_string().c_str(), static_cast<long long>(v.at("batch").as_int()),
              static_cast<long long>(v.at("seq_len").as_int()), static_cast<long long>(v.at("vocab_size").as_int()), v.at("ms").as_double(),
              v.at("device").as_string() == "cpu" ? "operators" : "kernels");
  std::printf("%-10s %9s %8s %10s %10s %11s %9s %8s %9s %6s\n", "phase", "ms", "+-", "GFLOP", "MB", "FLOP/byte", "GFLOP/s", "GB/s",
              "floor ms", "share");
  for (const Value& p : v.at("phases").as_array()) {
    const auto number = [&](const char* key) { return p.at(key).is_number() ? p.at(key).as_double() : 0.0; };
    std::printf("%-10s %9.3f %8s %10.3f %10.2f %11.2f %9.1f %8.1f %9.3f %5.0f%%\n", p.at("name").as_string().c_str(), number("ms"),
                spread_of(p, 3).c_str(), number("flops") / 1e9, number("bytes") / 1e6, number("flops_per_byte"), number("gflops"),
                number("gb_per_s"), number("floor_ms"), 100 * number("floor_fraction"));
  }
  std::printf("ceilings: a copy moves %.1f GB/s, a large product does %.1f GFLOP/s; by the cost formula an update is %.3f GFLOP\n",
              v.at("copy_gb_per_s").as_double(), v.at("product_gflops").as_double(), v.at("formula_flops").as_double() / 1e9);
  std::printf("%9s %7s %7s  name\n", "ms", "share", "calls");
  for (const Value& e : v.at("entries").as_array())
    if (e.at("share").as_double() >= 0.002)
      std::printf("%9.3f %6.1f%% %7.1f  %.110s\n", e.at("ms").as_double(), 100 * e.at("share").as_double(), e.at("calls").as_double(),
                  e.at("name").as_string().c_str());
}

void print_suite(const Value& v) {
  using Side = TextTable::Side;
  TextTable table(
      {"model", "B x T", "dtype", "parameters", "tokens/s", "ms", "+-", "of a product", "peak MB", "status"},
      {Side::left, Side::right, Side::left, Side::right, Side::right, Side::right, Side::right, Side::right, Side::right, Side::left});
  const Value* ops = nullptr;
  for (const Value& row : v.at("rows").as_array()) {
    const Value& r = row.at("result");
    if (r.is_object() && r.find("ops") != nullptr) {
      ops = &r;
      continue;
    }
    const std::string name = row.at("name").as_string();
    if (!r.is_object()) {
      table.add({name, "-", "-", "-", "-", "-", "-", "-", "-", row.at("error").as_string()});
      continue;
    }
    const auto number = [&](const char* key) { return r.at(key).as_double(); };
    table.add({name, std::to_string(r.at("batch").as_int()) + " x " + std::to_string(r.at("seq_len").as_int()), r.at("dtype").as_string(),
               cell(r.at("parameters")), digits(number("tokens_per_s"), 0), digits(number("ms"), 2), spread_of(r, 2),
               digits(100 * number("floor_fraction"), 0) + " %", digits(number("peak_bytes") / 1e6, 0), "done"});
  }
  std::printf("updates on %s%s\n", v.at("device").as_string().c_str(),
              v.at("quick").as_bool() ? "; sizes of --quick tell nothing of speed" : "");
  print(table.text());
  if (ops == nullptr) return;
  std::printf("\nops alone ");
  print_ops(*ops);
}

}  // namespace assay::cli
