"""How hard the grammar corpus is: its entropy, what n-grams reach, and what a small gpt2 reaches on as many training tokens.

    benchmarks/corpus_hardness.py measure --out hardness.json [--data "build/release/bin/assay data"] [--train "build/release/bin/assay train"]
    benchmarks/corpus_hardness.py draw hardness.json --out docs/corpus-hardness.svg

`measure` writes shards into a temporary directory, runs `data baseline` on each budget and then trains gpt2, one thread, one pass over
the tokens. `draw` needs vl-convert-python, which scripts/setup installs.
"""

import argparse
import json
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

BUDGETS = [60_000, 250_000, 1_000_000, 4_000_000]
RUNS = {  # tokenizer: (training tokens, layers, width)
    "words": [(500_000, 2, 96), (1_000_000, 2, 96), (2_000_000, 2, 96)],
    "bytes": [(2_000_000, 2, 64), (4_000_000, 2, 64)],
}


def output(program, *arguments):
    return json.loads(subprocess.run([*shlex.split(program), *map(str, arguments), "--json"], check=True, stdout=subprocess.PIPE).stdout)


def baselines(program, shards, budgets):
    rows = []
    for tokens in budgets:
        result = output(program, "baseline", shards, "--tokens", tokens)
        loss = {o["order"]: o["loss"] for o in result["orders"]}
        rows.append({"tokens": tokens, "entropy": result["entropy"], "bigram": loss[2], "five_gram": loss[5]})
        print(shards.name, rows[-1], flush=True)
    return rows


def trained(program, shards, vocab, tokens, layers, width, directory):
    run = directory / f"gpt2-{shards.name}-{tokens}"
    subprocess.run([*shlex.split(program), "--quiet", "--arch", "gpt2", "--data", shards, "--out", run, f"data.vocab_size={vocab}",
                    f"train.tokens={tokens}", f"model.n_layer={layers}", f"model.n_embd={width}", "model.n_head=4", "optim.lr=0.005",
                    "optim.schedule=cosine", "optim.warmup_steps=40", "train.seq_len=128", "train.batch=8", "train.threads=1"], check=True, stdout=subprocess.DEVNULL)
    last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {"tokens": tokens, "layers": layers, "width": width, "loss": last["loss"], "seconds": last["time"]["seconds"]}


def measure(options):
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        for tokenizer, runs in RUNS.items():
            shards = directory / tokenizer
            made = output(options.data, "make", "grammar", "--out", shards, "--tokenizer", tokenizer)
            plain = directory / "plain" / tokenizer  # without the manifest: the trainer need not know the tokenizer
            plain.mkdir(parents=True)
            for file in shards.glob("*.bin"):
                shutil.copy(file, plain)
            budgets = sorted({*BUDGETS, *(tokens for tokens, _, _ in runs)})
            results[tokenizer] = {"ngrams": baselines(options.data, shards, budgets), "gpt2": []}
            for tokens, layers, width in runs:
                row = trained(options.train, plain, made["tokenizer"]["vocab_size"], tokens, layers, width, directory)
                results[tokenizer]["gpt2"].append(row)
                print(tokenizer, row, flush=True)
    Path(options.out).write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def points(results):
    for tokenizer, result in results.items():
        for row in result["ngrams"]:
            for key, name in (("bigram", "bigram"), ("five_gram", "5-gram")):
                yield {"tokenizer": tokenizer, "model": name, "tokens": row["tokens"], "ratio": row[key] / row["entropy"]}
        for row in result["gpt2"]:
            yield {"tokenizer": tokenizer, "model": "gpt2, 2 layers", "tokens": row["tokens"], "ratio": row["loss"] / result["ngrams"][0]["entropy"]}


def draw(options):
    import vl_convert

    specification = {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": list(points(json.loads(Path(options.results).read_text(encoding="utf-8"))))},
        "mark": {"type": "line", "point": True},
        "width": 300, "height": 260,
        "encoding": {
            "x": {"field": "tokens", "type": "quantitative", "scale": {"type": "log"}, "title": "training tokens",
                  "axis": {"values": BUDGETS, "format": "~s"}},
            "y": {"field": "ratio", "type": "quantitative", "scale": {"type": "log", "domainMin": 1}, "title": "validation loss / entropy",
                  "axis": {"values": [1, 1.25, 1.5, 2, 3, 4, 5, 6, 7]}},
            "color": {"field": "model", "type": "nominal", "title": None},
            "column": {"field": "tokenizer", "type": "nominal", "title": None},
        },
    }
    Path(options.out).write_text(vl_convert.vegalite_to_svg(json.dumps(specification)), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True)
    first = actions.add_parser("measure")
    first.add_argument("--data", default="build/release/bin/assay data")
    first.add_argument("--train", default="build/release/bin/assay train")
    first.set_defaults(run=measure)
    second = actions.add_parser("draw")
    second.add_argument("results")
    second.set_defaults(run=draw)
    for action in (first, second):
        action.add_argument("--out", required=True)
    options = parser.parse_args()
    options.run(options)


main()
