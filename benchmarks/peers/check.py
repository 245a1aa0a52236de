"""Checks the peers against conformance files: `check.py [--dtype float32|float64] FILE.safetensors ...`; exit 1 if one fails."""

import argparse
import json
import sys

import torch

import models
import safetensors_io
import training


def deviation(got, wanted):
    if got.shape != wanted.shape:
        raise SystemExit(f"shape {list(got.shape)} where the file holds {list(wanted.shape)}")
    return (got.double() - wanted.double()).abs().max().item() if wanted.numel() else 0.0


def check_forward_backward(model, settings, tensors):
    """Yields (name, error, bound)."""
    logits = model(tensors["input_ids"])
    loss = models.TrainingLoss(model, settings)(tensors["input_ids"], tensors["target_ids"])
    loss.backward()
    yield "logits", deviation(logits, tensors["logits"]), 1e-5 * max(1.0, tensors["logits"].abs().max().item())
    yield "loss", deviation(loss.reshape(1), tensors["loss"]), 1e-5
    largest = max(value.abs().max().item() for name, value in tensors.items() if name.startswith("grad/"))
    for name, parameter in model.named_parameters():
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        yield "grad/" + name, deviation(gradient, tensors["grad/" + name]), 1e-5 * largest


def check_trajectory(model, settings, tensors, metadata):
    vocabulary_space = "variant" in metadata
    got = training.replay(model, settings, json.loads(metadata["optimizer"]), tensors["input_ids"], tensors["target_ids"])
    known = json.loads(metadata["float32_deviation"])["final"]
    for name, value in got.items():
        error = deviation(value, tensors[name])
        if name.startswith("final/"):
            yield name, error, 1e-6 + 10 * known[name.removeprefix("final/")]
        else:
            relative = ((value.double() - tensors[name].double()).abs() / tensors[name].double().abs().clamp(min=1e-30)).max().item()
            yield name, relative, 2e-4 if vocabulary_space else 1e-5


def check(path, dtype):
    tensors, metadata = safetensors_io.load(path)
    settings = json.loads(metadata["config"])
    name = settings.get("arch") or metadata["variant"]
    model = models.build(name, models.PUBLISHED.get(name, {}) | settings)
    models.load_parameters(model, tensors)
    model.to(dtype).train(metadata.get("mode", "train") == "train")
    rows = list(check_trajectory(model, settings, tensors, metadata) if "lr" in tensors else check_forward_backward(model, settings, tensors))
    # NaN compares false, so that a row passes only if its error is a number below the bound
    failed = [row for row in rows if not row[1] <= row[2]]
    name, error, bound = max(rows, key=lambda row: row[1] / row[2])
    print(f"{'ok  ' if not failed else 'FAIL'} {path}: {len(rows)} tensors, closest to its bound {name}: {error:.2e} of {bound:.2e}")
    for row in failed:
        print(f"     {row[0]}: {row[1]:.3e}, bound {row[2]:.3e}")
    return not failed


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("files", nargs="+", metavar="FILE")
    arguments.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    options = arguments.parse_args()
    results = [check(path, getattr(torch, options.dtype)) for path in options.files]
    print(f"{sum(results)} of {len(results)} files pass")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
