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
    gain = "scale" in last or last == "q_gain" or (last == "weight" and ".ln" in "." + name)
    amplitude = 0.3 if gain or last in ("bias", "diag", "decay_logit") else 0.5
    wave = amplitude * torch.sin(1.7 * index + 0.013 * index**2 + 0.9 * code)
    return ((1.0 if gain else 0.0) + wave).float().reshape(parameter.shape)


def tokens(batch, length, vocabulary, shift=0):
    b = torch.arange(batch)[:, None]
    t = torch.arange(length)[None, :]
    ids = (11 * b + 5 * t + 3 * t * t + 7 * shift) % vocabulary
    return ids, (3 * ids + 1) % vocabulary


class Case:
    """A model with settings: of the vocabulary space, whose files name it as `variant`, or any other, named in `arch` among its settings."""

    def __init__(self, name, config, mode="train"):
        self.name, self.config, self.mode = name, config, mode

    def build(self, values, dtype):
        model = models.build(self.name, models.PUBLISHED.get(self.name, {}) | self.config)
        models.load_parameters(model, values)
        return model.to(dtype).train(self.mode == "train")

    def parameters(self):
        model = models.build(self.name, self.config)
        return {name: fill(name, parameter) for name, parameter in model.named_parameters()}

    def metadata(self, case, note, deviation):
        text = {"case": case, "config": json.dumps(self.config), "note": note, "mode": self.mode, "dtype": "float32", "computed": "float64"}
        if "arch" not in self.config:
            text["variant"] = self.name
        return text | {"checked": "spec", "float32_deviation": json.dumps(deviation)}


def nudged(values, trial):
    """The same parameters moved by half a unit in the last place, up or down."""
    generator = torch.Generator().manual_seed(trial)
    signs = {name: torch.randint(0, 2, value.shape, generator=generator) * 2 - 1 for name, value in values.items()}
    return {name: (value.double() * (1 + 6e-8 * signs[name])).float() for name, value in values.items()}


def distance(got, wanted):
    return (got.double() - wanted.double()).abs().max().item()


def four_float32_runs(run, model, values):
    yield run(model.build(values, torch.float32))
    for trial in range(3):
        yield run(model.build(nudged(values, trial), torch.float32))


def rounded(tensors):
    return {name: value.detach().float() if value.is_floating_point() else value for name, value in tensors.items()}


def write_case(folder, case, model, ids, targets, note):
    values = model.parameters()

    def run(built):
        logits = built(ids)
        loss = models.TrainingLoss(built, model.config)(ids, targets)
        loss.backward()
        gradients = {
            "grad/" + name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad for name, parameter in built.named_parameters()
        }
        return {"logits": logits.detach(), "loss": loss.detach().reshape(1)} | gradients

    right = run(model.build(values, torch.float64))
    largest = max(value.abs().max().item() for name, value in right.items() if name.startswith("grad/"))
    deviation = {"logits": 0.0, "loss": 0.0, "grad_rel_to_largest": 0.0}
    for other in four_float32_runs(run, model, values):
        for name, value in other.items():
            key = name if name in deviation else "grad_rel_to_largest"
            deviation[key] = max(deviation[key], distance(value, right[name]) / (1.0 if name in deviation else largest))
    if deviation["grad_rel_to_largest"] > 5e-6:  # half the bound: a right answer must not depend on luck
        raise SystemExit(f"{case}: float32 code is {deviation['grad_rel_to_largest']:.1e} off; choose settings with a better condition")
    tensors = {"param/" + name: value for name, value in values.items()} | right | {"input_ids": ids, "target_ids": targets}
    safetensors_io.save(folder / f"{case}.safetensors", rounded(tensors), model.metadata(case, note, deviation))


