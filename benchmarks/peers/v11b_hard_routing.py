"""v11b_hard_routing in PyTorch eager: attention at three time scales, an MLP whose activation each position chooses, and halting.

  x <- x + mu s_a (sum_a pi_a DLA(z W_q^T, z W_ka^T, z W_va^T; sigmoid(delta_a))) W_o^T,   pi = softmax(z W_sg^T),   z = rho(x)
  x <- x + nu s_t (sum_i e_i psi_i(z W_d^T + b)) W_u^T,   e = one-hot argmax((z W_act^T + Gumbel) / tau), straight through
  training: beta = R p, R <- R (1 - p), at the last step beta = R;   x = sum beta x;   loss + lambda mean(sum R)
  evaluation: a position keeps its state once p > theta;   p = sigmoid(x w_h + b_h)
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

import blocks
from blocks import AttentionStep, Bottleneck, Common, Scored, cross_entropy, dense, scalar


@dataclass
class Config(Common, Scored):
    num_steps: int = 8
    state_dim: int = 64
    inner_dim: int = 128
    tau: float = 1.0
    halt_threshold: float = 0.5
    ponder_lambda: float = 0.01
    gumbel_scale: float = 1.0  # factor on the routing noise of training; evaluation has none


PSI = [F.gelu, F.relu, F.silu, torch.tanh]


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        V, d = config.vocab_size, config.state_dim
        self.q_proj, self.o_proj = dense(V, d), dense(d, V)
        self.k_projs, self.v_projs = (nn.ModuleList(dense(V, d) for _ in range(3)) for _ in range(2))
        self.decay_logits = nn.ParameterList(scalar(value) for value in (0, 3, 5))
        self.scale_gate = dense(V, 3)
        self.out_scale = scalar(0.1)
        self.config = config

    def forward(self, z_BTV):
        q, pi_BT3 = self.q_proj(z_BTV), torch.softmax(self.scale_gate(z_BTV), dim=-1)
        scales = zip(pi_BT3.split(1, dim=-1), self.k_projs, self.v_projs, self.decay_logits)
        o_BTD = sum(pi * blocks.decay_attention(q, k(z_BTV), v(z_BTV), delta, self.config) for pi, k, v, delta in scales)
        return self.out_scale * self.o_proj(o_BTD)


class Transform(Bottleneck):
    def __init__(self, config):
        super().__init__(config)
        self.out_scale = scalar(0.1)
        self.act_selector = dense(config.vocab_size, len(PSI))
        self.config = config

    def route(self, a_BT4):
        if self.training and self.config.gumbel_scale > 0:
            a_BT4 = a_BT4 - self.config.gumbel_scale * torch.empty_like(a_BT4, dtype=self.bias.dtype).exponential_().log()
        y_BT4 = torch.softmax(a_BT4 / self.config.tau, dim=-1)
        e_BT4 = F.one_hot(y_BT4.argmax(dim=-1), len(PSI)).to(y_BT4.dtype)
        return e_BT4 - y_BT4.detach() + y_BT4

    def forward(self, z_BTV):
        u_BTM = self.inner(z_BTV)
        routes = self.route(self.act_selector(z_BTV)).split(1, dim=-1)
        return self.out_scale * self.up(sum(e * psi(u_BTM) for e, psi in zip(routes, PSI)))


class Step(AttentionStep):
    def __init__(self, config):
        super().__init__(config, Attention(config), Transform(config))


class Halting(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.halt_proj = dense(config.vocab_size, 1, std=0.01, bias=-2.0)

    def forward(self, x_BTV):
        return torch.sigmoid(self.halt_proj(x_BTV))


class HardRouting(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(Step(config) for _ in range(config.num_steps))
        self.halting = Halting(config)

    def mixture(self, x_BTV):
        """(sum of beta x, sum of R)."""
        R, A, P = torch.ones_like(x_BTV[..., :1]), 0, 0
        for n, step in enumerate(self.steps):
            x_BTV = step(x_BTV)
            beta = R
            if n + 1 < len(self.steps):
                p = self.halting(x_BTV)
                beta, R = R * p, R * (1 - p)
            A, P = A + beta * x_BTV, P + R
        return A, P

    def until_halted(self, x_BTV):
        halted = torch.zeros_like(x_BTV[..., :1], dtype=torch.bool)
        for step in self.steps:
            x_BTV = torch.where(halted, x_BTV, step(x_BTV))
            halted = halted | (self.halting(x_BTV) > self.config.halt_threshold)
        return x_BTV

    def run(self, x_BTV):
        return self.mixture(x_BTV)[0] if self.training else self.until_halted(x_BTV)

    def training_loss(self, ids_BT, targets_BT):
        if not self.training:
            return super().training_loss(ids_BT, targets_BT)
        mixed_BTV, expected_depth = self.mixture(self.rho(self.embed(ids_BT)))
        return cross_entropy(self.head(mixed_BTV), targets_BT) + self.config.ponder_lambda * expected_depth.mean()
