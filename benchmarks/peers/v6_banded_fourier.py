"""v6_banded_fourier in PyTorch eager: slow attention on low frequencies gates fast attention on high ones; channels in three bands.

  z = rho(x);  r_b = DLA(z R_q, z R_k, z R_v; sigmoid(delta_b)),  R = softmax_v(Phi_b A^T);   r_H <- sigmoid(r_L W_tg + b_tg) r_H
  x <- x + m_s s_L r_L (Phi_L A_o^T)^T + m_f s_H r_H (Phi_H A_o^T)^T
  z = rho(x);  h_b = act(z R_b M_b + c_b);  h_H <- sigmoid(h_L W_a + b_a) h_H;   x <- x + sum_b p_b t_b h_b (Phi_b A_w^T)^T
"""

from dataclasses import dataclass

import torch
from torch import nn

import blocks
from blocks import Activated, ChannelMix, Common, Fourier, Scored, Smooth, TableSkeleton, matrix, scalar, vector


@dataclass
class Config(Common, Activated, Fourier, Scored):
    num_cycles: int = 8
    slow_decay_init: float = 4.0
    fast_decay_init: float = 2.0
    band_split: tuple = (4, 4, 8)


class BandMemory(nn.Module):
    def __init__(self, config, columns, decay_init):
        super().__init__()
        self.query_proj, self.key_proj, self.value_proj, self.output_proj = (Smooth(config.n_channels, columns) for _ in range(4))
        self.decay_logit = scalar(decay_init)
        self.out_scale = scalar(0.1)
        self.config = config

    def recall(self, z_BTV, table):
        q, k, v = (z_BTV @ torch.softmax(projection(table), dim=0) for projection in (self.query_proj, self.key_proj, self.value_proj))
        return blocks.decay_attention(q, k, v, self.decay_logit, self.config)

    def write(self, r_BTC, table):
        return self.out_scale * (r_BTC @ self.output_proj(table).T)


class Cycle(nn.Module):
    def __init__(self, config):
        super().__init__()
        C, (low, mid, high), act = config.n_channels, (2 * n for n in config.band_split), blocks.activation(config.activation)
        self.slow_mem = BandMemory(config, low, config.slow_decay_init)
        self.fast_mem = BandMemory(config, high, config.fast_decay_init)
        self.low_op, self.mid_op, self.high_op = ChannelMix(C, low, act), ChannelMix(C, mid, act), ChannelMix(C, high, act)
        self.tg_gate_w, self.alpha_gate_w = matrix(C, C), matrix(C, C)
        self.tg_gate_b, self.alpha_gate_b = vector(C, 0), vector(C, 0)
        self.mem_slow_scale, self.mem_fast_scale = vector(1, 1), vector(1, 1)
        self.op_low_scale, self.op_mid_scale, self.op_high_scale = vector(1, 1), vector(1, 1), vector(1, 1)

    def remember(self, z_BTV, low, high):
        slow, fast = self.slow_mem.recall(z_BTV, low), self.fast_mem.recall(z_BTV, high)
        fast = torch.sigmoid(slow @ self.tg_gate_w + self.tg_gate_b) * fast
        return self.mem_slow_scale * self.slow_mem.write(slow, low) + self.mem_fast_scale * self.fast_mem.write(fast, high)

    def transform(self, z_BTV, low, mid, high):
        h_L, h_M, h_H = self.low_op.hidden(z_BTV, low), self.mid_op.hidden(z_BTV, mid), self.high_op.hidden(z_BTV, high)
        h_H = torch.sigmoid(h_L @ self.alpha_gate_w + self.alpha_gate_b) * h_H
        written = self.op_low_scale * self.low_op.write(h_L, low) + self.op_mid_scale * self.mid_op.write(h_M, mid)
        return written + self.op_high_scale * self.high_op.write(h_H, high)


class BandedFourier(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        if sum(config.band_split) != config.n_fourier_basis or len(config.band_split) != 3:
            raise SystemExit(f"band_split={config.band_split}: wanted three numbers with the sum n_fourier_basis={config.n_fourier_basis}")
        self.cycles = nn.ModuleList(Cycle(config) for _ in range(config.num_cycles))

    def run(self, x_BTV):
        low, mid, high = self.table.split([2 * n for n in self.config.band_split], dim=1)
        for cycle in self.cycles:
            x_BTV = x_BTV + cycle.remember(self.rho(x_BTV), low, high)
            x_BTV = x_BTV + cycle.transform(self.rho(x_BTV), low, mid, high)
        return x_BTV
