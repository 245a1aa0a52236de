#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "assay/core/error.h"
#include "assay/core/file.h"
#include "assay/report/charts.h"
#include "assay/report/forms.h"
#include "assay/report/ladder.h"
#include "assay/report/report.h"
#include "core/refusal.h"
#include "core/scratch.h"
#include "report/fixture.h"
#include "report/parse.h"

using namespace assay;
using namespace assay::test;
using core::Value;

namespace {

std::string html_of(const std::string& directory) { return report::html_form(report::document_of(report::read_campaign(directory))); }

void write(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

// Rewrites results.json after `change`.
void edit(const std::string& directory, const std::function<void(Value&)>& change) {
  const std::string path = directory + "/results.json";
  Value v = core::parse_json(core::read_file(path), path, {.bytes = size_t{16} << 20});
  change(v);
  write(path, core::to_json(v));
}

size_t times(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++n;
  return n;
}

// Where each of the parts begins, in order; false where one is missing or comes before its predecessor.
bool in_order(const std::string& text, const std::vector<std::string>& parts) {
  size_t at = 0;
  for (const std::string& part : parts) {
    at = text.find(part, at);
    if (at == std::string::npos) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("a report has its sections in the order in which they are read, and every verdict with its sentence") {
  const Scratch dir;
  const Value results = make_fixture(dir.path());
  const std::string html = html_of(dir.path());
  CHECK(in_order(html, {"<section id=\"verdicts\"", "<section id=\"effects\"", "<section id=\"pairs\"", "<section id=\"curves\"",
                        "<section id=\"agreement\"", "<section id=\"audits\"", "<section id=\"costs\"", "<section id=\"fairness\"",
                        "<section id=\"pairing\"", "<section id=\"runs\"", "<section id=\"design\"", "<section id=\"differences\"",
                        "<section id=\"settings\"", "<section id=\"environment\"", "<section id=\"repeat\"", "<section id=\"data\""}));
  const std::string text = html_unescaped(html.substr(html.find("<main")));
  for (const Value& arm : results.at("arms").as_array()) {
    if (arm.at("verdict").as_string() == "control") continue;
    CHECK(contains(text, arm.at("sentence").as_string()));
    CHECK(contains(html, "<li class=\"claim " + arm.at("verdict").as_string() + "\""));
  }
  CHECK(contains(text, "future_rank64 was refused: the audit found that it sees the tokens that it predicts."));
  CHECK(contains(text, "position 17 changes when token 18 changes, by 0.42"));
  CHECK(contains(text, "two modes: escape 4 of 8 against 0 of 8"));
  CHECK(contains(text, "[train] step 1172: the loss is not finite"));
  CHECK_FALSE(contains(text, "not finished"));
}

TEST_CASE("a report is one file that names no other and cannot reach a network") {
  const Scratch dir;
  make_fixture(dir.path());
  const std::string html = html_of(dir.path());
  CHECK(contains(html, "default-src 'none'"));
  CHECK_FALSE(contains(html, "unsafe-eval"));
  const std::string own = html.substr(0, html.find("<script type=\"application/json\""));
  CHECK_FALSE(contains(own, " src="));
  CHECK_FALSE(contains(own, "<link"));
  CHECK_FALSE(contains(own, "http://"));
  CHECK_FALSE(contains(own, "https://"));
  CHECK(times(html, "<script nonce=") == times(html, "<script") - times(html, "<script type=\"application/json\""));
}

TEST_CASE("a report of the same files is the same, byte for byte") {
  const Scratch dir;
  make_fixture(dir.path());
  for (const char* format : {"html", "markdown", "latex"}) {
    const std::string first = core::read_file(report::write_report(dir.path(), format, dir / "one").files.at(0));
    CHECK(first == core::read_file(report::write_report(dir.path(), format, dir / "two").files.at(0)));
  }
}

TEST_CASE("HTML, Markdown, LaTeX and JSON hold the same cells in every table") {
  const Scratch dir;
  make_fixture(dir.path());
  const report::Document d = report::document_of(report::read_campaign(dir.path()));
  const std::string html = report::html_form(d), markdown = report::markdown_form(d), latex = report::latex_form(d);
  const Value json = report::json_form(d);
  REQUIRE(report::tables_of(d).size() > 10);
  for (const report::Table* t : report::tables_of(d)) {
    INFO(t->caption);
    const Rows wanted = json_table(json, t->caption);
    REQUIRE(wanted.size() == t->rows.size() + 1);
    CHECK(html_table(html, t->caption) == wanted);
    if (!t->for_papers) continue;
    CHECK(markdown_table(markdown, t->caption) == wanted);
    CHECK(latex_table(latex, t->caption) == wanted);
  }
}

TEST_CASE("the numbers of the effect table are those of results.json") {
  const Scratch dir;
  const Value results = make_fixture(dir.path());
  const report::Document d = report::document_of(report::read_campaign(dir.path()));
  const Rows rows = json_table(report::json_form(d), "Effects against gpt2 in nats; positive: the arm is better");
  REQUIRE(rows.size() == 8);
  for (size_t i = 1; i < rows.size(); ++i) {
    const Value& arm = results.at("arms").as_array().at(i);
    INFO(rows[i][0]);
    CHECK(rows[i][0] == arm.at("name").as_string());
    CHECK(rows[i][1] == arm.at("verdict").as_string());
    if (arm.at("effect").is_null()) {
      CHECK(rows[i][2] == "-");
      continue;
    }
    CHECK(std::stod(rows[i][2]) == doctest::Approx(arm.at("effect").as_double()).epsilon(0.05).scale(0.001));
    const Value& interval = arm.at("interval");
    const std::string upper = rows[i][3].substr(rows[i][3].find(", ") + 2);
    CHECK(std::stod(upper) == doctest::Approx(interval.as_array()[1].as_double()).epsilon(0.05).scale(0.001));
    CHECK(contains(rows[i][3], "-inf") == interval.as_array()[0].is_null());
    CHECK(rows[i][10] == std::to_string(arm.at("seeds").as_int()));
  }
}

TEST_CASE("a hostile name, question, message or fragment stays text") {
  const Scratch dir;
  FixtureRequest request;
  request.question = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)> \" onload='alert(3)' \xE2\x80\xA8";
  request.arm_name = "a</script><svg onload=alert(4)>&\"'";
  make_fixture(dir.path(), request);
  edit(dir.path(), [](Value& v) {
    v["members"].as_array()[3]["error"] = "<!--<script>alert(5)</script>";
    v["arms"].as_array()[2]["sentence"] = "<b onmouseover=alert(6)>\x01\x1b[31m";
    v["name"] = "$(touch /tmp/x); '`id`'";
  });
  write(dir / "lens.json", R"([{"title": "<i>lens</i>", "html": "<p class=\"x\">\"quoted\"</p><script>alert(7)</script>"}])");
  const std::string html = html_of(dir.path());
  const std::string body = html.substr(html.find("<main"), html.find("</main>") - html.find("<main"));
  CHECK_FALSE(contains(body, "<script"));
  CHECK_FALSE(contains(body, "<img"));
  CHECK_FALSE(contains(body, "<b "));
  CHECK_FALSE(contains(body, "<i>"));
  CHECK_FALSE(contains(html, "<svg onload"));
  CHECK_FALSE(contains(html, "<!--"));
  CHECK(times(html, "<script") == times(html, "<script nonce=") + times(html, "<script type=\"application/json\""));
  CHECK(times(html, "</script>") == times(html, "<script"));
  CHECK(contains(body, "&lt;b onmouseover=alert(6)&gt;\\x01\\x1B[31m"));
  CHECK(contains(body, "<iframe sandbox title=\"&lt;i&gt;lens&lt;/i&gt;\" height=\"130\" srcdoc=\"&lt;p class=&quot;x&quot;&gt;"));
  CHECK(contains(body, "runs/$(touch /tmp/x); &#39;\\&#39;&#39;`id`&#39;\\&#39;&#39;-again"));
  const Value charts = data_of(html, "charts");
  CHECK(charts.at("chart-effects").at("data").at("values").as_array()[0].at("arm").as_string() == request.arm_name);
}

TEST_CASE("the band of equivalence is the margin that all hypotheses share") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  CHECK(report::read_campaign(dir.path()).margin() == 0.015);
  const auto band = [&] {
    const Value charts = data_of(html_of(dir.path()), "charts");
    return charts.at("chart-effects").at("layer").as_array().at(0).at("data").at("values");
  };
  CHECK(band().as_array().at(0).at("high").as_double() == 0.015);
  edit(dir.path(), [](Value& v) { v["design"]["hypotheses"].as_array()[2]["margin"] = 0.02; });
  CHECK(band().size() == 0);
}

