#include <algorithm>
#include <cmath>
#include <set>

#include "assay/report/charts.h"
#include "assay/report/format.h"
#include "assay/report/sections.h"

namespace assay::report {
namespace {

constexpr double kQuarters[] = {0.25, 0.5, 0.75, 1};

double last_place(const std::vector<Series>& bands) {
  double last = 0;
  for (const Series& s : bands) last = std::max(last, s.band.back().x);
  return last;
}

const BandPoint& nearest(const Series& s, double x) {
  return *std::min_element(s.band.begin(), s.band.end(),
                           [x](const BandPoint& a, const BandPoint& b) { return std::fabs(a.x - x) < std::fabs(b.x - x); });
}

// What the bands say at a quarter, half, three quarters and the whole of the training.
Table band_table(const std::string& id, const std::string& caption, const std::vector<Series>& bands) {
  Table t{id, caption, {{"arm"}, {"tokens", true}, {"median", true}, {"lowest", true}, {"highest", true}, {"seeds", true}}, {}};
  t.for_papers = false;
  for (const Series& s : bands) {
    std::set<const BandPoint*> seen;
    for (const double quarter : kQuarters) {
      const BandPoint& p = nearest(s, quarter * last_place(bands));
      if (seen.insert(&p).second)
        t.rows.push_back({s.arm, count_text(p.x), loss_text(p.middle), loss_text(p.low), loss_text(p.high), std::to_string(p.seeds)});
    }
  }
  return t;
}

std::string band_description(const std::vector<Series>& bands) {
  std::string out = "At the end: ";
  for (const Series& s : bands) {
    const BandPoint& p = s.band.back();
    out += s.arm + " " + loss_text(p.middle) + " (" + loss_text(p.low) + " to " + loss_text(p.high) + "). ";
  }
  return out;
}

Table reference_table(const Campaign& c) {
  Table t{"references", "Reference lines", {{"reference"}, {c.compares_losses() ? "nats a token" : c.unit(), true}}, {}};
  for (const Reference& r : c.references) t.rows.push_back({r.name, loss_text(r.value)});
  return t;
}

void add_curves(Section& s, const Campaign& c, const Curve& curve) {
  const std::vector<Series> all = bands(c, curve.points);
  if (all.empty()) return;
  std::string caption = curve.name + ": the line is the median over seeds, the band goes from the lowest to the highest." +
                        (curve.points == &Member::train ? " Neighbouring updates are averaged." : "") +
                        (c.count("failed") > 0 ? " Dotted: runs that failed." : "") + " The first twentieth may lie " +
                        (curve.points == &Member::accuracy ? "below" : "above") + " the frame. An arm chosen in the legend stands out.";
  Figure f{std::move(caption),
           {{"chart-" + curve.id, curve.panel, band_description(all), curve_chart(c, all, curve)}},
           {band_table(curve.id, curve.name + " over seeds in the course of the training, " + curve.unit, all)}};
  if (curve.references && curve.points != &Member::train && !c.references.empty()) f.numbers.push_back(reference_table(c));
  s.blocks.emplace_back(std::move(f));
}

std::vector<Point> agreement_curve(const Member& m) {
  std::vector<Point> out;
  for (const Agreement& a : m.agreement) out.push_back({static_cast<double>(a.distance), a.nats_per_word});
  return out;
}

std::vector<Series> agreement_bands(const Campaign& c) {
  Campaign only;  // the same arms and members, with the agreement where the curves are
  only.arms = c.arms;
  for (const Member& m : c.members) {
    Member one;
    one.arm = m.arm;
    one.status = m.status;
    one.val = agreement_curve(m);
    only.members.push_back(std::move(one));
  }
  return bands(only, &Member::val);
}

std::string audit_word(const Arm& a) {
  if (!a.audit) return "not audited";
  return a.audit->pass ? "passed" : "refused";
}

Table audit_table(const Campaign& c) {
  Table t{"audits",
          "Audits: the checks that an arm must pass before its numbers count",
          {{"arm"}, {"audit"}, {"level"}, {"findings", true}, {"fingerprint"}},
          {}};
  t.words = 1;
  for (const Arm& a : c.arms)
    t.rows.push_back({a.name, audit_word(a), a.audit ? a.audit->level : "-", a.audit ? std::to_string(a.audit->findings.size()) : "-",
                      a.audit && !a.audit->fingerprint.empty() ? a.audit->fingerprint : "-"});
  return t;
}

Table finding_table(const Campaign& c) {
  Table t{"findings", "What the audits found", {{"arm"}, {"check"}, {"where"}, {"what was seen"}}, {}};
  for (const Arm& a : c.arms)
    if (a.audit)
      for (const Finding& f : a.audit->findings) t.rows.push_back({a.name, f.check, f.where.empty() ? "-" : f.where, f.message});
  return t;
}

Number over(const Number& a, const Number& b) { return a && b && *b != 0 ? Number(*a / *b) : std::nullopt; }

}  // namespace

Section curve_section(const Campaign& c) {
  Section s{"curves", "Curves", {}};
  if (c.metric == "accuracy")
    add_curves(s, c, {&Member::accuracy, "accuracy", "Accuracy", "Validation accuracy", "a share", "validation accuracy", true});
  const bool lines = c.compares_losses();
  add_curves(s, c, {&Member::val, "validation", "Validation", "Validation loss", "nats a token", "validation loss, nats a token", lines});
  add_curves(s, c, {&Member::train, "training", "Training", "Training loss", "nats a token", "training loss, nats a token", lines});
  return s;
}

Section agreement_section(const Campaign& c) {
  Section s{"agreement", "Agreement over distance", {}};
  const std::vector<Series> all = agreement_bands(c);
  if (all.empty()) return s;
  Table t{"agreement-numbers",
          "Nats a word by the distance of the word that it must agree with",
          {{"arm"}, {"distance", true}, {"median", true}, {"lowest", true}, {"highest", true}},
          {}};
  t.for_papers = false;
  for (const Series& one : all)
    for (const BandPoint& p : one.band)
      t.rows.push_back({one.arm, count_text(p.x), loss_text(p.middle), loss_text(p.low), loss_text(p.high)});
  s.blocks.emplace_back(
      Figure{"What a word costs that must agree with an earlier one, by how many words lie between; lower is better. Lines "
             "are medians over seeds, bands go from the lowest to the highest.",
             {{"chart-agreement", "", "Loss of agreeing words by distance; the table has the numbers.", agreement_chart(c, all)}},
             {std::move(t)}});
  return s;
}

Section audit_section(const Campaign& c) {
  Section s{"audits", "Audits", {}};
  if (std::none_of(c.arms.begin(), c.arms.end(), [](const Arm& a) { return a.audit || a.verdict == "refused"; })) return s;
  for (const Arm& a : c.arms)
    if (a.verdict == "refused")
      s.blocks.emplace_back(
          Notice{a.name + " was refused: " + (a.reason.empty() ? "its audit failed" : a.reason) + ". Its numbers count for nothing."});
  s.blocks.emplace_back(audit_table(c));
  if (Table findings = finding_table(c); !findings.rows.empty()) s.blocks.emplace_back(std::move(findings));
  return s;
}

Section cost_section(const Campaign& c) {
  Section s{"costs", "Costs", {}};
  const Arm* control = c.find(c.control);
  Table t{"cost",
          "What each arm costs; speed and FLOPs also as multiples of the control's",
          {{"arm"},
           {"architecture"},
           {"parameters", true},
           {"FLOPs/token", true},
           {"x control", true},
           {"tokens/s", true},
           {"x control", true},
           {"peak memory", true},
           {"training time, all runs", true}},
          {}};
  bool any = false;
  for (const Arm& a : c.arms) {
    any = any || a.parameters || a.tokens_per_s || a.training_flops_per_token || a.peak_bytes || a.seconds;
    const Number flops = control ? over(a.training_flops_per_token, control->training_flops_per_token) : std::nullopt;
    const Number speed = control ? over(a.tokens_per_s, control->tokens_per_s) : std::nullopt;
    t.rows.push_back({a.name, a.arch.empty() ? "-" : a.arch, count_text(a.parameters), scaled_text(a.training_flops_per_token),
                      ratio_text(flops), count_text(a.tokens_per_s), ratio_text(speed), bytes_text(a.peak_bytes),
                      seconds_text(a.seconds.value_or(0) > 0 ? a.seconds : std::nullopt)});
  }
  if (any) s.blocks.emplace_back(std::move(t));
  return s;
}

Section pairing_section(const Campaign& c) {
  Section s{"pairing", "What pairing was worth", {}};
  Table t{"pairing-numbers",
          "Measured correlation between the runs of one seed",
          {{"arm"}, {"correlation", true}, {"sd of differences", true}, {"paired seeds for each unpaired one", true}},
          {}};
  for (const Arm& a : c.arms)
    if (a.pairing)
      t.rows.push_back({a.name, correlation_text(a.pairing->rho), loss_text(a.pairing->sd_difference), ratio_text(a.pairing->seeds_ratio)});
  Table noise{"validation-noise",
              "What the spread of differences comes from, nats a token: the text's part stays with any number of seeds",
              {{"arm"},
               {"sd over seeds", true},
               {"sd of the mean from the text", true},
               {"residual sd of a block", true},
               {"seeds", true},
               {"blocks of text", true}},
              {}};
  for (const Arm& a : c.arms)
    if (const auto& n = a.validation_noise)
      noise.rows.push_back({a.name, loss_text(n->seed_sd), loss_text(n->text_sd), loss_text(n->residual_sd),
                            n->seeds ? std::to_string(*n->seeds) : "-", n->blocks ? std::to_string(*n->blocks) : "-"});
  if (t.rows.empty()) return s;
  s.blocks.emplace_back(Paragraph{"Runs with one seed see the same tokens in the same order. The more their losses go together, the fewer "
                                  "seeds a verdict needs; above 1 pairing costs seeds, though never validity."});
  s.blocks.emplace_back(std::move(t));
  if (!noise.rows.empty()) s.blocks.emplace_back(std::move(noise));
  return s;
}

Section member_section(const Campaign& c) {
  Section s{"runs", "Runs", {}};
  if (c.members.empty()) return s;
  Table all{
      "members",
      "Every run",
      {{"arm"}, {"seed", true}, {"state"}, {c.metric.empty() ? "value" : c.metric, true}, {"tokens", true}, {"time", true}, {"message"}},
      {}};
  all.for_papers = false;
  all.words = 2;
  Table lost = all;
  lost.id = "lost";
  lost.caption = "Runs that do not count, and why";
  for (const Member& m : c.members) {
    const std::string status = m.status == "not_needed" ? "not needed" : m.status;
    all.rows.push_back({m.arm, std::to_string(m.seed), status, loss_text(m.value), count_text(m.tokens), seconds_text(m.seconds),
                        m.error.empty() ? "-" : m.error});
    if (m.status == "failed" || m.status == "interrupted" || m.status == "unfinished") lost.rows.push_back(all.rows.back());
  }
  if (!lost.rows.empty()) s.blocks.emplace_back(std::move(lost));
  else s.blocks.emplace_back(Paragraph{"No run failed."});
  s.blocks.emplace_back(Folded{"Every run", std::move(all)});
  return s;
}

}  // namespace assay::report
