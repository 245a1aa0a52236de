#!/usr/bin/env python3
"""Published checkpoints of the vocabulary-space family as safetensors that `assay import` reads.

    python scripts/convert_checkpoint.py --arch v9_linattn run_ckpt.pt run.safetensors
    assay import run.safetensors --arch v9_linattn --preset reference --data SHARDS --out runs/published_v9

Reads what the published trainer wrote: a checkpoint {model, optimizer, step} (`_ckpt.pt`), a state dict (`_model.pt`), the packed form
(`_model.int8.ptz`). All of them are pickles, which Assay never reads: run this with a Python that has PyTorch, in an environment of its own
(`python3 -m venv convert && convert/bin/pip install torch==2.11.0 numpy`). Only tensors and plain containers are unpickled (weights_only).

Names of all three generations of the published code are taken, of variants and of tensors; wrappers' prefixes (module., _orig_mod.) go. Left out are
buffers that follow from the options (Fourier tables, windows) and aliases of shared modules, after a check that they equal what they are aliases of.
Everything is written in fp32. The optimizer's state is not converted.
"""
import argparse
import io
import json
import os
import pickle
import re
import struct
import sys
import zlib

# Present name: older ones.
VARIANTS = {
    "v1_shared_attn": ["v1_attention", "v1"],
    "v2_conv": ["v2"],
    "v3_fourier_linattn": ["v3_assoc", "v3"],
    "v4_weight_shared": ["v4_golf", "v4"],
    "v5_fft_linattn": ["v5_gauss", "gauss", "v5"],
    "v6_banded_fourier": ["v6_wave", "wave", "v6"],
    "v7_soft_ops": ["v7_lgp", "lgp", "v7"],
    "v8_lowrank_vv": ["v8_graph", "graph", "v8"],
    "v9_linattn": ["v9_meta", "meta", "v9"],
    "v10_state_cond_op": ["v10_policy", "policy", "v10"],
    "v11a_mixed_ops": ["v11_brainwave", "brainwave", "v11a"],
    "v11b_hard_routing": ["v11_tpg", "tpg", "v11b"],
    "v12_vocab_slice": ["v12_sparse", "sparse", "v12"],
    "v13_with_embedding": ["v13_embed", "embed", "v13"],
    "v14_data_dependent": ["v14_adaptive", "v14_adapt", "adaptive", "v14"],
    "v15_aux_loss": ["v15_predictive", "predictive", "v15"],
    "v16_multi_branch": ["v16_columnar", "columnar", "v16"],
}

ROUTED = [(r"^(steps\.\d+)\.qtable\.", r"\1.attn."), (r"^(steps\.\d+)\.q_scale$", r"\1.attn_scale")]
RENAMED = {
    "v9_linattn": ROUTED,
    "v11a_mixed_ops": [
        (r"^(steps\.\d+)\.delta\.", r"\1.long_ema."),
        (r"^(steps\.\d+)\.theta_(decay|scale)$", r"\1.long_\2"),
        (r"^(steps\.\d+)\.gamma_(decay|scale)$", r"\1.short_\2"),
        (r"^(steps\.\d+)\.alpha\.", r"\1.gate."),
        (r"^(steps\.\d+)\.beta\.", r"\1.transform."),
    ],
    "v11b_hard_routing": ROUTED,
    "v14_data_dependent": [(r"^(steps\.\d+\.conv)\.gate_proj\.weight$", r"\1.gate_weight")],
}

# A module that every step refers to stands under each step's name as well.
ALIASES = {
    "v7_soft_ops": (r"^program\.\d+\.instruction\.op_bank\.", "op_bank."),
    "v10_state_cond_op": (r"^steps\.\d+\.op_bank\.", "op_bank."),
    "v11a_mixed_ops": (r"^steps\.\d+\.memory\.", "memory."),
}

BUFFER = re.compile(r"(^|\.)(fourier_basis|dct_basis|inv_freq|read_indices|write_indices|write_selector)$")


class Refusal(Exception):
    """What is wrong with the input, for people."""


def variant_of(name):
    for present, older in VARIANTS.items():
        if name == present or name in older:
            return present
    raise Refusal(f"--arch: no variant is called '{name}'; there are {', '.join(VARIANTS)}")


