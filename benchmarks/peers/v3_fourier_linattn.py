"""v3_fourier_linattn in PyTorch eager: linear attention with a decay whose projections are smooth over the vocabulary.

  x <- x + mu s_m DLA(z W_q, z W_k, z W_v; sigmoid(delta)) W_o^T,   W = Phi A^T,   z = rho(x)
  x <- x + nu FCM(rho(x))
"""

from dataclasses import dataclass

from torch import nn

import blocks
from blocks import Activated, ChannelMix, Common, Fourier, MemoryStep, Scored, Smooth, TableSkeleton, scalar


@dataclass
class Config(Common, Activated, Fourier, Scored):
    num_steps: int = 8
    decay_init: float = 3.0


class Memory(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.n_channels, 2 * config.n_fourier_basis
        self.query_proj, self.key_proj, self.value_proj, self.output_proj = (Smooth(*size) for _ in range(4))
        self.decay_logit = scalar(config.decay_init)
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV, table):
        q, k, v = (z_BTV @ projection(table) for projection in (self.query_proj, self.key_proj, self.value_proj))
        return self.out_scale * (blocks.decay_attention(q, k, v, self.decay_logit, self.config) @ self.output_proj(table).T)


class Step(MemoryStep):
    def __init__(self, config):
        act = blocks.activation(config.activation)
        super().__init__(config, Memory(config), ChannelMix(config.n_channels, 2 * config.n_fourier_basis, act))


class FourierLinAttn(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for step in self.steps:
            x_BTV = step(x_BTV, self.table)
        return x_BTV
