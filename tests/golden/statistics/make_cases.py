"""Writes companions.json: cases whose answers come from scipy and statsmodels, in the format of cases.json.

    python -m venv .venv && .venv/bin/pip install scipy statsmodels && .venv/bin/python tests/golden/statistics/make_cases.py
"""

import json
import math
from pathlib import Path

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.multitest import multipletests


def t_test(name, d, level):
    result = stats.ttest_1samp(d, 0.0)
    interval = result.confidence_interval(level)
    return {
        "name": name,
        "kind": "t_test",
        "input": {"d": d, "level": level},
        "expect": {
            "t": float(result.statistic),
            "p_two_sided": float(result.pvalue),
            "p_greater": float(stats.ttest_1samp(d, 0.0, alternative="greater").pvalue),
            "lower": float(interval.low),
            "upper": float(interval.high),
        },
    }


def sign_flip(name, d):
    total = lambda x, axis: np.sum(x, axis=axis)
    p = {
        key: stats.permutation_test((np.array(d),), total, permutation_type="samples", n_resamples=np.inf, alternative=side).pvalue
        for key, side in (("p_two_sided", "two-sided"), ("p_greater", "greater"))
    }
    return {"name": name, "kind": "sign_flip", "input": {"d": d}, "expect": {k: float(v) for k, v in p.items()}}


def wilcoxon(name, d):
    p = float(stats.wilcoxon(d, method="exact").pvalue)
    return {"name": name, "kind": "wilcoxon", "input": {"d": d}, "expect": {"p_two_sided": p}}


def holm(name, p, alpha):
    rejected, adjusted, _, _ = multipletests(p, alpha, method="holm")
    expect = {"adjusted": adjusted.tolist(), "rejected": np.flatnonzero(rejected).tolist()}
    return {"name": name, "kind": "holm", "input": {"p": p, "alpha": alpha}, "expect": expect}


def e_bh(name, log_e, alpha):
    """e-BH is the procedure of Benjamini and Hochberg on 1/e."""
    rejected = multipletests([min(1.0, math.exp(-v)) for v in log_e], alpha, method="fdr_bh")[0]
    return {
        "name": name,
        "kind": "e_bh",
        "input": {"log_e": log_e, "alpha": alpha, "m": len(log_e)},
        "expect": {"rejected": np.flatnonzero(rejected).tolist()},
    }


def sd_upper(name, sd, n, level):
    upper = sd * math.sqrt((n - 1) / stats.chi2.ppf(1 - level, n - 1))
    return {"name": name, "kind": "sd_upper", "input": {"sd": sd, "n": n, "level": level}, "expect": {"upper": float(upper)}}


def main():
    rng = np.random.default_rng(20240611)
    draw = lambda n, shift, scale=1.0: np.round(scale * (shift + rng.standard_normal(n)), 5).tolist()
    heavy = lambda n, shift: np.round(shift + rng.standard_t(2, n), 5).tolist()
    cases = []
    for n, shift in ((2, 1.0), (3, -0.5), (7, 0.8), (15, 0.3), (40, -0.4), (400, 0.05)):
        cases.append(t_test(f"t_{n}", draw(n, shift), 0.95))
    cases += [t_test("t_small_scale", draw(9, 0.7, 1e-9 * 1e5), 0.9), t_test("t_level_99", heavy(12, 0.5), 0.99)]
    for n, shift in ((3, 1.0), (8, 0.5), (13, -0.6), (16, 0.2)):
        cases.append(sign_flip(f"flip_{n}", draw(n, shift)))
    cases += [sign_flip("flip_ties", [1.0, 1.0, -1.0, 2.0, 2.0, 0.0, 0.5]), sign_flip("flip_heavy", heavy(12, 0.8))]
    for n, shift in ((1, 0.5), (5, 1.0), (12, -0.5), (25, 0.4), (60, 0.2)):
        cases.append(wilcoxon(f"wilcoxon_{n}", draw(n, shift)))
    for m, alpha in ((1, 0.05), (2, 0.05), (6, 0.1), (20, 0.01)):
        p = np.round(rng.beta(0.3, 2.0, m), 8).tolist()
        cases.append(holm(f"holm_{m}", p, alpha))
    for m, alpha in ((1, 0.05), (3, 0.05), (8, 0.1), (30, 0.05)):
        cases += [e_bh(f"e_bh_{m}_{k}", np.round(rng.normal(1.5, 2.5, m), 6).tolist(), alpha) for k in range(4)]
    cases += [sd_upper("sd_3", 0.02, 3, 0.8), sd_upper("sd_30", 1.5, 30, 0.9)]
    document = {
        "format": 1,
        "tolerance": 1e-9,
        "kappa": [0.6, 1.2, 2.4, 4.8],
        "made_with": {"scipy": scipy.__version__, "statsmodels": statsmodels.__version__, "numpy": np.__version__},
        "cases": cases,
    }
    lines = ",\n".join(json.dumps(case) for case in cases)
    head = json.dumps({k: v for k, v in document.items() if k != "cases"})[:-1]
    Path(__file__).with_name("companions.json").write_text(f'{head}, "cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
