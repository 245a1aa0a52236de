"""v8_lowrank_vv in PyTorch eager: a recurrent language model whose residual state is as wide as the vocabulary.

A step has two residual half-steps, each on the normalised state z = rms(x):
  x <- x + mu * s_p * sum_{s<t} lambda^(t-s-1) <q z_t, k z_s> z_s      lambda = sigmoid(decay_logit)
  x <- x + nu * s_w * act((z U) V^T + z diag + bias)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab_size: int = 1024
    num_hops: int = 8
    interaction_rank: int = 8
    logit_softcap: float = 30.0
    activation: str = "gelu"
    decay_init: float = 3.0
    rms_eps: float = 2.0**-23
    reversed_mask: bool = False  # the defect of early runs: position t reads s > t


ACTIVATIONS = {"gelu": F.gelu, "relu2": lambda z: F.relu(z).square(), "swish": F.silu}


def decay_table(decay_logit, length, reversed_mask):
    """[T, T]: lambda^(t-s-1) where s < t, else 0; transposed for the reversed mask."""
    position = torch.arange(length, device=decay_logit.device)
    distance = position[:, None] - position[None, :] - 1
    if reversed_mask:
        distance = distance.T
    table = torch.sigmoid(decay_logit) ** distance.clamp(min=0)
    return table.masked_fill(distance < 0, 0.0)


class Propagation(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.q_scale = nn.Parameter(torch.ones(config.vocab_size))
        self.k_scale = nn.Parameter(torch.ones(config.vocab_size))
        self.decay_logit = nn.Parameter(torch.tensor(config.decay_init))
        self.out_scale = nn.Parameter(torch.tensor(0.1))
        self.reversed_mask = config.reversed_mask

    def forward(self, z_BTV):
        scores_BTT = (z_BTV * self.q_scale) @ (z_BTV * self.k_scale).transpose(1, 2)
        table_TT = decay_table(self.decay_logit, z_BTV.shape[1], self.reversed_mask)
        return self.out_scale * ((scores_BTT * table_TT) @ z_BTV)


class Interaction(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.U = nn.Parameter(0.02 * torch.randn(config.vocab_size, config.interaction_rank))
        self.V = nn.Parameter(0.02 * torch.randn(config.vocab_size, config.interaction_rank))
        self.diag = nn.Parameter(torch.zeros(config.vocab_size))
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.out_scale = nn.Parameter(torch.tensor(0.1))
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, z_BTV):
        return self.out_scale * self.activation((z_BTV @ self.U) @ self.V.T + z_BTV * self.diag + self.bias)


class Hop(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.propagation = Propagation(config)
        self.interaction = Interaction(config)
        self.prop_scale = nn.Parameter(torch.ones(1))
        self.interact_scale = nn.Parameter(torch.ones(1))
        self.rms_eps = config.rms_eps

    def forward(self, x_BTV):
        width = x_BTV.shape[-1:]
        x_BTV = x_BTV + self.prop_scale * self.propagation(F.rms_norm(x_BTV, width, eps=self.rms_eps))
        return x_BTV + self.interact_scale * self.interaction(F.rms_norm(x_BTV, width, eps=self.rms_eps))


class LowRankVV(nn.Module):
    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.hops = nn.ModuleList(Hop(config) for _ in range(config.num_hops))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, ids_BT):
        width, eps, cap = [self.config.vocab_size], self.config.rms_eps, self.config.logit_softcap
        # The state keeps the parameters' type, so that under bf16 autocast the residual stream stays in float32.
        x_BTV = F.one_hot(ids_BT, self.config.vocab_size).to(self.logit_scale.dtype)
        x_BTV = F.rms_norm(x_BTV, width, eps=eps)
        for hop in self.hops:
            x_BTV = hop(x_BTV)
        return cap * torch.tanh(self.logit_scale * F.rms_norm(x_BTV, width, eps=eps) / cap)
