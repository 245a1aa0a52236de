"""v13_with_embedding in PyTorch eager, the control: the steps of v12 behind a factored input embedding, x = rho(E_u U^T)."""

from dataclasses import dataclass

from torch.nn import functional as F

import v12_vocab_slice
from blocks import dense


@dataclass
class Config(v12_vocab_slice.Config):
    embed_dim: int = 128


class WithEmbedding(v12_vocab_slice.VocabSlice):
    Config = Config

    def __init__(self, config):
        super().__init__(config)
        self.tok_embed = dense(config.embed_dim, config.vocab_size)  # a table [V, e]
        self.embed_up = dense(config.embed_dim, config.vocab_size)

    def embed(self, ids_BT):
        return self.embed_up(F.embedding(ids_BT, self.tok_embed.weight)).to(self.logit_scale.dtype)
