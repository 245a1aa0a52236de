#include "assay/report/read_members.h"

#include <algorithm>
#include <future>
#include <string_view>
#include <thread>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/report/fields.h"

namespace assay::report {
namespace {

using core::Value;

constexpr uint64_t kFileLimit = uint64_t{64} << 20;
constexpr uint64_t kMetricsLimit = uint64_t{1} << 30;

Value read_json(const std::string& path) {
  if (!core::file_exists(path)) return {};
  return core::parse_json(core::read_file(path, kFileLimit), path, {.bytes = kFileLimit});
}

void add_row(Member& member, std::string_view line, const std::string& where) {
  const Value row = core::parse_json(line, where);
  const Fields in(row, where);
  const std::string kind = in.required_text("kind");
  const double tokens = in.required_number("tokens");
  const Number loss = in.number("loss");               // null: it was not finite
  if (kind == "skipped" || kind == "resumed") return;  // nothing measured
  if (kind != "train" && kind != "val") in.fail("kind", "wanted train, val, skipped or resumed, found '" + kind + "'");
  if (loss) (kind == "train" ? member.train : member.val).push_back({tokens, *loss});
  if (const Number accuracy = in.number("accuracy"); kind == "val" && accuracy) member.accuracy.push_back({tokens, *accuracy});
}

void read_metrics(Member& member, const std::string& path) {
  if (!core::file_exists(path)) return;
  const std::string text = core::read_file(path, kMetricsLimit);
  const std::string_view all = text;
  size_t start = 0, number = 1;
  for (size_t end; (end = all.find('\n', start)) != std::string_view::npos; start = end + 1, ++number)
    add_row(member, all.substr(start, end - start), path + ", line " + std::to_string(number));
}

void read_validation(Member& member, const std::string& path) {
  const Value v = read_json(path);
  if (v.is_null()) return;
  const Fields in(v, path);
  for (const Fields& row : in.objects("agreement"))
    member.agreement.push_back({row.required_integer("distance"), row.required_number("nats_per_word")});
}

void read_summary(Member& member, const std::string& path) {
  const Value v = read_json(path);
  if (v.is_null()) return;
  const Fields in(v, path);
  if (const auto entropy = in.object("entropy")) member.entropy = entropy->number("entropy");
}

void read_one(Member& member, const std::string& directory) {
  if (!core::directory_exists(directory)) return;
  read_metrics(member, directory + "/metrics.jsonl");
  read_validation(member, directory + "/validation.json");
  read_summary(member, directory + "/summary.json");
  member.environment = read_json(directory + "/env.json");
  const std::string config = directory + "/config.toml";
  if (core::file_exists(config)) member.config = core::parse_toml(core::read_file(config, kFileLimit), config);
}

// Names come from a file: one that leads out of the directory has no files.
bool is_plain(const std::string& name) { return !name.empty() && name.front() != '.' && name.find('/') == std::string::npos; }

}  // namespace

void read_member_files(Campaign& campaign) {
  const size_t workers = std::clamp<size_t>(std::thread::hardware_concurrency(), 1, 16);
  std::vector<std::future<void>> parts;
  for (size_t w = 0; w < workers; ++w)
    parts.push_back(std::async(std::launch::async, [&campaign, w, workers] {
      for (size_t i = w; i < campaign.members.size(); i += workers) {
        Member& m = campaign.members[i];
        if (is_plain(m.arm)) read_one(m, campaign.directory + "/members/" + m.arm + "-s" + std::to_string(m.seed));
      }
    }));
  for (auto& part : parts) part.wait();
  for (auto& part : parts) part.get();
}

}  // namespace assay::report