TEST_CASE("later edits of the recipe are told beside the verdicts and listed with the design") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  edit(dir.path(), [](Value& v) {
    Value row = Value::object();
    row["option"] = "arm.gated.optim.lr";
    row["b"] = 0.5;
    row["followed"] = false;
    row["at"] = "2026-02-01T08:00:00Z";
    row["done"] = 11;
    v["deviations"].push_back(row);
  });
  const std::string text = html_unescaped(html_of(dir.path()));
  CHECK(text.find("The recipe was edited after the campaign had begun, in 1 option") != std::string::npos);
  CHECK(in_order(text, {"arm.gated.optim.lr", "absent", "0.5", "no", "2026-02-01T08:00:00Z", "11"}));
}

TEST_CASE("runs that end above the loss of guessing evenly are told, for the effect counts them as that loss") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  CHECK(html_of(dir.path()).find("guessing evenly") == std::string::npos);
  edit(dir.path(), [](Value& v) {
    const std::string arm = v.at("design").at("hypotheses").as_array()[0].at("arm").as_string();
    for (Value& a : v["arms"].as_array())
      if (a.at("name").as_string() == arm) a["values"].as_array()[0]["value"] = 6.5;
  });
  CHECK(html_unescaped(html_of(dir.path())).find("ended above 5.5450, the loss of guessing evenly") != std::string::npos);
}

