#include "assay/lab/rule.h"

namespace assay::lab {

size_t control_arm(const Recipe& recipe) {
  size_t i = 0;
  while (recipe.arms[i].name != recipe.control) ++i;
  return i;
}

std::vector<size_t> compared_arms(const Recipe& recipe) {
  std::vector<size_t> out;
  for (size_t i = 0; i < recipe.arms.size(); ++i)
    if (recipe.arms[i].name != recipe.control) out.push_back(i);
  return out;
}

std::unique_ptr<Rule> apply_rule(const Recipe& recipe, const Standings& standings) {
  return recipe.rule == "fixed" ? fixed_rule(recipe, standings) : sequential_rule(recipe, standings);
}

}  // namespace assay::lab
