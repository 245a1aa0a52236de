"""Writes conformance vectors from the PyTorch peers: `make_vectors.py [DIR]` (default: the folder `extra` beside this file).

Inputs are rounded to float32 first, everything after that is computed in float64 and rounded once. `float32_deviation` is the largest
distance from the file that four float32 runs show: one from the stored parameters, three from parameters moved by half a unit in the last
place, so that a bound made of it does not rest on the luck of one order of summation.
"""

import json
import sys
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "benchmarks" / "peers"))

import models  # noqa: E402
import safetensors_io  # noqa: E402
import training  # noqa: E402


def fill(name, parameter):
    """Values by formula: distinct in every entry, gains around 1; the quadratic term keeps matrices from having rank 2."""
    code = sum(name.encode()) % 97
    index = torch.arange(parameter.numel(), dtype=torch.float64)
    last = name.rsplit(".", 1)[-1]
    gain = "scale" in last or (last == "weight" and ".ln" in "." + name)
    amplitude = 0.3 if gain or last in ("bias", "diag", "decay_logit") else 0.5
    wave = amplitude * torch.sin(1.7 * index + 0.013 * index**2 + 0.9 * code)
    return ((1.0 if gain else 0.0) + wave).float().reshape(parameter.shape)


def tokens(batch, length, vocabulary, shift=0):
    b = torch.arange(batch)[:, None]
    t = torch.arange(length)[None, :]
    ids = (11 * b + 5 * t + 3 * t * t + 7 * shift) % vocabulary
    return ids, (3 * ids + 1) % vocabulary


def build(config, values, dtype):
    model = models.build(config.get("arch", "v8_lowrank_vv"), config)
    models.load_parameters(model, values)
    return model.to(dtype)


def parameters_of(config):
    model = models.build(config.get("arch", "v8_lowrank_vv"), config)
    return {name: fill(name, parameter) for name, parameter in model.named_parameters()}


def nudged(values, trial):
    """The same parameters moved by half a unit in the last place, up or down."""
    generator = torch.Generator().manual_seed(trial)
    signs = {name: torch.randint(0, 2, value.shape, generator=generator) * 2 - 1 for name, value in values.items()}
    return {name: (value.double() * (1 + 6e-8 * signs[name])).float() for name, value in values.items()}


def distance(got, wanted):
    return (got.double() - wanted.double()).abs().max().item()


def four_float32_runs(run, config, values):
    yield run(build(config, values, torch.float32))
    for trial in range(3):
        yield run(build(config, nudged(values, trial), torch.float32))


def metadata(case, config, note, deviation):
    text = {"case": case, "config": json.dumps(config), "note": note, "mode": "train", "dtype": "float32", "computed": "float64"}
    if "arch" not in config:
        text["variant"] = "v8_lowrank_vv"
    return text | {"checked": "spec", "float32_deviation": json.dumps(deviation)}


def rounded(tensors):
    return {name: value.detach().float() if value.is_floating_point() else value for name, value in tensors.items()}


def write_case(folder, case, config, ids, targets, note):
    values = parameters_of(config)

    def run(model):
        logits = model(ids)
        loss = models.loss(logits, targets, config)
        loss.backward()
        gradients = {"grad/" + name: parameter.grad for name, parameter in model.named_parameters()}
        return {"logits": logits.detach(), "loss": loss.detach().reshape(1)} | gradients

    right = run(build(config, values, torch.float64))
    largest = max(value.abs().max().item() for name, value in right.items() if name.startswith("grad/"))
    deviation = {"logits": 0.0, "loss": 0.0, "grad_rel_to_largest": 0.0}
    for other in four_float32_runs(run, config, values):
        for name, value in other.items():
            key = name if name in deviation else "grad_rel_to_largest"
            deviation[key] = max(deviation[key], distance(value, right[name]) / (1.0 if name in deviation else largest))
    tensors = {"param/" + name: value for name, value in values.items()} | right | {"input_ids": ids, "target_ids": targets}
    safetensors_io.save(folder / f"{case}.safetensors", rounded(tensors), metadata(case, config, note, deviation))


def write_trajectory(folder, case, config, optimizer, steps, note, batch=2, length=8):
    values = parameters_of(config)
    count = steps * optimizer.get("grad_accum_steps", 1)
    pairs = [tokens(batch, length, config["vocab_size"], shift) for shift in range(count)]
    ids, targets = torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])

    def run(model):
        return training.replay(model, config, optimizer, ids, targets)

    right = run(build(config, values, torch.float64))
    deviation = {"loss": 0.0, "grad_norm": 0.0, "final": dict.fromkeys(values, 0.0)}
    for other in four_float32_runs(run, config, values):
        for name in ("loss", "grad_norm"):
            deviation[name] = max(deviation[name], ((other[name] - right[name]) / right[name]).abs().max().item())
        for name in values:
            deviation["final"][name] = max(deviation["final"][name], distance(other["final/" + name], right["final/" + name]))
    tensors = {"param/" + name: value for name, value in values.items()} | right | {"input_ids": ids, "target_ids": targets}
    text = metadata(case, config, note, deviation) | {"optimizer": json.dumps(optimizer), "steps": str(steps)}
    text["parameter_order"] = json.dumps(list(values))
    safetensors_io.save(folder / f"{case}.safetensors", rounded(tensors), text)


