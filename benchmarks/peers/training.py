"""Optimizers, schedules, clipping and the training step of the peers."""

import contextlib
import math

import torch

import models


def warmup_cosine(step, steps, lr, warmup, min_lr):
    """lr (s+1)/W during the first W steps, afterwards half a cosine from lr to min_lr at step `steps`."""
    if step < warmup:
        return lr * (step + 1) / warmup
    return min_lr + (lr - min_lr) / 2 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


def warmdown(step, steps, lr, length):
    """Full rate, then a straight line to 0 at step `steps` that begins `length` steps before it (at once where the run is shorter)."""
    if length > 0 and max(steps - length, 0) <= step < steps:
        return lr * (steps - step) / length
    return lr


def clip(parameters, limit):
    """Returns the global L2 norm of the gradients and scales them by min(1, limit / (norm + 1e-6)); limit <= 0 only measures."""
    gradients = [parameter.grad for parameter in parameters]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    if limit > 0:
        scale = torch.clamp(limit / (norm + 1e-6), max=1.0)
        torch._foreach_mul_(gradients, scale)
    return norm


def autocast(device, precision):
    """bf16: products in bfloat16, everything else as autocast decides; fp32 and fp64: the parameters' own type."""
    if precision == "bf16":
        return torch.autocast(torch.device(device).type, torch.bfloat16)
    return contextlib.nullcontext()


def step(model, batches, optimizer, lr, limit=0.0, settings=(), autocast_to=contextlib.nullcontext):
    """One update from the mean gradient of the micro-batches; returns (mean loss, gradient norm before clipping)."""
    parameters, loss_of = list(model.parameters()), models.TrainingLoss(model, settings)
    optimizer.zero_grad(set_to_none=True)
    total = 0.0
    for inputs, targets in batches:
        with autocast_to():
            loss = loss_of(inputs, targets)
        (loss / len(batches)).backward()
        total += loss.item() / len(batches)
    norm = clip(parameters, limit)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return total, norm.item()


def trajectory_optimizer(parameters, spec):
    """From the `optimizer` entry of a trajectory file: `gpt2` decays directly, the vocabulary-space trainer adds decay to the gradient."""
    betas = (spec.get("beta1", 0.9), spec.get("beta2", 0.999))
    if spec.get("kind") == "gpt2":
        return torch.optim.AdamW(parameters, lr=spec["lr"], betas=betas, eps=1e-8, weight_decay=spec.get("wd", 0.0))
    return torch.optim.Adam(parameters, lr=spec["lr"], betas=betas, eps=spec["eps"], weight_decay=spec["weight_decay"])


def trajectory_rate(spec, index, steps):
    if spec.get("schedule") == "warmup_cosine":
        return warmup_cosine(index, steps, spec["lr"], spec["warmup"], spec["min_lr"])
    return warmdown(index, steps, spec["lr"], spec.get("warmdown_iters", 0))


def replay(model, settings, spec, inputs, targets):
    """Runs a trajectory; returns its tensors by their names in the file, in the model's type."""
    accumulation = spec.get("grad_accum_steps", 1)
    steps = len(inputs) // accumulation
    optimizer = trajectory_optimizer(list(model.parameters()), spec)

    def update(index, rate):
        chosen = range(index * accumulation, (index + 1) * accumulation)
        return step(model, [(inputs[i], targets[i]) for i in chosen], optimizer, rate, spec.get("clip", 0.0), settings)

    result = {}
    # Warm-up updates at the full rate on the first batches; the counted steps then start again at the first batch.
    warmup = [update(index, spec["lr"]) for index in range(spec.get("warmup_steps", 0))]
    rates = [trajectory_rate(spec, index, steps) for index in range(steps)]
    counted = [update(index, rates[index]) for index in range(steps)]
    for prefix, pairs in (("warmup_", warmup), ("", counted)):
        if pairs:
            result[prefix + "loss"] = torch.tensor([pair[0] for pair in pairs], dtype=torch.float64)
            result[prefix + "grad_norm"] = torch.tensor([pair[1] for pair in pairs], dtype=torch.float64)
    result["lr"] = torch.tensor(rates, dtype=torch.float64)
    result.update({"final/" + name: parameter.detach() for name, parameter in model.named_parameters()})
    return result
