"""v5_fft_linattn in PyTorch eager: reads and writes the vocabulary vector through its lowest frequencies.

  x <- x + mu s_m syn(DLA(xi A_q^T, xi A_k^T, xi A_v^T; sigmoid(delta)) A_o),   xi = (Re X_1..n, Im X_1..n) of z = rho(x)
  x <- x + nu s_o syn(act(xi R^T M + b) W^T)
syn is the inverse real transform with only the bins 1..n filled.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Activated, Common, DenseRecall, MemoryStep, Scored, dense, matrix, scalar, vector


@dataclass
class Config(Common, Activated, Scored):
    num_steps: int = 8
    n_freq: int = 16
    n_channels: int = 128
    decay_init: float = 3.0


def spectrum(z_BTV, n):
    """[B, T, 2n]: all real parts, then all imaginary parts, in float32 or wider."""
    bins = torch.fft.rfft(z_BTV)[..., 1 : n + 1]
    return torch.cat([bins.real, bins.imag], dim=-1)


def synthesis(y_BT2n, vocabulary):
    real, imaginary = y_BT2n.to(torch.promote_types(y_BT2n.dtype, torch.float32)).chunk(2, dim=-1)
    return torch.fft.irfft(F.pad(torch.complex(real, imaginary), (1, 0)), n=vocabulary)


class Memory(DenseRecall):
    def __init__(self, config):
        super().__init__(config, 2 * config.n_freq, config.n_channels)
        self.o_proj = dense(2 * config.n_freq, config.n_channels)  # as the other three, but acting from the right

    def forward(self, z_BTV):
        xi_BTF = spectrum(z_BTV, self.config.n_freq)
        return self.out_scale * synthesis(self.recall(xi_BTF) @ self.o_proj.weight, self.config.vocab_size)


class SpectralMix(nn.Module):
    def __init__(self, config):
        super().__init__()
        C, F2 = config.n_channels, 2 * config.n_freq
        self.freq_to_ch = matrix(C, F2)
        self.channel_mix = matrix(C, C)
        self.bias = vector(C, 0)
        self.ch_to_freq = matrix(F2, C)
        self.out_scale = scalar(0.1)
        self.config = config
        self.act = blocks.activation(config.activation)

    def forward(self, z_BTV):
        xi_BTF = spectrum(z_BTV, self.config.n_freq)
        h_BTC = self.act((xi_BTF @ self.freq_to_ch.T) @ self.channel_mix + self.bias)
        return self.out_scale * synthesis(h_BTC @ self.ch_to_freq.T, self.config.vocab_size)


class Step(MemoryStep):
    def __init__(self, config):
        super().__init__(config, Memory(config), SpectralMix(config))


class FFTLinAttn(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        if config.n_freq > config.vocab_size // 2:
            raise SystemExit(f"n_freq={config.n_freq}: a vocabulary of {config.vocab_size} has {config.vocab_size // 2} frequencies")
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))

    def run(self, x_BTV):
        for step in self.steps:
            x_BTV = step(x_BTV)
        return x_BTV
