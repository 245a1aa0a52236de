#pragma once
#include "assay/arch/transformer/decoder/part.h"

// The Hebbian pull: before the forward pass of a batch, token vectors that stand near each other move together, in place in E [components 5].
//   for every row, position t, distance k = 1 .. min(W, t), u = token_t, v = token_{t-k}, u != v:
//     delta = (eps / k) (E_v - E_u);   E_u += delta;   E_v -= delta
//   hebbian_mode=jacobi    every delta from the E before the pull, sums in a fixed order; serial: each delta from the E that is there by then
//   hebbian_pairs          neighbours; or controls of equal strength: shuffled (v from a random position of the batch), centre
//                          (E_u += 2 eps H_W n_u (m - E_u), m the mean over the batch's tokens, H_W = sum 1/k)
//   hebbian_normalised     delta / number of pairs that the token is in
//   hebbian_learnt         E += s delta, s learnt from 1 on: dL/ds = <dL/dE, delta>, so that descent can switch the pull off
//   hebbian_schedule       eps constant, or falling to 0 at the end of the run
// Not differentiated, not in validation; moments of the optimizer stay as they are.
namespace assay::arch::decoder {

struct HebbianConfig {
  int64_t hebbian_window = 0;
  double hebbian_eps = 1e-5;
  std::string hebbian_mode = "jacobi", hebbian_pairs = "neighbours", hebbian_schedule = "constant";
  bool hebbian_normalised = false, hebbian_learnt = false;
  static const core::Schema& schema();
  bool on() const { return hebbian_window > 0; }
  void check() const;
  double macs(double width, double T) const;  // of an update; evaluation has none
};

// E after one pull, a new tensor on E's device; float32 or float64. `number` of the update: shuffled pairs differ in each. Channels do not
// meet, so the result is the same for every number of threads.
Tensor hebbian_pulled(const HebbianConfig& c, double eps, const Tensor& E_VC, const Tensor& ids_BT, int64_t number);
double hebbian_eps_at(const HebbianConfig& c, const Update& update);

class Hebbian {
 public:
  Hebbian() = default;
  Hebbian(const HebbianConfig& c, const Builder& b, const Tensor& E_VC);
  void pull(const Update& update, const Tensor& ids_BT);
  void adjust_gradient();

 private:
  HebbianConfig config_;
  Tensor E_VC_, strength_;
  Tensor moved_VC_;  // between pull and gradient of one update
};

}  // namespace assay::arch::decoder
