"""What the scripts here share about models: building one from names and values, its loss, its initial weights."""

from dataclasses import fields

import torch
from torch.nn import functional as F

import safetensors_io
from gpt2 import GPT2
from v8_lowrank_vv import LowRankVV

MODELS = {"gpt2": GPT2, "v8_lowrank_vv": LowRankVV, "v8": LowRankVV}
# Keys of a conformance file's `config` that say which model and which loss, not how the model is built.
OUTSIDE_THE_MODEL = {"arch", "loss_first", "loss_last"}


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
        chosen[key] = value if isinstance(value, kinds[key]) else kinds[key](value)
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
    logits = logits_BTV.flatten(0, 1)
    # float32 or wider: the cross-entropy of half-precision logits would lose what the model computed
    return F.cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), targets_BT.flatten())


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
