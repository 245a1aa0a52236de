"""v12_vocab_slice in PyTorch eager: each step reads one window of the vocabulary, works on it and writes to another.

  g = x[read];  g <- g + mem_scale Mem(rho_k(g));  o = write_scale / sqrt(k) act(rho_k(g) W_down^T + b) W_up^T;   x <- x + scatter(o, write)
"""

from dataclasses import dataclass

from torch import nn

import blocks
from blocks import Activated, Common, Scored, SliceStep


@dataclass
class Config(Common, Activated, Scored):
    num_steps: int = 8
    k_active: int = 256
    inner_mul: int = 2
    decay_init: float = 3.0
    parallel_waves: bool = False  # the published grouping, even where it changes the function


class VocabSlice(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(SliceStep(config, i, config.num_steps) for i in range(config.num_steps))
        self.groups = blocks.waves(self.steps) if config.parallel_waves else [[i] for i in range(config.num_steps)]

    def run(self, x_BTV):
        for group in self.groups:  # members of a group read the same state
            x_BTV = x_BTV + sum(self.steps[i](x_BTV) for i in group)
        return x_BTV
