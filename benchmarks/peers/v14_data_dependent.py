"""v14_data_dependent in PyTorch eager: a gated convolution, attention in a window whose keys fade at rates of their own, cosine channels.

  x <- x + conv_scale Conv(z) mean_j sigmoid(z G_j),                            z = rho(x)
  g = x[read];  g <- g + mem_scale s KDA(z W_q^T / sqrt(k), z W_k^T, z W_v^T; sigmoid(z w^T + b)) W_o^T,   z = rho_k(g)
  x <- x + FCM_Psi(rho(x))
  x <- x + scatter(write_scale / sqrt(k) rho_k(g), write)
"""

from dataclasses import dataclass

import torch
from torch import nn

import blocks
from blocks import Activated, ChannelMix, Common, Fourier, Scored, TableSkeleton, WindowStep, dense, scalar, vector


@dataclass
class Config(Common, Activated, Fourier, Scored):
    num_steps: int = 8
    k_active: int = 256
    kernel_size: int = 16
    decay_init: float = 3.0


class GatedConv(nn.Conv1d):
    def __init__(self, config):
        V, kernel = config.vocab_size, config.kernel_size
        super().__init__(V, V, kernel, groups=V)
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)
        self.gate_weight = nn.Parameter(torch.zeros(kernel, V))

    def gated(self, z_BTV):
        gate_BT1 = torch.sigmoid(z_BTV @ self.gate_weight.T).mean(-1, keepdim=True)
        return blocks.causal_conv(z_BTV, self) * gate_BT1


class Memory(nn.Module):
    def __init__(self, config):
        super().__init__()
        k = config.k_active
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (dense(k, k) for _ in range(4))
        self.decay_proj = dense(k, 1, std=0.0, bias=config.decay_init)
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, g_BTk):
        lambda_BT1 = torch.sigmoid(self.decay_proj(g_BTk).to(self.out_scale.dtype))  # near 1, where bfloat16 has four values
        q, k, v = self.q_proj(g_BTk), self.k_proj(g_BTk), self.v_proj(g_BTk)
        o_BTk = blocks.key_decay_attention(q, k, v, lambda_BT1, self.config, self.config.k_active**-0.5)
        return self.out_scale * self.o_proj(o_BTk)


class Step(WindowStep):
    def __init__(self, config, i):
        super().__init__(config, i, config.num_steps)
        self.conv = GatedConv(config)
        self.memory = Memory(config)
        self.register_op = ChannelMix(config.n_channels, config.n_fourier_basis, blocks.activation(config.activation))
        self.conv_scale = vector(config.vocab_size, 1)
        self.mem_scale = vector(1, 1)
        self.write_scale = scalar(0.1)


class DataDependent(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config, blocks.cosine_table)
        self.steps = nn.ModuleList(Step(config, i) for i in range(config.num_steps))

    def run(self, x_BTV):
        for s in self.steps:
            x_BTV = x_BTV + s.conv_scale * s.conv.gated(self.rho(x_BTV))
            g_BTk = s.recall(x_BTV)
            x_BTV = x_BTV + s.register_op(self.rho(x_BTV), self.table)
            x_BTV = x_BTV + s.delta(self.rho(g_BTk))
        return x_BTV
