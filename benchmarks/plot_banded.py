"""Draws the time of the banded product over its density: `plot_banded.py [NAME=]FILE.json ... [--out banded_product.svg]`.

A file is what `assay bench --banded --json` prints. Each file is a row of the picture, each matrix a column: the banded product, the dense product of the
same matrix, the floor (the larger of the tiles' arithmetic and the bytes), and the density at which the band stops paying.
"""

import argparse
import json
from pathlib import Path

from plot_curves import named, write_chart

BANDED, DENSE, FLOOR = "banded", "dense", "floor"


def read(path):
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise SystemExit(f"{path}: no JSON: {error}") from None
    if document.get("name") != "banded_product":
        raise SystemExit(f"{path}: not what `assay bench --banded --json` prints")
    return document


def title_of(matrix):
    return f"{matrix['matrix']}, {matrix['out']} x {matrix['in']}"


def points_of(matrix):
    for band in matrix["bands"]:
        for line, ms in ((BANDED, band["ms"]), (DENSE, matrix["dense_ms"]), (FLOOR, band["floor_ms"])):
            yield {"line": line, "density": band["density"], "ms": ms}


def panel(matrix, name):
    def logarithmic(field, title):
        return {"field": field, "type": "quantitative", "title": title, "scale": {"type": "log"}}

    crossover = matrix["crossover_density"]
    note = f"even at density {crossover:.2f}" if crossover < 1 else "faster at every density measured"
    lines = {
        "data": {"values": list(points_of(matrix))},
        "mark": {"type": "line", "point": {"size": 20}},
        "encoding": {
            "x": logarithmic("density", "density of the matrix"),
            "y": logarithmic("ms", "ms, forward + backward"),
            "color": {"field": "line", "type": "nominal", "title": None, "sort": [BANDED, DENSE, FLOOR]},
            "strokeDash": {"field": "line", "type": "nominal", "legend": None, "sort": [BANDED, DENSE, FLOOR]},
        },
    }
    rule = {"data": {"values": [{"density": crossover}]}, "mark": {"type": "rule", "color": "#888"}, "encoding": {"x": {"field": "density", "type": "quantitative"}}}
    return {
        "width": 300,
        "height": 220,
        "title": {"text": f"{name}: {title_of(matrix)}", "subtitle": note, "fontSize": 12},
        "layer": [lines, rule] if crossover < 1 else [lines],
    }


def specification(documents):
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "vconcat": [{"hconcat": [panel(matrix, name) for matrix in document["matrices"]]} for name, document in documents],
    }


def print_table(documents):
    for name, document in documents:
        for matrix in document["matrices"]:
            best = max(matrix["bands"], key=lambda band: band["floor_fraction"])
            print(
                f"{name} {title_of(matrix)}: dense {matrix['dense_ms']:.3f} ms, crossover at density {matrix['crossover_density']:.3f}, "
                f"at most {100 * best['floor_fraction']:.0f} % of the floor (bandwidth {best['bandwidth']})"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE")
    parser.add_argument("--out", type=Path, default=Path("banded_product.svg"))
    options = parser.parse_args()
    documents = [(name, read(path)) for name, path in map(named, options.files)]
    print_table(documents)
    print(f"wrote {write_chart(specification(documents), options.out)}")


if __name__ == "__main__":
    main()