def present_name(variant, name):
    """The tensor's name in the present generation, without wrappers' prefixes."""
    name = re.sub(r"^((module|_orig_mod)\.)+", "", name)
    for pattern, replacement in RENAMED.get(variant, []):
        name = re.sub(pattern, replacement, name)
    return name


def is_buffer(name):
    return BUFFER.search(name) is not None


def canonical_name(variant, name):
    """The name of what `name` is an alias of; itself where it is none."""
    pattern, replacement = ALIASES.get(variant, ("(?!)", ""))
    return re.sub(pattern, replacement, name)


def chosen(variant, tensors, equal):
    """{canonical name: tensor} of a state dict, by the rules above; `equal` compares two tensors."""
    out = {}
    for old, value in tensors.items():
        name = present_name(variant, old)
        if is_buffer(name):
            continue
        name = canonical_name(variant, name)
        if name in out and not equal(out[name], value):
            raise Refusal(f"tensor '{old}' differs from '{name}', which it should be an alias of")
        out.setdefault(name, value)
    if not out:
        raise Refusal("there is no parameter in it")
    return out


def write_safetensors(path, tensors, metadata):
    """tensors: {name: (shape, fp32 bytes)}; complete or not at all."""
    header, offset = {"__metadata__": metadata}, 0
    for name, (shape, data) in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".tmp", "wb") as f:
        f.write(struct.pack("<Q", len(text)))
        f.write(text)
        for _, data in tensors.values():
            f.write(data)
    os.replace(path + ".tmp", path)


def unpacked(torch, document):
    """The state dict of an int8 file: quantized[name] * scales[name], by row or for the whole tensor."""
    if not any(isinstance(v, str) and v.startswith("int8_clean_per_row") for v in document.values()):
        raise Refusal("a packed file of another format than int8_clean_per_row_v1")
    out = dict(document["passthrough"])
    for name, q in document["quantized"].items():
        scale = document["scales"][name].to(torch.float32)
        out[name] = q.to(torch.float32) * (scale.reshape(-1, *[1] * (q.dim() - 1)) if scale.dim() > 0 else scale)
    return out


def read(torch, path):
    """(state dict, updates) of any of the three kinds of files."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:1] == b"\x78":
        data = zlib.decompress(data)
    document = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(document, dict):
        raise Refusal(f"it holds a {type(document).__name__}, not a dictionary")
    step = 0
    if "quantized" in document:
        document = unpacked(torch, document)
    elif isinstance(document.get("model"), dict):
        step = int(document.get("step", 0))
        document = document["model"]
    for name, value in document.items():
        if not torch.is_tensor(value):
            raise Refusal(f"'{name}' is a {type(value).__name__}, not a tensor: this is no state dict")
    return document, step


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", required=True, help="the variant, by a name of any generation")
    parser.add_argument("checkpoint", help="_ckpt.pt, _model.pt or _model.int8.ptz")
    parser.add_argument("out", help="NAME.safetensors")
    options = parser.parse_args()
    try:
        variant = variant_of(options.arch)
        if not options.out.endswith(".safetensors"):
            raise Refusal(f"{options.out}: wanted a name that ends with .safetensors")
        import torch  # not before the arguments are right: it takes seconds

        state, step = read(torch, options.checkpoint)
        tensors = chosen(variant, state, torch.equal)
        for name, value in tensors.items():
            if not bool(torch.isfinite(value.float()).all()):
                raise Refusal(f"tensor '{name}' is not finite")
        ready = {n: (v.shape, v.detach().to(torch.float32).contiguous().numpy().tobytes()) for n, v in tensors.items()}
        write_safetensors(options.out, ready, {"format": "converted", "arch": variant, "step": str(step)})
    except (Refusal, OSError, zlib.error, KeyError, RuntimeError, ImportError, pickle.UnpicklingError) as e:
        print(f"convert_checkpoint: {options.checkpoint}: {e}", file=sys.stderr)
        return 2
    elements = sum(v.numel() for v in tensors.values())
    print(f"{options.out}: {len(tensors)} tensors, {elements} parameters of {variant} after {step} updates")
    print(f"assay import {options.out} --arch {variant} --preset reference --data DATA --out DIRECTORY")
    return 0


if __name__ == "__main__":
    sys.exit(main())
