"""Makes checkpoints as the published trainer wrote them, of weights in a safetensors file, and converts them back.

    python published_checkpoints.py v11a_mixed_ops weights.safetensors OUT

With PyTorch: OUT/a.safetensors of a checkpoint with wrappers' prefixes, names of the generation before and aliases; OUT/b.safetensors of a bare state
dict; OUT/c.safetensors of the packed form. Without it only names are checked, and the exit code is 77.
"""
import contextlib
import importlib.util
import io
import json
import os
import struct
import sys
import zlib

SCRIPT = os.path.join(os.path.dirname(__file__), "../../scripts/convert_checkpoint.py")
spec = importlib.util.spec_from_file_location("convert_checkpoint", SCRIPT)
convert = importlib.util.module_from_spec(spec)
spec.loader.exec_module(convert)


def check_names():
    same = [
        ("v9_linattn", "module._orig_mod.steps.3.qtable.q_proj.weight", "steps.3.attn.q_proj.weight"),
        ("v9_linattn", "steps.3.q_scale", "steps.3.attn_scale"),
        ("v8_lowrank_vv", "hops.0.propagation.q_scale", "hops.0.propagation.q_scale"),
        ("v11a_mixed_ops", "steps.0.theta_decay", "steps.0.long_decay"),
        ("v11a_mixed_ops", "steps.0.gamma_scale", "steps.0.short_scale"),
        ("v11a_mixed_ops", "steps.1.alpha.up.bias", "steps.1.gate.up.bias"),
        ("v11a_mixed_ops", "steps.1.beta.down.weight", "steps.1.transform.down.weight"),
        ("v11a_mixed_ops", "steps.1.delta.decay_logits", "steps.1.long_ema.decay_logits"),
        ("v14_data_dependent", "steps.1.conv.gate_proj.weight", "steps.1.conv.gate_weight"),
    ]
    for variant, old, new in same:
        assert convert.present_name(variant, old) == new, (old, convert.present_name(variant, old))
    assert convert.variant_of("v11_brainwave") == "v11a_mixed_ops" and convert.variant_of("graph") == "v8_lowrank_vv"
    assert convert.is_buffer("steps.0.write_selector") and convert.is_buffer("fourier_basis") and not convert.is_buffer("steps.0.write_scale")
    assert convert.canonical_name("v7_soft_ops", "program.3.instruction.op_bank.op_weights") == "op_bank.op_weights"
    assert convert.canonical_name("v10_state_cond_op", "steps.3.op_bank.op_transforms.1.weight") == "op_bank.op_transforms.1.weight"
    equal = lambda a, b: a == b
    two = {"memory.q.weight": 1, "steps.0.memory.q.weight": 1, "fourier_basis": 5}
    assert convert.chosen("v11a_mixed_ops", two, equal) == {"memory.q.weight": 1}
    try:
        convert.chosen("v11a_mixed_ops", {"memory.q.weight": 1, "steps.0.memory.q.weight": 2}, equal)
        raise AssertionError("an alias of another value was taken")
    except convert.Refusal as e:
        assert "steps.0.memory.q.weight" in str(e)


def read_safetensors(torch, path):
    with open(path, "rb") as f:
        data = f.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    out = {}
    for name, t in header.items():
        if name != "__metadata__":
            begin, end = (8 + length + o for o in t["data_offsets"])
            out[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=torch.float32).reshape(t["shape"])
    return out


OLD = {"long_ema": "delta", "long_decay": "theta_decay", "long_scale": "theta_scale", "short_decay": "gamma_decay", "short_scale": "gamma_scale",
       "gate": "alpha", "transform": "beta"}


def older(name):
    return ".".join(OLD.get(part, part) for part in name.split("."))


def run(arch, source, out, code=0):
    """The script's main, in this process: importing torch takes seconds. What it says on stderr."""
    sys.argv = ["convert_checkpoint", "--arch", arch, source, out]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        got = convert.main()
    assert got == code, said.getvalue()
    return said.getvalue()


class Foreign:
    """What no checkpoint of weights needs."""


def main():
    variant, weights, out = sys.argv[1:]
    check_names()
    try:
        import torch
    except ImportError:
        return 77
    state = read_safetensors(torch, weights)
    wrapped = {"module." + older(n): t for n, t in state.items()}
    for name in ("q", "k", "v", "o"):
        wrapped[f"module.steps.0.memory.{name}.weight"] = state[f"memory.{name}.weight"]
    wrapped["module.fourier_basis"] = torch.ones(4, 4)
    torch.save({"model": wrapped, "optimizer": {"state": {}, "param_groups": []}, "step": 165}, out + "/a.pt")
    run("v11_brainwave", out + "/a.pt", out + "/a.safetensors")
    torch.save(state, out + "/b.pt")
    run(variant, out + "/b.pt", out + "/b.safetensors")

    packed = {"__quant_format__": "int8_clean_per_row_v1", "quantized": {}, "scales": {}, "dtypes": {}, "passthrough": {}}
    for name, t in state.items():
        if t.dim() == 2:
            scale = (t.abs().amax(1) / 127).to(torch.float16)
            packed["quantized"][name] = torch.clamp(torch.round(t / scale.float()[:, None]), -127, 127).to(torch.int8)
            packed["scales"][name] = scale
        else:
            packed["passthrough"][name] = t
    torch.save(packed, out + "/c.raw")
    with open(out + "/c.raw", "rb") as f, open(out + "/c.ptz", "wb") as to:
        to.write(zlib.compress(f.read(), 9))
    run(variant, out + "/c.ptz", out + "/c.safetensors")

    torch.save({"model": Foreign()}, out + "/d.pt")
    assert "Foreign" in run(variant, out + "/d.pt", out + "/d.safetensors", 2) and not os.path.exists(out + "/d.safetensors")
    assert "no variant" in run("v99", out + "/a.pt", out + "/d.safetensors", 2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