def write_trajectory(folder, case, model, optimizer, steps, note, batch=2, length=8):
    values = model.parameters()
    count = steps * optimizer.get("grad_accum_steps", 1)
    pairs = [tokens(batch, length, model.config["vocab_size"], shift) for shift in range(count)]
    ids, targets = torch.stack([pair[0] for pair in pairs]), torch.stack([pair[1] for pair in pairs])

    def run(built):
        return training.replay(built, model.config, optimizer, ids, targets)

    right = run(model.build(values, torch.float64))
    deviation = {"loss": 0.0, "grad_norm": 0.0, "final": dict.fromkeys(values, 0.0)}
    for other in four_float32_runs(run, model, values):
        for name in ("loss", "grad_norm"):
            deviation[name] = max(deviation[name], ((other[name] - right[name]) / right[name]).abs().max().item())
        for name in values:
            deviation["final"][name] = max(deviation["final"][name], distance(other["final/" + name], right["final/" + name]))
    tensors = {"param/" + name: value for name, value in values.items()} | right | {"input_ids": ids, "target_ids": targets}
    text = model.metadata(case, note, deviation) | {"optimizer": json.dumps(optimizer), "steps": str(steps)}
    text["parameter_order"] = json.dumps(list(values))
    safetensors_io.save(folder / f"{case}.safetensors", rounded(tensors), text)


def v8(vocabulary, hops, rank, **others):
    return Case("v8_lowrank_vv", {"vocab_size": vocabulary, "num_hops": hops, "interaction_rank": rank} | others)


def gpt2(vocabulary, layers, heads, width, positions, **others):
    sizes = {"vocab_size": vocabulary, "n_layer": layers, "n_head": heads, "n_embd": width, "max_seq_len": positions}
    return Case("gpt2", {"arch": "gpt2"} | sizes | others)


def v8_cases(folder):
    def case(name, model, batch, length, note):
        write_case(folder, name, model, *tokens(batch, length, model.config["vocab_size"]), note)

    case("v8_relu2_rank1_hops3_t33", v8(50, 3, 1, activation="relu2"), 2, 33, "T past a block of 32, and no size is a multiple of 4")
    case("v8_swish_softcap5_batch3", v8(33, 2, 5, activation="swish", logit_softcap=5.0, decay_init=0.5), 3, 17, "odd sizes everywhere")
    case("v8_t1", v8(32, 2, 4, activation="gelu"), 2, 1, "attention reads nothing: its gradients are exactly zero")
    case("v8_t2_hops1", v8(50, 1, 2, activation="gelu"), 1, 2, "one pair of positions: the decay logit gets no gradient")
    case("v8_reversed_mask", v8(32, 2, 3, activation="gelu", reversed_mask=True), 2, 12, "position t reads s > t with exponent s-t-1")
    case("v8_rms_eps_2m7", v8(40, 2, 3, activation="gelu", rms_eps=2.0**-7), 2, 9, "epsilon of the recorded GPU runs")
    model = v8(48, 4, 6, activation="gelu")
    ids = torch.full((2, 24), 7)
    ids[1, ::2] = 41
    write_case(folder, "v8_repeated_token", model, ids, (ids + 1) % 48, "a constant and an alternating row: the state grows most")


def gpt2_cases(folder):
    def case(name, model, batch, length, note):
        write_case(folder, name, model, *tokens(batch, length, model.config["vocab_size"]), note)

    case("gpt2_layers1_heads1", gpt2(50, 1, 1, 12, 9), 3, 7, "one layer, one head, T below max_seq_len")
    case("gpt2_layers3_heads4_full", gpt2(50, 3, 4, 8, 16), 2, 16, "T = max_seq_len, heads of width 2")
    case("gpt2_t1_positions1", gpt2(32, 2, 2, 12, 1), 2, 1, "T = max_seq_len = 1")
    case("gpt2_loss_first_only", gpt2(50, 1, 4, 12, 8, loss_first=2), 2, 8, "loss from position 2 alone")
    case("gpt2_loss_first_last", gpt2(50, 1, 4, 12, 8, loss_first=0, loss_last=7), 2, 8, "a range that names every position")


