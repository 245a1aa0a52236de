"""Draws validation curves: `plot_curves.py FILE.jsonl ... [--out curves.svg]`, the program's metrics.jsonl and the peers' curves alike.

With vl-convert-python (which scripts/setup installs) the chart is an SVG. Without it the Vega-Lite specification itself is written, which
any Vega-Lite viewer draws. A file may be given as NAME=FILE; otherwise its folder or file name is its name in the legend.
"""

import argparse
import json
import sys
from pathlib import Path


def read_curve(path, kind):
    """(step, loss) of every line of the kind. The loss of a line is `loss`, or `val_loss` / `train_loss`."""
    points = []
    for number, text in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
        except json.JSONDecodeError as error:
            raise SystemExit(f"{path}: line {number} is no JSON: {error}") from None
        loss = line.get("loss", line.get(f"{kind}_loss"))
        if line.get("kind") == kind and loss is not None:
            points.append((line["step"], loss))
    if not points:
        raise SystemExit(f"{path}: no line of kind {kind!r}")
    return points


def named(word):
    name, separator, path = word.partition("=")
    if separator:
        return name, path
    path = Path(word)
    return (path.resolve().parent.name if path.stem == "metrics" else path.stem), word


def specification(curves, kind):
    values = [{"run": name, "step": step, "loss": loss} for name, points in curves for step, loss in points]
    label = {"val": "validation loss", "train": "training loss"}[kind]
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": 560,
        "height": 320,
        "data": {"values": values},
        "mark": {"type": "line", "point": {"size": 18}, "clip": True},
        "encoding": {
            "x": {"field": "step", "type": "quantitative", "title": "step"},
            "y": {"field": "loss", "type": "quantitative", "title": f"{label} (nats a token)", "scale": {"zero": False}},
            "color": {"field": "run", "type": "nominal", "title": None, "sort": [name for name, _ in curves]},
            "strokeDash": {"field": "run", "type": "nominal", "legend": None, "sort": [name for name, _ in curves]},
        },
    }


def write_chart(spec, out):
    try:
        import vl_convert
    except ImportError:
        out = out.with_suffix(".vl.json")
        out.write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        print("vl-convert-python is not installed: the Vega-Lite specification is written instead of an SVG", file=sys.stderr)
        return out
    out.write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
    return out


def thinned(steps, rows):
    """At most `rows` of them, evenly spread, the first and the last among them."""
    if len(steps) <= rows:
        return steps
    return sorted({steps[round(i * (len(steps) - 1) / (rows - 1))] for i in range(rows)})


def print_table(curves, rows):
    """Losses side by side at the steps that all curves share, and each one's difference to the first."""
    tables = [dict(points) for _, points in curves]
    shared = sorted(set.intersection(*(set(table) for table in tables)))
    if not shared:
        raise SystemExit("the curves share no step")
    width = max(12, *(len(name) for name, _ in curves))
    names = [name for name, _ in curves] + ["- first"] * (len(curves) - 1)
    print("step".rjust(8), *(name.rjust(width) for name in names))
    for step in thinned(shared, rows):
        losses = [table[step] for table in tables]
        differences = [f"{loss - losses[0]:+{width}.6f}" for loss in losses[1:]]
        print(f"{step:8d}", *(f"{loss:{width}.6f}" for loss in losses), *differences)
    for (name, _), table in list(zip(curves, tables))[1:]:
        step = max(shared, key=lambda step: abs(table[step] - tables[0][step]))
        print(f"{name}: largest distance from {curves[0][0]} {abs(table[step] - tables[0][step]):.6f} at step {step} of {len(shared)} compared")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE")
    parser.add_argument("--out", type=Path, default=Path("curves.svg"))
    parser.add_argument("--kind", choices=["val", "train"], default="val")
    parser.add_argument("--rows", type=int, default=20, help="at most so many lines of the table")
    parser.add_argument("--table-only", action="store_true")
    options = parser.parse_args()
    curves = [(name, read_curve(path, options.kind)) for name, path in map(named, options.files)]
    print_table(curves, max(2, options.rows))
    if not options.table_only:
        print(f"wrote {write_chart(specification(curves, options.kind), options.out)}")


if __name__ == "__main__":
    main()
