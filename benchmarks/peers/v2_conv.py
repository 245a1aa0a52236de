"""v2_conv in PyTorch eager: each token's strength is convolved over the last positions, then a mix of smooth channels.

  x <- x + alpha_i Conv_i(rho(x)),      x <- x + beta_i s act((z R) M + b) W^T
"""

from dataclasses import dataclass

from torch import nn

import blocks
from blocks import Activated, ChannelMix, Common, Fourier, TableSkeleton, vector


@dataclass
class Config(Common, Activated, Fourier):
    num_steps: int = 8
    kernel_size: int = 16


class Step(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.conv = blocks.depthwise(config.vocab_size, config.kernel_size)
        self.register_op = ChannelMix(config.n_channels, 2 * config.n_fourier_basis, blocks.activation(config.activation))
        self.conv_scale = vector(config.vocab_size, 1)
        self.op_scale = vector(config.vocab_size, 1)


class Conv(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for s in self.steps:
            x_BTV = x_BTV + s.conv_scale * blocks.causal_conv(self.rho(x_BTV), s.conv)
            x_BTV = x_BTV + s.op_scale * s.register_op(self.rho(x_BTV), self.table)
        return x_BTV
