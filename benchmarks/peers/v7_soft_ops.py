"""v7_soft_ops in PyTorch eager: a program of instructions, each a soft mixture over one shared bank of channel maps.

  x <- x + mu s_m DLA(z Phi A_q^T, z Phi A_k^T, z Phi A_v^T; sigmoid(delta)) (Phi A_o^T)^T,            z = rho(x)
  x <- x + nu s (sum_i softmax(l)_i phi_i((z R) W_i + b_i)) (Phi A_w^T)^T,   R = softmax_v(Phi A_r^T)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Common, Fourier, Scored, TableSkeleton, matrix, scalar, vector


@dataclass
class Config(Common, Fourier, Scored):
    num_instructions: int = 8
    n_ops: int = 8
    decay_init: float = 3.0


PHI = [lambda z: z, F.relu, F.gelu, torch.square, torch.neg, torch.abs, torch.tanh, torch.sigmoid]


class OpBank(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.op_weights = matrix(config.n_ops, config.n_channels, config.n_channels)
        self.op_biases = nn.Parameter(torch.zeros(config.n_ops, config.n_channels))

    def forward(self, y_BTC, pi_n):
        hidden = torch.einsum("btc,ncd->nbtd", y_BTC, self.op_weights) + self.op_biases[:, None, None, :]
        return sum(pi_n[i] * PHI[i % len(PHI)](h_BTC) for i, h_BTC in enumerate(hidden))


class Memory(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.n_channels, 2 * config.n_fourier_basis
        self.q_coeffs, self.k_coeffs, self.v_coeffs, self.o_coeffs = (matrix(*size) for _ in range(4))
        self.decay_logit = scalar(config.decay_init)
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV, table):
        q, k, v = (z_BTV @ (table @ A_CF.T) for A_CF in (self.q_coeffs, self.k_coeffs, self.v_coeffs))
        return self.out_scale * (blocks.decay_attention(q, k, v, self.decay_logit, self.config) @ (table @ self.o_coeffs.T).T)


class Instruction(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.n_channels, 2 * config.n_fourier_basis
        self.read_coeffs, self.write_coeffs = matrix(*size), matrix(*size)
        self.op_logits = vector(config.n_ops, 0)
        self.out_scale = scalar(0.1)

    def forward(self, z_BTV, table, bank):
        y_BTC = z_BTV @ torch.softmax(table @ self.read_coeffs.T, dim=0)
        mixed_BTC = bank(y_BTC, torch.softmax(self.op_logits, dim=0))
        return self.out_scale * (mixed_BTC @ (table @ self.write_coeffs.T).T)


class Step(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.memory = Memory(config)
        self.instruction = Instruction(config)
        self.mem_scale = vector(1, 1)
        self.op_scale = vector(1, 1)


class SoftOps(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.op_bank = OpBank(config)
        self.program = nn.ModuleList(Step(config) for _ in range(config.num_instructions))

    def run(self, x_BTV):
        for s in self.program:
            x_BTV = x_BTV + s.mem_scale * s.memory(self.rho(x_BTV), self.table)
            x_BTV = x_BTV + s.op_scale * s.instruction(self.rho(x_BTV), self.table, self.op_bank)
        return x_BTV
