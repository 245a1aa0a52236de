"""What the scripts here share about models: building one from names and values, its loss, its initial weights."""

from dataclasses import fields

import torch
from torch import nn

import blocks
import safetensors_io
from gpt2 import GPT2
from v1_shared_attn import SharedAttn
from v2_conv import Conv
from v3_fourier_linattn import FourierLinAttn
from v4_weight_shared import WeightShared
from v5_fft_linattn import FFTLinAttn
from v6_banded_fourier import BandedFourier
from v7_soft_ops import SoftOps
from v8_lowrank_vv import LowRankVV
from v9_linattn import LinAttn
from v10_state_cond_op import StateCondOp
from v11a_mixed_ops import MixedOps
from v11b_hard_routing import HardRouting
from v12_vocab_slice import VocabSlice
from v13_with_embedding import WithEmbedding
from v14_data_dependent import DataDependent
from v15_aux_loss import AuxLoss
from v16_multi_branch import MultiBranch

MODELS = {
    "gpt2": GPT2,
    "v1_shared_attn": SharedAttn,
    "v2_conv": Conv,
    "v3_fourier_linattn": FourierLinAttn,
    "v4_weight_shared": WeightShared,
    "v5_fft_linattn": FFTLinAttn,
    "v6_banded_fourier": BandedFourier,
    "v7_soft_ops": SoftOps,
    "v8_lowrank_vv": LowRankVV,
    "v9_linattn": LinAttn,
    "v10_state_cond_op": StateCondOp,
    "v11a_mixed_ops": MixedOps,
    "v11b_hard_routing": HardRouting,
    "v12_vocab_slice": VocabSlice,
    "v13_with_embedding": WithEmbedding,
    "v14_data_dependent": DataDependent,
    "v15_aux_loss": AuxLoss,
    "v16_multi_branch": MultiBranch,
}
# Keys of a conformance file's `config` that say which model and which loss, or trade memory for time, not how the model is built.
OUTSIDE_THE_MODEL = {"arch", "loss_first", "loss_last", "grad_checkpoint"}
# What a conformance file of a published architecture leaves unsaid: its code as published, without noise.
PUBLISHED = {"v11a_mixed_ops": {"ema_clamp": True}, "v11b_hard_routing": {"gumbel_scale": 0.0}, "v15_aux_loss": {"v15_entropy": True}}


def converted(value, kind):
    """A setting's value, which may be a word of a command line, as the type of its default."""
    if kind is bool and isinstance(value, str):
        if value not in ("true", "false"):
            raise SystemExit(f"{value!r} is neither true nor false")
        return value == "true"
    if kind is tuple:
        return tuple(int(n) for n in (value.split(",") if isinstance(value, str) else value))
    return value if isinstance(value, kind) else kind(value)


def build(name, settings):
    """Settings not given take the Config's default; an unknown one is an error."""
    if name not in MODELS:
        raise SystemExit(f"no peer named {name!r}; there are {', '.join(MODELS)}")
    model = MODELS[name]
    kinds = {field.name: type(field.default) for field in fields(model.Config)}
    chosen = {}
    for key, value in settings.items():
        if key in OUTSIDE_THE_MODEL:
            continue
        if key not in kinds:
            raise SystemExit(f"{name} has no setting {key!r}; it has {', '.join(kinds)}")
        chosen[key] = converted(value, kinds[key])
    return model(model.Config(**chosen))


def parse_settings(words):
    """KEY=VALUE words; `model.KEY=VALUE` means the same, so that one list serves both programs."""
    return {key.removeprefix("model."): value for key, _, value in (word.partition("=") for word in words)}


def loss(logits_BTV, targets_BT, settings=()):
    """Mean cross-entropy over all positions, or over loss_first..loss_last (default: that one position)."""
    settings = dict(settings)
    first = settings.get("loss_first", -1)
    if first >= 0:
        last = settings.get("loss_last", first)
        logits_BTV, targets_BT = logits_BTV[:, first : last + 1], targets_BT[:, first : last + 1]
    return blocks.cross_entropy(logits_BTV, targets_BT)


class TrainingLoss(nn.Module):
    """The model with its loss, as one module, so that a compiler sees both; some models add terms of their own."""

    def __init__(self, model, settings=()):
        super().__init__()
        self.model = model
        self.settings = settings

    def forward(self, ids_BT, targets_BT):
        if isinstance(self.model, blocks.Skeleton):
            return self.model.training_loss(ids_BT, targets_BT)
        return loss(self.model(ids_BT), targets_BT, self.settings)


def load_parameters(model, tensors):
    """From {NAME: tensor} or {param/NAME: tensor}; every parameter must be there with its shape."""
    prefix = "param/" if any(name.startswith("param/") for name in tensors) else ""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            value = tensors[prefix + name]
            if value.shape != parameter.shape:
                raise SystemExit(f"{name}: the file holds {list(value.shape)}, the model wants {list(parameter.shape)}")
            parameter.copy_(value)


def load_checkpoint(model, path):
    load_parameters(model, safetensors_io.load(path)[0])