def v8(vocabulary, hops, rank, **others):
    return {"vocab_size": vocabulary, "num_hops": hops, "interaction_rank": rank} | others


def gpt2(vocabulary, layers, heads, width, positions, **others):
    sizes = {"vocab_size": vocabulary, "n_layer": layers, "n_head": heads, "n_embd": width, "max_seq_len": positions}
    return {"arch": "gpt2"} | sizes | others


def v8_cases(folder):
    def case(name, config, batch, length, note):
        write_case(folder, name, config, *tokens(batch, length, config["vocab_size"]), note)

    case("v8_relu2_rank1_hops3_t33", v8(50, 3, 1, activation="relu2"), 2, 33, "T past a block of 32, and no size is a multiple of 4")
    case("v8_swish_softcap5_batch3", v8(33, 2, 5, activation="swish", logit_softcap=5.0, decay_init=0.5), 3, 17, "odd sizes everywhere")
    case("v8_t1", v8(32, 2, 4, activation="gelu"), 2, 1, "attention reads nothing: its gradients are exactly zero")
    case("v8_t2_hops1", v8(50, 1, 2, activation="gelu"), 1, 2, "one pair of positions: the decay logit gets no gradient")
    case("v8_reversed_mask", v8(32, 2, 3, activation="gelu", reversed_mask=True), 2, 12, "position t reads s > t with exponent s-t-1")
    case("v8_rms_eps_2m7", v8(40, 2, 3, activation="gelu", rms_eps=2.0**-7), 2, 9, "epsilon of the recorded GPU runs")
    config = v8(48, 4, 6, activation="gelu")
    ids = torch.full((2, 24), 7)
    ids[1, ::2] = 41
    write_case(folder, "v8_repeated_token", config, ids, (ids + 1) % 48, "a constant and an alternating row: the state grows most")


def gpt2_cases(folder):
    def case(name, config, batch, length, note):
        write_case(folder, name, config, *tokens(batch, length, config["vocab_size"]), note)

    case("gpt2_layers1_heads1", gpt2(50, 1, 1, 12, 9), 3, 7, "one layer, one head, T below max_seq_len")
    case("gpt2_layers3_heads4_full", gpt2(50, 3, 4, 8, 16), 2, 16, "T = max_seq_len, heads of width 2")
    case("gpt2_t1_positions1", gpt2(32, 2, 2, 12, 1), 2, 1, "T = max_seq_len = 1")
    case("gpt2_loss_first_only", gpt2(50, 1, 4, 12, 8, loss_first=2), 2, 8, "loss from position 2 alone")
    case("gpt2_loss_first_last", gpt2(50, 1, 4, 12, 8, loss_first=0, loss_last=7), 2, 8, "a range that names every position")


def trajectories(folder):
    adam = {"lr": 0.03, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "clip": 1.0, "warmup_steps": 0}
    spec = adam | {"weight_decay": 0.1, "clip": 0.5, "warmup_steps": 1, "iterations": 6, "warmdown_iters": 3, "grad_accum_steps": 3}
    note = "three micro-batches a step, coupled decay, one warm-up update at the full rate, clip 0.5"
    write_trajectory(folder, "vocab_v8_accum3_decay_clip", v8(32, 2, 4, activation="gelu"), spec, 6, note)
    spec = adam | {"beta2": 0.98, "clip": 0.0, "iterations": 8, "warmdown_iters": 0, "grad_accum_steps": 1}
    write_trajectory(folder, "vocab_v8_swish_constant", v8(32, 3, 1, activation="swish"), spec, 8, "constant rate, no clipping")
    spec = {"kind": "gpt2", "lr": 0.002, "beta2": 0.999, "wd": 0.1, "clip": 0.5, "schedule": "warmup_cosine", "warmup": 2, "min_lr": 0.0}
    write_trajectory(folder, "gpt2_clip_cosine_to_zero", gpt2(32, 1, 4, 12, 8), spec, 10, "clip 0.5, decay 0.1, cosine to a rate of 0")
    spec = {"kind": "gpt2", "lr": 0.001, "beta2": 0.98, "wd": 0.0, "clip": 0.0}
    config = gpt2(32, 2, 2, 8, 8, loss_first=4, loss_last=6)
    write_trajectory(folder, "gpt2_masked_loss_steps", config, spec, 10, "loss from positions 4..6 at every step")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "extra"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the order of summation in the float32 runs must not depend on the machine
    v8_cases(folder)
    gpt2_cases(folder)
    trajectories(folder)


if __name__ == "__main__":
    main()
