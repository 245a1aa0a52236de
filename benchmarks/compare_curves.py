"""Does bfloat16 train as the composite does? `compare_curves.py ASSAY DATA OUT [--device cuda] [--steps 500]`: ours and the PyTorch peer from the same
initial weights on the same batches, three seeds each; validation losses at five points, their differences and the spread between seeds.

DATA: a folder of shards with a vocabulary of 1024. Run it with a Python that has PyTorch.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CASES = {
    "gpt2": ["model.n_layer=4", "model.n_head=4", "model.n_embd=256", "model.max_seq_len=256"],
    "v8_lowrank_vv": [],
}
BATCH, LENGTH, WINDOWS, SEEDS = 16, 256, 256, (1, 2, 3)


def validation(path):
    lines = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if line["kind"] == "val"]


def ours(options, model, seed, run, steps, *settings):
    shape = ["--batch", str(BATCH), "--seq-len", str(LENGTH), "--seed", str(seed), "--precision", "bf16", "--device", options.device]
    subprocess.run(
        [options.assay, "train", "--arch", model, "--data", options.data, "--out", str(run), "--steps", str(steps), "--quiet", *shape, "data.order=sequential"]
        + ["optim.name=adam", "optim.clip=1", "optim.schedule=constant", f"train.val_every={options.steps // 5}", f"train.val_tokens={WINDOWS * LENGTH}"]
        + ["train.keep_checkpoints=1", *settings, *CASES[model]],
        check=True,
    )


def peer(options, model, seed, weights, curve):
    subprocess.run(
        [sys.executable, str(HERE / "peers/train.py"), model, "--data", options.data, "--init", str(weights), "--out", str(curve), "--steps", str(options.steps)]
        + ["--batch", str(BATCH), "--seq-len", str(LENGTH), "--lr", "0.001", "--lr-min", "0.001", "--warmup", "0", "--clip", "1", "--precision", "bf16"]
        + ["--eval-every", str(options.steps // 5), "--eval-windows", str(WINDOWS), "--device", options.device, *CASES[model]],
        check=True,
    )


def compare(options, model):
    curves = {"ours": {}, "peer": {}}
    for seed in SEEDS:
        run, first, curve = (Path(options.out) / f"{model}-{seed}{end}" for end in ("", "-first", ".jsonl"))
        ours(options, model, seed, first, 1, "optim.lr=0", "train.checkpoint_every=1")  # an update of no size: the initial weights
        ours(options, model, seed, run, options.steps, "optim.lr=0.001")
        peer(options, model, seed, sorted(first.glob("checkpoints/*/model.safetensors"))[-1], curve)
        curves["ours"][seed], curves["peer"][seed] = validation(run / "metrics.jsonl"), validation(curve)
        for side in curves:
            print(model, seed, side, *(f"{loss:.4f}" for loss in curves[side][seed]), flush=True)
    points = range(min(len(curve) for side in curves.values() for curve in side.values()))
    print(model, "mean of ours - peer", *(f"{statistics.mean(curves['ours'][s][i] - curves['peer'][s][i] for s in SEEDS):+.4f}" for i in points))
    for side in curves:
        print(model, "sd between seeds,", side, *(f"{statistics.stdev(curves[side][s][i] for s in SEEDS):.4f}" for i in points))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assay")
    parser.add_argument("data")
    parser.add_argument("out")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=500)
    options = parser.parse_args()
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for model in CASES:
        compare(options, model)


if __name__ == "__main__":
    main()