TEST_CASE("undeclared differences are told before the declared ones, and budgets, trials and edges have their tables") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  edit(dir.path(), [](Value& v) {
    Value& arm = v["arms"].as_array().at(1);
    Value row = Value::object();
    row["option"] = "optim.clip";
    row["a"] = 1;
    row["b"] = 2;
    arm["undeclared"].push_back(row);
    arm["tuning"]["edge"] = "tuned at the edge";
    arm["budget"]["solved"]["model.n_embd"] = 96;
    arm["budget"]["mismatch"] = -0.0123;
  });
  const std::string text = html_unescaped(html_of(dir.path()));
  CHECK(
      in_order(text, {"model.n_embd = 96", "at the edge", "beyond the declared change", "optim.clip", "Options in which an arm differs"}));
  CHECK(text.find("-1.2300 %") != std::string::npos);
  const Value chart = report::tuning_chart(report::read_campaign(dir.path()), "optim.lr");
  CHECK(chart.at("encoding").at("x").at("axis").at("title").as_string() == "optim.lr");
  const auto& rows = chart.at("data").at("values").as_array();
  CHECK(rows.size() % 3 == 0);
  CHECK(rows[1].at("chosen").as_bool());
  CHECK_FALSE(rows[0].at("chosen").as_bool());
}

TEST_CASE("a ladder of sizes has a figure of effect against size, and its sections once for each size") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  edit(dir.path(), [](Value& v) {  // the first four arms as two sizes of one comparison
    auto& arms = v["arms"].as_array();
    arms.resize(4);
    const char* names[] = {"gpt2-small", "wide-small", "gpt2-large", "wide-large"};
    for (size_t i = 0; i < 4; ++i) {
      arms[i]["name"] = names[i];
      arms[i]["rung"] = i < 2 ? "small" : "large";
      arms[i]["verdict"] = i % 2 == 0 ? "control" : "better";
      arms[i]["parameters"] = i < 2 ? 1e5 : 1e6;
      arms[i]["effect"] = i % 2 == 0 ? Value() : Value(0.1 * static_cast<double>(i));
    }
    v["control"] = "gpt2";
    v["members"] = Value::array();
  });
  const report::Campaign c = report::read_campaign(dir.path());
  const std::string html = report::html_form(report::document_of(c));
  CHECK(in_order(html, {"id=\"verdicts\"", "id=\"ladder\"", "id=\"effects-small\"", "id=\"chart-effects-small\"", "id=\"effects-large\"",
                        "id=\"chart-effects-large\"", "id=\"costs\""}));
  const Value chart = report::ladder_chart(c);
  REQUIRE(chart.at("data").at("values").size() == 2);
  CHECK(chart.at("data").at("values").as_array()[0].at("arm").as_string() == "wide");
  CHECK(chart.at("data").at("values").as_array()[1].at("size").as_double() == 1e6);
  CHECK(report::on_rung(c, "large").control == "gpt2-large");
}

TEST_CASE("an arm's name cannot lead out of the campaign's directory") {
  const Scratch dir;
  FixtureRequest request;
  request.arm_name = "../../outside";
  make_fixture(dir / "campaign", request);
  std::filesystem::create_directories(dir / "campaign/members/../../outside-s1");
  write(dir / "outside-s1/env.json", R"({"version": "from outside"})");
  CHECK_FALSE(contains(html_of(dir / "campaign"), "from outside"));
}

