#include "assay/report/curves.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace assay::report {
namespace {

struct Mean {
  double sum = 0, places = 0;
  int64_t n = 0;
};

double median(std::vector<double>& values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

// Which bin a place falls into: its own one where there are few, else one of equal width.
class Bins {
 public:
  Bins(const std::vector<const std::vector<Point>*>& runs, size_t bins) {
    std::set<double> places;
    for (const auto* run : runs)
      for (const Point& p : *run) places.insert(p.tokens);
    if (places.empty()) return;
    low_ = *places.begin();
    if (places.size() > bins) width_ = (*places.rbegin() - low_) / static_cast<double>(bins);
  }
  double key(double place) const { return width_ > 0 ? std::floor((place - low_) / width_) : place; }

 private:
  double low_ = 0, width_ = 0;
};

double twice_triangle(const Point& a, const Point& b, double x, double y) {
  return std::fabs((a.tokens - x) * (b.loss - a.loss) - (a.tokens - b.tokens) * (y - a.loss));
}

}  // namespace

std::vector<BandPoint> band_of(const std::vector<const std::vector<Point>*>& runs, size_t bins) {
  const Bins bin(runs, bins);
  std::map<double, std::vector<Mean>> by_bin;  // one entry a run
  for (size_t r = 0; r < runs.size(); ++r)
    for (const Point& p : *runs[r]) {
      auto& all = by_bin[bin.key(p.tokens)];
      all.resize(runs.size());
      all[r].sum += p.loss;
      all[r].places += p.tokens;
      ++all[r].n;
    }
  std::vector<BandPoint> out;
  for (const auto& [key, all] : by_bin) {
    std::vector<double> losses;
    double places = 0;
    for (const Mean& m : all) {
      if (m.n == 0) continue;
      losses.push_back(m.sum / static_cast<double>(m.n));
      places += m.places / static_cast<double>(m.n);
    }
    const double middle = median(losses);
    const auto seeds = static_cast<int64_t>(losses.size());
    out.push_back({places / static_cast<double>(seeds), losses.front(), middle, losses.back(), seeds});
  }
  return out;
}

std::vector<Series> bands(const Campaign& campaign, std::vector<Point> Member::*curve, size_t bins) {
  std::vector<Series> out;
  for (const Arm& arm : campaign.arms) {
    std::vector<const std::vector<Point>*> runs;
    for (const Member& m : campaign.members)
      if (m.arm == arm.name && m.status != "failed" && !(m.*curve).empty()) runs.push_back(&(m.*curve));
    if (!runs.empty()) out.push_back({arm.name, band_of(runs, bins)});
  }
  return out;
}

std::vector<Point> thinned(const std::vector<Point>& points, size_t keep) {
  if (points.size() <= keep || keep < 3) return points;
  std::vector<Point> out = {points.front()};
  const double step = static_cast<double>(points.size() - 2) / static_cast<double>(keep - 2);
  const auto edge = [&](size_t bucket) { return std::min(points.size() - 1, 1 + static_cast<size_t>(static_cast<double>(bucket) * step)); };
  for (size_t bucket = 0; bucket + 2 < keep; ++bucket) {
    const size_t next = edge(bucket + 1), after = bucket + 3 == keep ? points.size() : std::max(next + 1, edge(bucket + 2));
    double x = 0, y = 0;
    for (size_t i = next; i < after; ++i) x += points[i].tokens, y += points[i].loss;
    x /= static_cast<double>(after - next), y /= static_cast<double>(after - next);
    size_t best = edge(bucket);
    for (size_t i = best; i < next; ++i)
      if (twice_triangle(out.back(), points[i], x, y) > twice_triangle(out.back(), points[best], x, y)) best = i;
    out.push_back(points[best]);
  }
  out.push_back(points.back());
  return out;
}

}  // namespace assay::report