def vocabulary_space_cases(folder):
    """The other variants away from the tiny files' settings: odd sizes, other depths and activations, the corrected function where it differs."""

    def case(suffix, name, config, length, note, mode="train"):
        ids, targets = tokens(2, length, config["vocab_size"])
        write_case(folder, f"{name}_{suffix}", Case(name, config, mode), ids, targets, note)

    fourier = {"vocab_size": 41, "n_fourier_basis": 3, "n_channels": 6}
    config = fourier | {"vocab_size": 42, "num_heads": 3, "num_kv_heads": 1, "rope_base": 100.0, "num_steps": 3, "activation": "relu2"}
    case("heads3_steps3", "v1_shared_attn", config, 13, "one key head for three, relu2")
    config = fourier | {"num_steps": 3, "kernel_size": 5, "activation": "swish"}
    case("t2_below_kernel", "v2_conv", config, 2, "a kernel longer than the text, swish")
    case("scaled_scores", "v3_fourier_linattn", fourier | {"num_steps": 1, "score_scale": 0.25}, 33, "score_scale 1/4, T past a block of 32")
    case("reversed_mask", "v3_fourier_linattn", fourier | {"num_steps": 2, "reversed_mask": True}, 9, "the published mask before the fix")
    config = fourier | {"unique_steps": 3, "invocations_per_step": 1, "n_heads": 3, "transform_rank": 1, "activation": "swish"}
    case("heads3_rank1", "v4_weight_shared", config, 7, "one invocation of three steps, swish")
    config = {"vocab_size": 16, "num_steps": 3, "n_freq": 8, "n_channels": 6, "activation": "swish"}
    case("half_vocabulary", "v5_fft_linattn", config, 9, "the bin at V/2, which has half the gain and no imaginary part")
    config = {"vocab_size": 15, "num_steps": 1, "n_freq": 7, "n_channels": 5}
    case("odd_vocabulary", "v5_fft_linattn", config, 5, "V odd, every frequency")
    config = {"vocab_size": 33, "num_cycles": 1, "n_fourier_basis": 6, "n_channels": 7, "band_split": [1, 2, 3], "activation": "swish"}
    case("bands123", "v6_banded_fourier", config, 11, "three unequal bands, one cycle, swish")
    case("ops10", "v7_soft_ops", fourier | {"num_instructions": 3, "n_ops": 10}, 9, "ten operations: the functions repeat")
    config = {"vocab_size": 35, "num_steps": 1, "state_dim": 5, "inner_dim": 7, "activation": "relu"}
    case("relu_t33", "v9_linattn", config, 33, "relu, T past a block of 32")
    case("ops5", "v10_state_cond_op", {"vocab_size": 35, "num_steps": 1, "state_dim": 6, "n_ops": 5}, 9, "five operations")
    config = {"vocab_size": 35, "num_steps": 1, "state_dim": 6, "inner_dim": 7, "gate_dim": 5, "ema_clamp": False}
    case("exact_sum", "v11a_mixed_ops", config, 37, "the exact leaky sum, a gate of its own width")
    config = {"vocab_size": 33, "num_steps": 3, "state_dim": 6, "inner_dim": 7, "gumbel_scale": 0.0}
    config |= {"tau": 0.5, "halt_threshold": 0.4, "ponder_lambda": 0.1}
    for mode in ("train", "eval"):
        case(f"tau_half_{mode}", "v11b_hard_routing", config, 11, "other temperature, threshold and weight of depth", mode)
    window = {"vocab_size": 35, "k_active": 11, "inner_mul": 3}
    config = window | {"num_steps": 4, "activation": "relu", "parallel_waves": False}
    case("sequential", "v12_vocab_slice", config, 17, "windows that wrap, relu")
    config = {"vocab_size": 40, "k_active": 6, "inner_mul": 3, "num_steps": 8, "embed_dim": 3, "activation": "relu2", "parallel_waves": True}
    case("waves", "v13_with_embedding", config, 9, "eight steps in waves")
    config = fourier | {"vocab_size": 35, "k_active": 11, "kernel_size": 3, "num_steps": 3, "activation": "swish"}
    case("kernel3", "v14_data_dependent", config, 9, "three taps, windows that wrap, swish")
    config = window | {"num_steps": 3, "sparsity_k": 9, "aux_loss_weight": 0.3, "aux_loss_decay": 0.5, "v15_entropy": False}
    case("head_entropy", "v15_aux_loss", config, 9, "entropy of the answer, with a floor")
    config = {"vocab_size": 35, "k_active": 10, "inner_mul": 2, "num_columns": 3, "steps_per_column": 1, "n_branches": 3, "activation": "relu2"}
    case("columns3", "v16_multi_branch", config, 9, "a hidden width that branches do not divide, relu2")


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
    model = gpt2(32, 2, 2, 8, 8, loss_first=4, loss_last=6)
    write_trajectory(folder, "gpt2_masked_loss_steps", model, spec, 10, "loss from positions 4..6 at every step")


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "extra"
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)  # the order of summation in the float32 runs must not depend on the machine
    v8_cases(folder)
    gpt2_cases(folder)
    vocabulary_space_cases(folder)
    trajectories(folder)


if __name__ == "__main__":
    main()
