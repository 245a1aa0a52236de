"""The decoder `gpt2` in PyTorch eager: pre-norm blocks of causal attention and a gelu MLP, learned positions, tied output matrix."""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    vocab_size: int = 1024
    n_layer: int = 4
    n_head: int = 4
    n_embd: int = 256
    max_seq_len: int = 256


def linear(inputs, outputs):
    """A matrix from N(0, 0.02^2) with a bias from U(-1/sqrt(in), 1/sqrt(in))."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.02)
    bound = 1.0 / math.sqrt(inputs)
    nn.init.uniform_(layer.bias, -bound, bound)
    return layer


def embedding(count, width):
    table = nn.Embedding(count, width)
    nn.init.normal_(table.weight, std=0.02)
    return table


class Attention(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.qkv = linear(config.n_embd, 3 * config.n_embd)
        self.out = linear(config.n_embd, config.n_embd)
        self.n_head = config.n_head

    def forward(self, x_BTC):
        batch, length, width = x_BTC.shape
        q, k, v = (
            part.view(batch, length, self.n_head, width // self.n_head).transpose(1, 2) for part in self.qkv(x_BTC).split(width, dim=-1)
        )
        y_BHTD = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y_BHTD.transpose(1, 2).reshape(batch, length, width))


class MLP(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc1 = linear(config.n_embd, 4 * config.n_embd)
        self.fc2 = linear(4 * config.n_embd, config.n_embd)

    def forward(self, x_BTC):
        return self.fc2(F.gelu(self.fc1(x_BTC), approximate="tanh"))


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.ln1 = nn.LayerNorm(config.n_embd)
        self.attn = Attention(config)
        self.ln2 = nn.LayerNorm(config.n_embd)
        self.mlp = MLP(config)

    def forward(self, x_BTC):
        x_BTC = x_BTC + self.attn(self.ln1(x_BTC))
        return x_BTC + self.mlp(self.ln2(x_BTC))


class GPT2(nn.Module):
    Config = Config

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.token_embedding = embedding(config.vocab_size, config.n_embd)
        self.position_embedding = embedding(config.max_seq_len, config.n_embd)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.n_embd)

    def forward(self, ids_BT):
        x_BTC = self.token_embedding(ids_BT) + self.position_embedding.weight[: ids_BT.shape[1]]
        for block in self.blocks:
            x_BTC = block(x_BTC)
        return F.linear(self.ln_f(x_BTC), self.token_embedding.weight)
