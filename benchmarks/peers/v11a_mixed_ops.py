"""v11a_mixed_ops in PyTorch eager: five operations a step, with one set of attention weights for all of them.

  x <- x + scale LS(rho(x); d),                                       d = max(sigmoid(decay_logits), 1e-6)
  x <- x + Mem(rho(x); long),    Mem(z; delta, s) = s DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) W_o^T
  x <- x sigmoid((x D_g^T) U_g^T + b_g)
  x <- x + s_t gelu(rho(x) W_d^T + b) W_u^T
  x <- x + Mem(rho(x); short)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Bottleneck, Common, Scored, dense, scalar, vector


@dataclass
class Config(Common, Scored):
    num_steps: int = 8
    state_dim: int = 64
    inner_dim: int = 128
    gate_dim: int = 64
    ema_clamp: bool = False  # the published quotient, which depends on the length


class Memory(nn.Module):
    def __init__(self, config):
        super().__init__()
        V, d = config.vocab_size, config.state_dim
        self.q, self.k, self.v, self.o = dense(V, d), dense(V, d), dense(V, d), dense(d, V)
        self.config = config

    def forward(self, z_BTV, decay_logit, scale):
        return scale * self.o(blocks.decay_attention(self.q(z_BTV), self.k(z_BTV), self.v(z_BTV), decay_logit, self.config))


class LeakySum(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.decay_logits = vector(config.vocab_size, 4)
        self.scale = scalar(0.1)
        self.sum = blocks.published_leaky_sum if config.ema_clamp else blocks.leaky_sum

    def forward(self, z_BTV):
        return self.scale * self.sum(z_BTV, torch.sigmoid(self.decay_logits).clamp(min=1e-6))


class Gate(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.down = dense(config.vocab_size, config.gate_dim)
        self.up = dense(config.gate_dim, config.vocab_size, std=0.01, bias=2.0)

    def forward(self, x_BTV):
        return torch.sigmoid(self.up(self.down(x_BTV)))


class Transform(Bottleneck):
    def __init__(self, config):
        super().__init__(config)
        self.scale = scalar(0.1)

    def forward(self, z_BTV):
        return self.scale * self.up(F.gelu(self.inner(z_BTV)))


class Step(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.long_ema = LeakySum(config)
        self.long_decay, self.long_scale = scalar(4), scalar(0.1)
        self.short_decay, self.short_scale = scalar(1), scalar(0.1)
        self.gate = Gate(config)
        self.transform = Transform(config)


class MixedOps(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.memory = Memory(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for s in self.steps:
            x_BTV = x_BTV + s.long_ema(self.rho(x_BTV))
            x_BTV = x_BTV + self.memory(self.rho(x_BTV), s.long_decay, s.long_scale)
            x_BTV = x_BTV * s.gate(x_BTV)
            x_BTV = x_BTV + s.transform(self.rho(x_BTV))
            x_BTV = x_BTV + self.memory(self.rho(x_BTV), s.short_decay, s.short_scale)
        return x_BTV
