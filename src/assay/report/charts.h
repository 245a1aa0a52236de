#pragma once
#include <string>
#include <vector>

#include "assay/report/curves.h"

namespace assay::report {

// Vega-Lite specs of a campaign's figures: those of assets/ with data, domains and titles filled in. Colours come from a theme.
core::Value forest_chart(const Campaign& c);                 // effects with their intervals, one row an arm
core::Value slope_chart(const Campaign& c, const Arm& arm);  // control to arm, one line a seed

// A figure of what members measured along their trainings.
struct Curve {
  std::vector<Point> Member::*points;
  std::string id, panel, name, unit, axis;  // "validation", "Validation", "Validation loss", "nats a token", the axis's title
  bool references = false;                  // the campaign's lines are in this unit
};
core::Value curve_chart(const Campaign& c, const std::vector<Series>& bands, const Curve& curve);

core::Value agreement_chart(const Campaign& c, const std::vector<Series>& bands);
core::Value tuning_chart(const Campaign& c, const std::string& option);  // one line an arm
core::Value theme(const std::string& name);                              // "light", "dark": a Vega-Lite config

// The spec as a picture of its own, `width` pixels wide, in the light theme: what a paper takes.
core::Value standalone(core::Value spec, int64_t width);

// What an arm measured for each seed, in the order of seeds.
std::vector<SeedValue> values_of(const Campaign& c, const Arm& arm);

// The word under which a verdict is shown: itself, or "no verdict yet".
std::string shown_verdict(const Arm& arm);

}  // namespace assay::report