TEST_CASE("a campaign that still runs says so, and what is missing is a dash") {
  const Scratch dir;
  FixtureRequest request;
  request.finished = false;
  make_fixture(dir.path(), request);
  const std::string html = html_of(dir.path());
  CHECK(contains(html, "This campaign is not finished. Of 64 runs: "));
  CHECK(contains(html, "7 waiting"));
  CHECK(contains(html, "no verdict yet"));
}

TEST_CASE("every field of results.json may be null or missing") {
  const Scratch dir;
  const Value results = make_fixture(dir.path(), {.seeds = 3, .rows = 8});
  const auto restore = [&] { write(dir / "results.json", core::to_json(results)); };
  for (const bool gone : {false, true}) {
    for (const auto& [key, value] : results.as_object()) {
      const std::string member = key;
      INFO(member);
      edit(dir.path(), [&, k = key](Value& v) { gone ? v.erase(k) : void(v[k] = Value()); });
      CHECK_NOTHROW(html_of(dir.path()));
      restore();
    }
    for (const auto& [key, value] : results.at("arms").as_array()[1].as_object()) {
      if (key == "name") continue;
      const std::string member = key;
      INFO(member);
      edit(dir.path(), [&, k = key](Value& v) {
        for (Value& arm : v["arms"].as_array()) gone ? arm.erase(k) : void(arm[k] = Value());
      });
      CHECK_NOTHROW(html_of(dir.path()));
      restore();
    }
  }
}

TEST_CASE("a campaign that has only begun has a report") {
  const Scratch dir;
  make_fixture(dir.path());
  std::filesystem::remove(dir / "results.json");
  std::filesystem::remove_all(dir / "members");
  const std::string html = html_of(dir.path());
  CHECK(contains(html, "No results yet"));
  CHECK(contains(html, "lowrank_vv"));
}

TEST_CASE("malformed files are refused with file and field") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 2, .rows = 8});
  const auto refusal = [&] { return test::refusal<core::DataError>([&] { html_of(dir.path()); }); };
  const std::string good = core::read_file(dir / "results.json");
  const auto with = [&](const std::function<void(Value&)>& change) {
    write(dir / "results.json", good);
    edit(dir.path(), change);
    const std::string message = refusal();
    write(dir / "results.json", good);
    return message;
  };
  CHECK(contains(with([](Value& v) { v["arms"].as_array()[2]["effect"] = "big"; }),
                 "results.json: field 'arms[2].effect': wanted a number, found string"));
  CHECK(contains(with([](Value& v) { v["arms"].as_array()[1]["verdict"] = "best"; }), "'arms[1].verdict': wanted one of better, worse"));
  CHECK(contains(with([](Value& v) { v["arms"].as_array()[1]["interval"] = Value::Array{1.0}; }),
                 "'arms[1].interval': wanted [lower, upper], found 1 values"));
  CHECK(contains(with([](Value& v) { v["arms"].as_array()[1]["interval"] = Value::Array{2.0, 1.0}; }),
                 "'arms[1].interval': the lower end lies above"));
  CHECK(contains(with([](Value& v) { v["members"].as_array()[0]["status"] = 3; }), "'members[0].status': wanted a string, found integer"));
  CHECK(contains(with([](Value& v) { v["arms"].as_array()[1]["audit"]["pass"] = 1; }),
                 "'arms[1].audit.pass': wanted true or false, found integer"));
  CHECK(contains(with([](Value& v) { v["seeds"] = Value::Array{"one"}; }), "'seeds': wanted integers, found string"));
  CHECK(contains(with([](Value& v) { v["design"] = 5; }), "'design': wanted an object, found integer"));
  write(dir / "results.json", "[1, 2");
  CHECK(contains(refusal(), "results.json"));
  write(dir / "results.json", good);
  const std::string metrics = dir / "members/gpt2-s1/metrics.jsonl";
  const std::string rows = core::read_file(metrics);
  write(metrics, rows + "{\"step\": 1, \"kind\": \"train\"}\n");
  CHECK(contains(refusal(), "metrics.jsonl, line "));
  CHECK(contains(refusal(), "field 'tokens': missing; wanted a number"));
  write(metrics, rows + "{\"step\": 1, \"ki");
  CHECK(refusal() == "");
  write(dir / "members/gpt2-s1/config.toml", "a = [");
  CHECK(contains(refusal(), "config.toml"));
}

