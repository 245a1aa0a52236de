"""Prints the ratio table of alternated timings: `ratio_table.py ROUNDS.jsonl`.

Each line is one timing: {"side": "ours" or a peer's name, "round": n, "model", "precision", "device", "ms", "tokens_per_s"}. A ratio compares
the two timings of one round, so that what slows the machine for a while slows both; shown are the median over the rounds and the range.
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path


def read_rounds(path):
    """{(model, precision): {side: {round: ms}}} and the tokens a step of each case."""
    cases, tokens = defaultdict(lambda: defaultdict(dict)), {}
    for text in Path(path).read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        case = (line["model"], line["precision"])
        cases[case][line["side"]][line["round"]] = line["ms"]
        tokens[case] = line["tokens_per_s"] * line["ms"] / 1000
    return cases, tokens


def row(case, peer, times, tokens):
    ours, theirs = times.get("ours", {}), times[peer]
    cells = [case[0], case[1], peer]
    cells.append(f"{statistics.median(ours.values()):.2f}" if ours else "-")
    cells.append(f"{statistics.median(theirs.values()):.2f}")
    cells.append(f"{1000 * tokens / statistics.median(ours.values()):,.0f}" if ours else "-")
    shared = sorted(set(ours) & set(theirs))
    ratios = [theirs[n] / ours[n] for n in shared]
    cells.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else "-")
    return cells + [str(len(shared))]


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    cases, tokens = read_rounds(sys.argv[1])
    rows = [["model", "precision", "peer", "ours ms", "peer ms", "ours tokens/s", "speed-up (range)", "rounds"]]
    for case, times in cases.items():
        peers = [side for side in times if side != "ours"]
        rows += [row(case, peer, times, tokens[case]) for peer in peers]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(rows[0]))]
    for cells in rows:
        print("  ".join(cell.ljust(width) if i < 3 else cell.rjust(width) for i, (cell, width) in enumerate(zip(cells, widths))))
    print("speed-up: the peer's time over ours in the same round; above 1 we are faster")


if __name__ == "__main__":
    main()
