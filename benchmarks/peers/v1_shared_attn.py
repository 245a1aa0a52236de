"""v1_shared_attn in PyTorch eager: softmax attention whose weights all steps share, then a mix of smooth channels.

  x <- x + a_i Attn(rho(x)):  q = g_h rot(rho(z W_q^T)), k = rot(rho(z W_k^T)), v = z W_v^T, softmax over s <= t of q.k / sqrt(D), W_o
  x <- x + o_i s act((z R_i) M_i + b_i) W_i^T
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import Activated, ChannelMix, Common, Fourier, Normed, TableSkeleton


@dataclass
class Config(Common, Activated, Fourier):
    num_steps: int = 8
    num_heads: int = 8
    num_kv_heads: int = 4
    rope_base: float = 1e4
    qk_gain_init: float = 1.5


def uniform(inputs, outputs):
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.uniform_(layer.weight, -(inputs**-0.5), inputs**-0.5)
    return layer


class Attention(Normed):
    def __init__(self, config):
        super().__init__(config)
        V, self.H, self.G = config.vocab_size, config.num_heads, config.num_kv_heads
        if V % (2 * self.H) or self.H % self.G:
            raise SystemExit(f"a vocabulary of {V}, {self.H} heads, {self.G} key heads: wanted V a multiple of 2 heads, heads one of key heads")
        self.D = V // self.H
        self.q_proj = uniform(V, V)
        self.k_proj = uniform(V, self.G * self.D)
        self.v_proj = uniform(V, self.G * self.D)
        self.out_proj = uniform(V, V)
        nn.init.zeros_(self.out_proj.weight)
        self.q_gain = blocks.vector(self.H, config.qk_gain_init)

    def rotation(self, like_BTV):
        """cos and sin of t base^(-2i/D), [T, D/2]: angles in double, rounded last."""
        device = like_BTV.device
        frequency = self.config.rope_base ** (torch.arange(0, self.D, 2, device=device, dtype=torch.float64) / -self.D)
        angle = torch.arange(like_BTV.shape[1], device=device, dtype=torch.float64)[:, None] * frequency
        return angle.cos().to(like_BTV.dtype), angle.sin().to(like_BTV.dtype)

    def rotate(self, z_BHTD, rotation):
        """Pairs (z_i, z_{i+D/2}) turn clockwise."""
        cos, sin = rotation
        a, b = z_BHTD.chunk(2, dim=-1)
        return torch.cat([a * cos + b * sin, b * cos - a * sin], dim=-1)

    def forward(self, z_BTV, rotation):
        B, T, V = z_BTV.shape
        q, k, v = (p(z_BTV).view(B, T, n, self.D).transpose(1, 2) for p, n in ((self.q_proj, self.H), (self.k_proj, self.G), (self.v_proj, self.G)))
        q, k = (self.rotate(self.rho(y), rotation) for y in (q, k))
        o = F.scaled_dot_product_attention(q * self.q_gain[:, None, None], k, v.to(k.dtype), is_causal=True, enable_gqa=True)
        return self.out_proj(o.transpose(1, 2).reshape(B, T, V))


class SharedAttn(TableSkeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.attn = Attention(config)
        act = blocks.activation(config.activation)
        self.ops = nn.ModuleList(ChannelMix(config.n_channels, 2 * config.n_fourier_basis, act) for _ in range(config.num_steps))
        self.attn_scales = nn.Parameter(torch.ones(config.num_steps, config.vocab_size))
        self.op_scales = nn.Parameter(torch.ones(config.num_steps, config.vocab_size))

    def run(self, x_BTV):
        rotation = self.attn.rotation(x_BTV)
        for i, op in enumerate(self.ops):
            x_BTV = x_BTV + self.attn_scales[i] * self.attn(self.rho(x_BTV), rotation)
            x_BTV = x_BTV + self.op_scales[i] * op(self.rho(x_BTV), self.table)
        return x_BTV
