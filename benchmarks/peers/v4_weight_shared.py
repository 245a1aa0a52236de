"""v4_weight_shared in PyTorch eager: few unique steps, each invoked several times; cosine attention with queries and keys shared by all.

  q = unit(z Q), k = unit(z K), v = z Phi A_v^T,    Q = Phi A_Q^T, K = Phi A_K^T,   z = rho(x);   invocation n of step u
  x <- x + w_mem[n] mu_u s_u concat_h DLA(q_h, k_h, v_h; sigmoid(delta_u,h + Delta_n,h)) (Phi A_o^T)^T
  x <- x + w_op[n] nu_u s act((z R) diag + ((z R) P_down) P_up + b) (Phi A_w^T)^T,   R = softmax_v(Phi A_r^T)
  x <- w_out[n] x
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Activated, Common, Fourier, MemoryStep, Scored, Smooth, TableSkeleton, matrix, scalar, vector


@dataclass
class Config(Common, Activated, Fourier, Scored):
    unique_steps: int = 5
    invocations_per_step: int = 2
    n_heads: int = 4
    transform_rank: int = 8
    decay_init: float = 3.0  # sets nothing, as in the published constructor


class Memory(nn.Module):
    def __init__(self, config):
        super().__init__()
        size = config.n_channels, 2 * config.n_fourier_basis
        self.value_proj, self.output_proj = Smooth(*size), Smooth(*size)
        self.decay_logits = nn.Parameter(torch.linspace(1, 5, config.n_heads))
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV, Q_VC, K_VC, override_H, table):
        def heads(y_BTC):
            return y_BTC.unflatten(-1, (self.config.n_heads, -1)).transpose(1, 2)

        q, k = (heads(F.normalize(z_BTV @ M_VC, dim=-1, eps=1e-12)) for M_VC in (Q_VC, K_VC))
        v = heads(z_BTV @ self.value_proj(table))
        o_BHTD = blocks.decay_attention(q, k, v, self.decay_logits + override_H, self.config)
        return self.out_scale * (o_BHTD.transpose(1, 2).flatten(2) @ self.output_proj(table).T)


class FactoredMix(nn.Module):
    def __init__(self, config):
        super().__init__()
        C, F2 = config.n_channels, 2 * config.n_fourier_basis
        self.read_coeffs, self.write_coeffs = matrix(C, F2), matrix(C, F2)
        self.diag = vector(C, 0.02)
        self.mix_down, self.mix_up = matrix(C, config.transform_rank), matrix(config.transform_rank, C)
        self.bias = vector(C, 0)
        self.out_scale = scalar(0.1)
        self.act = blocks.activation(config.activation)

    def forward(self, z_BTV, table):
        y_BTC = z_BTV @ torch.softmax(table @ self.read_coeffs.T, dim=0)
        h_BTC = self.act(y_BTC * self.diag + (y_BTC @ self.mix_down) @ self.mix_up + self.bias)
        return self.out_scale * (h_BTC @ (table @ self.write_coeffs.T).T)


class Step(MemoryStep):
    def __init__(self, config):
        super().__init__(config, Memory(config), FactoredMix(config))

    def forward(self, x_BTV, Q_VC, K_VC, override_H, weights, table):
        """`override_H`, `weights` (w_mem, w_op, w_out): of this invocation."""
        w_mem, w_op, w_out = weights
        x_BTV = x_BTV + w_mem * self.mem_scale * self.memory(self.rho(x_BTV), Q_VC, K_VC, override_H, table)
        x_BTV = x_BTV + w_op * self.op_scale * self.register_op(self.rho(x_BTV), table)
        return w_out * x_BTV


class WeightShared(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        if config.n_channels % config.n_heads:
            raise SystemExit(f"n_heads={config.n_heads} does not divide n_channels={config.n_channels}")
        size, invocations = (config.n_channels, 2 * config.n_fourier_basis), config.unique_steps * config.invocations_per_step
        self.shared_query_proj, self.shared_key_proj = Smooth(*size), Smooth(*size)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.unique_steps))
        self.inv_decay_overrides = nn.ParameterList(vector(config.n_heads, 0) for _ in range(invocations))
        self.inv_mem_scale_override = vector(invocations, 1)
        self.inv_op_scale_override = vector(invocations, 1)
        self.inv_out_scale_override = vector(invocations, 1)

    def run(self, x_BTV):
        Q_VC, K_VC = self.shared_query_proj(self.table), self.shared_key_proj(self.table)
        weights = zip(self.inv_mem_scale_override, self.inv_op_scale_override, self.inv_out_scale_override)
        for n, (override_H, weights_n) in enumerate(zip(self.inv_decay_overrides, weights)):
            step = self.steps[n // self.config.invocations_per_step]
            x_BTV = step(x_BTV, Q_VC, K_VC, override_H, weights_n, self.table)
        return x_BTV
