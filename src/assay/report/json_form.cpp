#include "assay/report/forms.h"

namespace assay::report {
namespace {

using core::Value;

Value claim_value(const Claim& c) {
  Value v = Value::object();
  v["arm"] = c.arm;
  v["arch"] = c.arch;
  v["verdict"] = c.word;
  v["effect"] = c.effect;
  v["interval"] = c.interval;
  v["unit"] = c.unit;
  v["sentence"] = c.sentence;
  return v;
}

Value table_value(const Table& t) {
  Value v = Value::object();
  v["id"] = t.id;
  v["caption"] = t.caption;
  v["columns"] = Value::array();
  for (const Column& c : t.columns) v["columns"].push_back(c.name);
  v["rows"] = Value::array();
  for (const auto& row : t.rows) {
    Value cells = Value::array();
    for (const std::string& cell : row) cells.push_back(cell);
    v["rows"].push_back(std::move(cells));
  }
  return v;
}

}  // namespace

Value json_form(const Document& d) {
  Value v = Value::object();
  v["name"] = d.name;
  v["title"] = d.title;
  v["verdicts"] = Value::array();
  v["tables"] = Value::array();
  for (const Section& s : d.sections)
    for (const Block& b : s.blocks)
      if (const auto* claims = std::get_if<Claims>(&b))
        for (const Claim& c : claims->all) v["verdicts"].push_back(claim_value(c));
  for (const Table* t : tables_of(d)) v["tables"].push_back(table_value(*t));
  return v;
}

}  // namespace assay::report
