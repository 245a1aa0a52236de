"""Times a training step of a peer: `speed.py MODEL [options] [model.KEY=VALUE ...]`; prints one JSON document.

A step is forward, backward and fused Adam, with clipping where --clip says so. Reported are the median over the timed steps and the spread,
half the distance between the quartiles relative to the median.
"""

import argparse
import json
import statistics
import time

import torch

import models
import training


MODES = ["eager", "compile", "reduce-overhead"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=sorted(models.MODELS))
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=256)
    parser.add_argument("--vocab", type=int, default=1024)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3, help="steps before the timed ones")
    parser.add_argument("--clip", type=float, default=0.0, help="limit of the gradient norm; 0: neither measured nor clipped")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--mode", choices=MODES, default="eager", help="how the peer runs: eager, torch.compile, the same inside CUDA graphs")
    return parser.parse_intermixed_args()


def compiled(model, mode):
    if mode == "eager":
        return model
    return torch.compile(model) if mode == "compile" else torch.compile(model, mode=mode)


def make_step(options):
    settings = models.parse_settings(options.settings) | {"vocab_size": options.vocab}
    if options.model == "gpt2":
        settings.setdefault("max_seq_len", options.seq_len)
    model = models.build(options.model, settings).to(options.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.999), eps=1e-8, fused=True)
    loss_of = compiled(models.TrainingLoss(model), options.mode)
    ids = torch.randint(options.vocab, (options.batch, options.seq_len + 1), device=options.device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        with training.autocast(options.device, options.precision):
            loss = loss_of(ids[:, :-1], ids[:, 1:])
        loss.backward()
        if options.clip > 0:
            training.clip(list(model.parameters()), options.clip)
        optimizer.step()

    return step


def time_cuda_steps(step, count):
    """Milliseconds from the end of one step to the end of the next on the device, which need not wait for the host in between."""
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    marks[0].record()
    for mark in marks[1:]:
        step()
        mark.record()
    torch.cuda.synchronize()
    return [before.elapsed_time(after) for before, after in zip(marks, marks[1:])]


def time_steps(step, count, device):
    """Milliseconds of each step."""
    if device.startswith("cuda"):
        return time_cuda_steps(step, count)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - begin))
    return times


def main():
    options = arguments()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    step = make_step(options)
    time_steps(step, options.warmup, options.device)
    times = time_steps(step, options.steps, options.device)
    median = statistics.median(times)
    quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else [median] * 3
    document = {
        "model": options.model,
        "precision": options.precision,
        "device": options.device if options.device == "cpu" else torch.cuda.get_device_name(),
        "mode": options.mode,
        "tokens_per_s": options.batch * options.seq_len / median * 1000,
        "ms": median,
        "spread": (quartiles[2] - quartiles[0]) / 2 / median,
        "steps": options.steps,
    }
    if options.device.startswith("cuda"):
        document["peak_bytes"] = torch.cuda.max_memory_allocated()
    print(json.dumps(document))


if __name__ == "__main__":
    main()
