"""v8_lowrank_vv in PyTorch eager: a recurrent language model whose residual state is as wide as the vocabulary.

A step has two residual half-steps, each on the normalised state z = rho(x):
  x <- x + mu * s_p * sum_{s<t} lambda^(t-s-1) <q z_t, k z_s> z_s      lambda = sigmoid(decay_logit)
  x <- x + nu * s_w * act((z U) V^T + z diag + bias)
"""

from dataclasses import dataclass

from torch import nn

import blocks
from blocks import Activated, Common, Scored, matrix, scalar, vector


@dataclass
class Config(Common, Activated, Scored):
    num_hops: int = 8
    interaction_rank: int = 8
    decay_init: float = 3.0


class Propagation(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.q_scale = vector(config.vocab_size, 1)
        self.k_scale = vector(config.vocab_size, 1)
        self.decay_logit = scalar(config.decay_init)
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV):
        o_BTV = blocks.decay_attention(z_BTV * self.q_scale, z_BTV * self.k_scale, z_BTV, self.decay_logit, self.config)
        return self.out_scale * o_BTV


class Interaction(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.U = matrix(config.vocab_size, config.interaction_rank)
        self.V = matrix(config.vocab_size, config.interaction_rank)
        self.diag = vector(config.vocab_size, 0)
        self.bias = vector(config.vocab_size, 0)
        self.out_scale = scalar(0.1)
        self.activation = blocks.activation(config.activation)

    def forward(self, z_BTV):
        return self.out_scale * self.activation((z_BTV @ self.U) @ self.V.T + z_BTV * self.diag + self.bias)


class Hop(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.propagation = Propagation(config)
        self.interaction = Interaction(config)
        self.prop_scale = vector(1, 1)
        self.interact_scale = vector(1, 1)


class LowRankVV(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.hops = nn.ModuleList(Hop(config) for _ in range(config.num_hops))

    def run(self, x_BTV):
        for hop in self.hops:
            x_BTV = x_BTV + hop.prop_scale * hop.propagation(self.rho(x_BTV))
            x_BTV = x_BTV + hop.interact_scale * hop.interaction(self.rho(x_BTV))
        return x_BTV