TEST_CASE("what is no campaign, and an unknown format, are refused before anything is written") {
  const Scratch dir;
  CHECK(contains(refusal<core::ConfigError>([&] { report::write_report(dir.path(), "html", ""); }),
                 "holds neither results.json nor campaign.json"));
  CHECK(contains(refusal<core::ConfigError>([&] { report::write_report(dir.path(), "pdf", ""); }),
                 "--format is 'pdf'; wanted html, markdown, latex or svg"));
  CHECK(std::filesystem::is_empty(dir.path()));
}

TEST_CASE("tables and pictures: captions, headings and descriptions for those who cannot see") {
  const Scratch dir;
  make_fixture(dir.path());
  const std::string all = html_of(dir.path()), html = all.substr(0, all.find("<script type=\"application/json\""));
  CHECK(times(html, "<table") == times(html, "<caption>"));
  CHECK(times(html, "<h1>") == 1);
  CHECK(contains(html, "<a class=\"skip\" href=\"#main\">"));
  CHECK(contains(html, "<nav class=\"contents\" aria-label="));
  CHECK(times(html, "class=\"chart\"") == times(html, "role=\"img\" aria-label=\""));
  CHECK_FALSE(contains(html, "role=\"img\" aria-label=\"\""));
  CHECK(contains(html, "lowrank_vv: better, +"));
  CHECK(contains(html, "<html lang=\"en\""));
}

TEST_CASE("a report of 200 long runs embeds bands, not runs") {
  const Scratch dir;
  make_fixture(dir.path(), {.seeds = 25, .rows = 2000});
  const Value charts = data_of(html_of(dir.path()), "charts");
  const Value& training = charts.at("chart-training");
  CHECK(training.at("data").at("values").size() <= 7 * 161);
  CHECK(training.at("layer").as_array()[3].at("data").at("values").size() <= 200);
  CHECK(core::to_json(charts).size() < size_t{1} << 20);
}

TEST_CASE("a campaign by accuracy: higher is better everywhere, its curve with chance and oracle, and no such line at a loss") {
  const Scratch dir;
  make_fixture(dir.path());
  edit(dir.path(), [](Value& v) {
    v["metric"] = "accuracy";
    v["references"] =
        core::parse_json(R"([{"name": "chance", "kind": "chance", "value": 0.25}, {"name": "oracle", "kind": "oracle", "value": 1}])", "");
  });
  std::string rows;
  for (int step = 1; step <= 4; ++step)
    rows += R"({"step": )" + std::to_string(step) + R"(, "kind": "val", "tokens": )" + std::to_string(1000 * step) +
            R"(, "loss": 1.5, "accuracy": 0.)" + std::to_string(2 * step) + "}\n";
  write(dir.path() + "/members/gpt2-s1/metrics.jsonl", rows);
  const report::Campaign c = report::read_campaign(dir.path());
  const report::Document d = report::document_of(c);
  const std::string text = report::html_form(d);
  for (const std::string part : {"metric, higher is better", "Effects are arm - gpt2 in accuracy", "and the difference arm - gpt2",
                                 "higher is better. Solid: the arm is higher", "Validation accuracy over seeds", "chance</th>"})
    CHECK_MESSAGE(text.find(part) != std::string::npos, part);
  CHECK(text.find("lower is better;") == std::string::npos);
  CHECK(text.find("lower is better.  Solid") == std::string::npos);

  const Value forest = report::forest_chart(c);
  CHECK(forest.at("encoding").at("x").at("axis").at("title").as_string().find("arm - gpt2, accuracy") != std::string::npos);
  const report::Arm* arm = c.find("lowrank_vv");
  REQUIRE(arm != nullptr);
  const Value slopes = report::slope_chart(c, *arm);
  for (const Value& row : slopes.at("data").at("values").as_array())
    CHECK(row.at("direction") == Value("worse"));  // its values, losses in the fixture, are below the control's
  size_t accuracy = 0, losses = 0;
  for (const report::Panel* p : report::panels_of(d)) {
    if (p->id != "chart-accuracy" && p->id != "chart-validation") continue;
    const size_t lines = p->spec.at("layer").as_array()[0].at("data").at("values").size();
    CHECK(lines == (p->id == "chart-accuracy" ? 2 : 0));
    (p->id == "chart-accuracy" ? accuracy : losses) += 1;
  }
  CHECK(accuracy == 1);
  CHECK(losses == 1);
}
