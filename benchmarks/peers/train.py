"""Trains a peer on token shards in the sequential order: `train.py MODEL --data DIR --init FILE --out CURVE.jsonl [model.KEY=VALUE ...]`.

Adam (0.9, 0.999, 1e-8), gradient norm clipped, linear warm-up, half a cosine afterwards. With the initial weights of the other program's
checkpoint both sides see the same numbers from the first step on. The curve holds a line a training step that was logged and a line an
evaluation: {"step", "kind": "train" or "val", "loss"}; step counts the updates made before.
"""

import argparse
import json
import time

import torch

import models
import shards
import training


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(models.MODELS))
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--data", required=True, help="folder with *_train_*.bin and *_val_*.bin")
    parser.add_argument("--out", required=True, help="the curve, JSON lines")
    parser.add_argument("--init", help="safetensors with the initial weights (NAME or param/NAME); default: the peer's own, from --seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lr-min", type=float, default=0.0)
    parser.add_argument("--warmup", type=int, default=100)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--eval-every", type=int, default=100, metavar="M")
    parser.add_argument("--eval-windows", type=int, default=64, metavar="K")
    parser.add_argument("--log-every", type=int, default=10)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_intermixed_args()


def evaluate(model, tokens, options):
    """Mean loss over the first --eval-windows windows, in batches of --batch."""
    windows = min(options.eval_windows, shards.validation_windows(tokens, options.seq_len))
    if windows < 1:
        raise SystemExit(f"{len(tokens)} validation tokens hold no window of {options.seq_len}")
    total = 0.0
    with torch.no_grad(), training.autocast(options.device, options.precision):
        for first in range(0, windows, options.batch):
            count = min(options.batch, windows - first)
            inputs, targets = shards.validation_window(tokens, first, count, options.seq_len)
            total += count * models.loss(model(inputs.to(options.device)), targets.to(options.device)).item()
    return total / windows


def make_model(options):
    torch.manual_seed(options.seed)
    settings = models.parse_settings(options.settings)
    if options.model == "gpt2":
        settings.setdefault("max_seq_len", options.seq_len)
    model = models.build(options.model, settings)
    if options.init:
        models.load_checkpoint(model, options.init)
    return model.to(options.device)


def train(model, options, write):
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr, betas=(0.9, 0.999), eps=1e-8, fused=True)
    tokens, held_out = shards.read_tokens(options.data, "train"), shards.read_tokens(options.data, "val")
    begin = time.perf_counter()
    for n in range(options.steps + 1):
        if n % options.eval_every == 0 or n == options.steps:
            write({"step": n, "kind": "val", "loss": evaluate(model, held_out, options)})
        if n == options.steps:
            return
        rate = training.warmup_cosine(n, options.steps, options.lr, options.warmup, options.lr_min)
        inputs, targets = shards.sequential_batch(tokens, n, options.batch, options.seq_len)
        batch = [(inputs.to(options.device), targets.to(options.device))]
        loss, norm = training.step(
            model, batch, optimizer, rate, options.clip, autocast_to=lambda: training.autocast(options.device, options.precision)
        )
        if n % options.log_every == 0:
            seconds = time.perf_counter() - begin
            write({"step": n, "kind": "train", "loss": loss, "grad_norm": norm, "lr": rate, "time": {"seconds": seconds}})


def main():
    options = arguments()
    torch.set_num_threads(options.threads)
    model = make_model(options)
    with open(options.out, "w", encoding="utf-8") as curve:

        def write(line):
            curve.write(json.dumps(line) + "\n")
            curve.flush()
            if line["kind"] == "val":
                print(f"step {line['step']}: validation loss {line['loss']:.5f}", flush=True)

        train(model, options, write)


if __name__ == "__main__":
    main()
