"""v10_state_cond_op in PyTorch eager: a small code of the state decides what it reads, which operation runs and what it writes.

  h = rho(x) E_c^T;   h <- h + mu DLA(h W_q^T, h W_k^T, h W_v^T; sigmoid(delta))
  p = gelu(h P_1^T + b_1) P_2^T + b_2 = (read, op, write);   r = softmax(read), pi = softmax(op), g = sigmoid(write)
  x <- x + alpha (g sum_j pi_j phi_j((h r) O_j^T)) E_x^T
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Common, Scored, dense, scalar


@dataclass
class Config(Common, Scored):
    num_steps: int = 8
    state_dim: int = 64
    n_ops: int = 8
    decay_init: float = 3.0


PHI = [F.gelu, F.relu, lambda z: F.relu(z).square(), F.silu, torch.tanh, torch.sigmoid, lambda z: z, torch.neg]


class OpBank(nn.Module):
    def __init__(self, config):
        super().__init__()
        if config.n_ops > len(PHI):
            raise SystemExit(f"n_ops={config.n_ops}: there are {len(PHI)} functions")
        self.op_transforms = nn.ModuleList(dense(config.state_dim, config.state_dim) for _ in range(config.n_ops))

    def forward(self, y_BTD, pi_BTn):
        return sum(pi_BTn[..., j, None] * PHI[j](O(y_BTD)) for j, O in enumerate(self.op_transforms))


class Policy(nn.Module):
    def __init__(self, config):
        super().__init__()
        d = config.state_dim
        self.net = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, 2 * d + config.n_ops))
        for layer in (self.net[0], self.net[2]):
            nn.init.normal_(layer.weight, std=0.02)  # the biases keep U(-1/sqrt(in), 1/sqrt(in))
        self.parts = [d, config.n_ops, d]

    def forward(self, h_BTD):
        read, op, write = self.net(h_BTD).split(self.parts, dim=-1)
        return torch.softmax(read, dim=-1), torch.softmax(op, dim=-1), torch.sigmoid(write)


class Step(nn.Module):
    def __init__(self, config):
        super().__init__()
        V, d = config.vocab_size, config.state_dim
        self.compress, self.expand = dense(V, d), dense(d, V)
        self.policy = Policy(config)
        self.mem_q, self.mem_k, self.mem_v = (dense(d, d) for _ in range(3))
        self.decay_logit = scalar(config.decay_init)
        self.mem_scale = scalar(0.1)
        self.act_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV, bank):
        h_BTD = self.compress(z_BTV)
        attended = blocks.decay_attention(self.mem_q(h_BTD), self.mem_k(h_BTD), self.mem_v(h_BTD), self.decay_logit, self.config)
        h_BTD = h_BTD + self.mem_scale * attended
        r_BTD, pi_BTn, g_BTD = self.policy(h_BTD)
        return self.act_scale * self.expand(g_BTD * bank(h_BTD * r_BTD, pi_BTn))


class StateCondOp(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.op_bank = OpBank(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for step in self.steps:
            x_BTV = x_BTV + step(self.rho(x_BTV), self.op_bank)
        return x_BTV
