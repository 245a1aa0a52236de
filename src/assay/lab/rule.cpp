#include "assay/lab/rule.h"

namespace assay::lab {

size_t control_of(const Recipe& recipe, size_t arm) {
  size_t i = 0;
  while (recipe.arms[i].base != recipe.control || recipe.arms[i].rung != recipe.arms[arm].rung) ++i;
  return i;
}

bool is_control(const Recipe& recipe, size_t arm) { return recipe.arms[arm].base == recipe.control; }

std::vector<size_t> compared_arms(const Recipe& recipe) {
  std::vector<size_t> out;
  for (size_t i = 0; i < recipe.arms.size(); ++i)
    if (!is_control(recipe, i)) out.push_back(i);
  return out;
}

std::unique_ptr<Rule> apply_rule(const Recipe& recipe, const Standings& standings) {
  return recipe.rule == "fixed" ? fixed_rule(recipe, standings) : sequential_rule(recipe, standings);
}

}  // namespace assay::lab
