"""v15_aux_loss in PyTorch eager: the slice steps of v12, written in proportion to how undecided the state is, kept sparse, each scored.

  eta = max(floor, H(softmax(head(x))) / ln V), without a gradient
  x <- x + scatter(eta o, write), o of v12's step;   x <- x m,   m = the sparsity_k largest |x_v| of the position
  L = L_{N-1} + w sum_i decay^(N-1-i) L_i,   L_i of the head on the state after step i
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

import blocks
from blocks import Activated, Common, Scored, SliceStep, cross_entropy


@dataclass
class Config(Common, Activated, Scored):
    num_steps: int = 8
    k_active: int = 256
    inner_mul: int = 2
    sparsity_k: int = 128
    aux_loss_weight: float = 0.1
    aux_loss_decay: float = 0.9
    decay_init: float = 3.0
    entropy_floor: float = 0.1
    v15_entropy: bool = False  # the published entropy of softmax(x) without a floor, which stops all writes


class AuxLoss(blocks.Skeleton):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.steps = nn.ModuleList(SliceStep(config, i, config.num_steps) for i in range(config.num_steps))

    @torch.no_grad()
    def undecided(self, x_BTV):
        published = self.config.v15_entropy
        P_BTV = torch.softmax(x_BTV if published else self.head(x_BTV), dim=-1)
        entropy_BT1 = -(P_BTV * torch.log(P_BTV + 1e-8)).sum(-1, keepdim=True) / math.log(self.config.vocab_size)
        return entropy_BT1 if published else entropy_BT1.clamp(min=self.config.entropy_floor)

    @torch.no_grad()
    def largest(self, x_BTV):
        """1 at the sparsity_k entries that are largest in size; of equal ones, which is up to topk."""
        kept = torch.topk(x_BTV.abs(), self.config.sparsity_k, dim=-1).indices
        return torch.zeros_like(x_BTV).scatter_(-1, kept, 1.0)

    def states(self, x_BTV):
        for step in self.steps:
            x_BTV = x_BTV + step(x_BTV, self.undecided(x_BTV))
            if self.config.sparsity_k < self.config.vocab_size:
                x_BTV = x_BTV * self.largest(x_BTV)
            yield x_BTV

    def run(self, x_BTV):
        return list(self.states(x_BTV))[-1]

    def training_loss(self, ids_BT, targets_BT):
        if not self.training or self.config.aux_loss_weight <= 0:
            return super().training_loss(ids_BT, targets_BT)
        losses = [cross_entropy(self.head(x_BTV), targets_BT) for x_BTV in self.states(self.rho(self.embed(ids_BT)))]
        decay = self.config.aux_loss_decay
        return losses[-1] + self.config.aux_loss_weight * sum(decay**i * loss for i, loss in enumerate(reversed(losses)))
