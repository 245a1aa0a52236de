"""Draws docs/statistics_errors.svg and docs/statistics_seeds.svg from the calibration: `plot_statistics.py calibration.json [--out docs]`.

The input is what `statistics_figures` or `assay calibrate --json` prints. Needs matplotlib.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "assay"  # the same input gives the same file
import matplotlib.pyplot as plt


def draw_errors(rows, campaigns, out):
    """False verdicts by shape of noise, when the stated rate is 5 %."""
    rows = [r for r in rows if r["stated_rate"] == 0.05]
    places = range(len(rows))
    figure, axes = plt.subplots(figsize=(8, 6.5))
    for key, label, marker in (
        ("false_rate", "this rule", "o"),
        ("mixture_t_rate", "Gaussian e-process", "s"),
        ("repeated_t_rate", "t test, looked at every time", "x"),
    ):
        axes.plot([100 * r[key] for r in rows], places, marker, label=label)
    axes.axvline(5, color="grey", linewidth=1)
    axes.set_yticks(list(places), [r["noise"] + ("" if r["asserted"] else "  (not covered)") for r in rows])
    axes.invert_yaxis()
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([0, 1, 2, 5, 10, 20, 50], ["0", "1", "2", "5", "10", "20", "50"])
    axes.set_xlim(-0.05, 90)
    axes.set_xlabel(f"campaigns with a false verdict, % of {campaigns:,} (stated: 5)")
    axes.legend()
    save(figure, out / "statistics_errors.svg")


def draw_seeds(rows, campaigns, out):
    """Mean seeds until the verdict against the seeds of a t test that is told the effect."""
    figure, axes = plt.subplots(figsize=(6.5, 4))
    for hypotheses, label in ((1, "one arm"), (4, "four arms, one of them better")):
        part = [r for r in rows if r["hypotheses"] == hypotheses]
        axes.plot([r["effect_over_sd"] for r in part], [r["mean"] for r in part], "o-", label=f"{label}: mean seeds to the verdict")
    part = [r for r in rows if r["hypotheses"] == 1]
    axes.plot([r["effect_over_sd"] for r in part], [r["n_fix"] for r in part], "x--", label="t test for a fixed n, told the effect, power 0.8")
    axes.set_yscale("log")
    axes.set_yticks([5, 10, 20, 50], ["5", "10", "20", "50"])
    axes.minorticks_off()
    axes.set_xlabel("effect in standard deviations of the paired difference")
    axes.set_ylabel("seeds")
    axes.set_title(f"Gaussian noise, {campaigns:,} campaigns", fontsize="medium")
    axes.legend()
    save(figure, out / "statistics_seeds.svg")


def save(figure, path):
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    print(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("calibration")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent / "docs")
    arguments = parser.parse_args()
    document = json.loads(Path(arguments.calibration).read_text(encoding="utf-8"))
    draw_errors(document["null_rates"], document["campaigns"], arguments.out)
    draw_seeds(document["seeds"], document["campaigns"], arguments.out)


if __name__ == "__main__":
    main()
