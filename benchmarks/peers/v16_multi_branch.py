"""v16_multi_branch in PyTorch eager: columns of slice steps, each with a gated bundle of small MLPs, then a vote over the columns.

  g = x[read];  g <- g + mem_scale Mem(rho_k(g));   z = rho_k(g)
  x <- x + scatter(write_scale / sqrt(k) sum_b softmax(z G^T + c)_b act(z D_b^T + bias) U_b^T, write)
  w = softmax(c - I sg[c]);   x = sum_c w_c x^(c)
"""

from dataclasses import dataclass

import torch
from torch import nn

import blocks
from blocks import Activated, Common, Scored, SliceMemory, WindowStep, dense, scalar, vector


@dataclass
class Config(Common, Activated, Scored):
    num_columns: int = 4
    steps_per_column: int = 3
    k_active: int = 256
    inner_mul: int = 2
    n_branches: int = 4
    decay_init: float = 3.0
    n_fourier_basis: int = 16  # these two set nothing, as in the published constructor
    n_channels: int = 128


class Branches(nn.Module):
    def __init__(self, config):
        super().__init__()
        k, n = config.k_active, config.k_active * config.inner_mul // config.n_branches
        self.branch_down = nn.ModuleList(dense(k, n, std=0.1) for _ in range(config.n_branches))
        self.branch_up = nn.ModuleList(dense(n, k, std=0.1) for _ in range(config.n_branches))
        self.bias = vector(n, 0)
        self.gate_proj = dense(k, config.n_branches, std=0.0, bias=1.0)
        self.act = blocks.activation(config.activation)

    def forward(self, z_BTk):
        gates = torch.softmax(self.gate_proj(z_BTk), dim=-1).split(1, dim=-1)
        return sum(gate * up(self.act(down(z_BTk) + self.bias)) for gate, down, up in zip(gates, self.branch_down, self.branch_up))


class Step(WindowStep):
    def __init__(self, config, i):
        super().__init__(config, i, config.num_columns * config.steps_per_column)
        self.memory = SliceMemory(config)
        self.mlp = Branches(config)
        self.mem_scale = vector(1, 1)
        self.write_scale = scalar(0.1)

    def forward(self, x_BTV):
        return self.delta(self.mlp(self.rho(self.recall(x_BTV))))


class Column(nn.Module):
    def __init__(self, config, c):
        super().__init__()
        self.steps = nn.ModuleList(Step(config, i * config.num_columns + c) for i in range(config.steps_per_column))
        self.confidence = scalar(0)

    def forward(self, x_BTV):
        for step in self.steps:
            x_BTV = x_BTV + step(x_BTV)
        return x_BTV


class MultiBranch(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.columns = nn.ModuleList(Column(config, c) for c in range(config.num_columns))
        self.inhibition = nn.Parameter(torch.zeros(config.num_columns, config.num_columns))

    def run(self, x_BTV):
        states = [column(x_BTV) for column in self.columns]
        c_P = torch.stack([column.confidence for column in self.columns])
        w_P = torch.softmax(c_P - self.inhibition @ c_P.detach(), dim=0)
        return sum(w * state for w, state in zip(w_P, states))
