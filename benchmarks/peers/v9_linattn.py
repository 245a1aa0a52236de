"""v9_linattn in PyTorch eager: linear attention with a decay between dense codes of the vocabulary state, then an MLP.

  x <- x + mu s_a DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) W_o^T,      x <- x + nu s_t act(z W_d^T + b) W_u^T,      z = rho(x)
"""

from dataclasses import dataclass

from torch import nn

import blocks
from blocks import Activated, AttentionStep, Bottleneck, Common, DenseMemory, Scored, scalar


@dataclass
class Config(Common, Activated, Scored):
    num_steps: int = 8
    state_dim: int = 64
    inner_dim: int = 128
    decay_init: float = 3.0


class Transform(Bottleneck):
    def __init__(self, config):
        super().__init__(config)
        self.out_scale = scalar(0.1)
        self.act = blocks.activation(config.activation)

    def forward(self, z_BTV):
        return self.out_scale * self.up(self.act(self.inner(z_BTV)))


class Step(AttentionStep):
    def __init__(self, config):
        super().__init__(config, DenseMemory(config, config.vocab_size, config.state_dim), Transform(config))


class LinAttn(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for step in self.steps:
            x_BTV = step(x_BTV)
        return x_BTV
