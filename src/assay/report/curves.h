#pragma once
#include <string>
#include <vector>

#include "assay/report/campaign.h"

namespace assay::report {

// Lowest, median and highest loss over the seeds of an arm at one place; the place is where the band's width allows it.
struct BandPoint {
  double x = 0, low = 0, middle = 0, high = 0;
  int64_t seeds = 0;
};

struct Series {
  std::string arm;
  std::vector<BandPoint> band;
};

// The runs' points in at most `bins` places: a run's points in one bin are averaged first, then the band is over the runs that have any there.
// Where the runs have no more than `bins` different places, these are kept as they are.
std::vector<BandPoint> band_of(const std::vector<const std::vector<Point>*>& runs, size_t bins);

// One series an arm, of its members that did not fail, `bins` places each; arms without points are left out.
std::vector<Series> bands(const Campaign& campaign, std::vector<Point> Member::*curve, size_t bins = 160);

// At most `keep` of the points, first and last among them, chosen so that the line keeps its shape (largest triangle in three buckets:
// S. Steinarsson, Downsampling Time Series for Visual Representation, 2013).
std::vector<Point> thinned(const std::vector<Point>& points, size_t keep);

}  // namespace assay::report
