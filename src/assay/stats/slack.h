#pragma once

namespace assay::stats {

// An e-value or a power that equals its threshold but for rounding reaches it.
constexpr double kSlack = 1e-12;

}  // namespace assay::stats
