#include <cstdio>

#include "assay/arch/architecture.h"
#include "assay/arch/transformer/decoder/component.h"
#include "assay/cli/command_line.h"
#include "assay/cli/commands.h"
#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/data/corpus.h"
#include "assay/data/tasks.h"
#include "assay/optim/optimizer.h"

namespace assay::cli {
namespace {

using core::Value;

Value entry(std::string_view name, std::string_view summary) {
  Value v = Value::object();
  v["name"] = name;
  v["summary"] = summary;
  return v;
}

Value architectures() {
  Value list = Value::array();
  for (const arch::ArchInfo* a : arch::architectures()) {
    Value v = Value::object();
    v["name"] = a->name;
    v["aliases"] = Value::array();
    for (const std::string& alias : arch::aliases_of(*a)) v["aliases"].push_back(alias);
    v["summary"] = a->summary;
    v["family"] = a->family;
    list.push_back(v);
  }
  return list;
}

Value components() {
  Value list = Value::array();
  for (const auto* c : arch::decoder::components()) list.push_back(entry(c->name, c->summary));
  return list;
}

Value corpora() {
  Value list = Value::array();
  for (const data::EmbeddedCorpus& c : data::embedded_corpora()) list.push_back(entry(c.name, c.summary));
  return list;
}

Value tasks() {
  Value list = Value::array();
  for (const data::Task& t : data::tasks()) {
    Value v = entry(t.name, t.summary);
    v["row"] = t.row;
    v["vocab_size"] = t.vocab;
    v["loss_first"] = t.first;
    v["loss_last"] = t.last;
    v["chance_nats"] = t.chance_nats;
    v["oracle_nats"] = t.oracle_nats;
    v["chance_accuracy"] = t.chance_accuracy;
    v["oracle_accuracy"] = t.oracle_accuracy;
    list.push_back(v);
  }
  return list;
}

Value optimizers() {
  Value list = Value::array();
  for (const optim::OptimizerInfo& o : optim::optimizers()) list.push_back(entry(o.name, o.summary));
  return list;
}

struct Topic {
  const char* name;
  Value (*list)();
};
constexpr Topic topics[] = {
    {"architectures", &architectures}, {"components", &components}, {"corpora", &corpora}, {"tasks", &tasks}, {"optimizers", &optimizers}};

void print(const Topic& topic, const Value& list) {
  std::printf("%s\n", topic.name);
  for (const Value& v : list.as_array()) std::printf("  %-18s %s\n", v.at("name").as_string().c_str(), v.at("summary").as_string().c_str());
}

}  // namespace

int run_list(const std::vector<std::string>& args) {
  CommandLine line("list", "What there is: architectures, components, corpora, tasks, optimizers; one line each.");
  std::string what;
  line.positional("WHAT", what, "architectures, components, corpora, tasks or optimizers; default: all", false);
  if (!line.parse(args)) return 0;
  Value document = Value::object();
  std::vector<std::string> known;
  for (const Topic& t : topics) {
    known.emplace_back(t.name);
    if (what.empty() || what == t.name) document[t.name] = t.list();
  }
  if (document.size() == 0) throw core::ConfigError("list", core::unknown_name("list", what, known));
  if (line.json) {
    std::printf("%s\n", core::to_json(document, 2).c_str());
    return 0;
  }
  for (const Topic& t : topics)
    if (const Value* list = document.find(t.name)) print(t, *list);
  return 0;
}

}  // namespace assay::cli
