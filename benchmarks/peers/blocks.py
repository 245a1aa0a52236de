"""What the vocabulary-space peers share: the skeleton, tables over the vocabulary, attention with a decay, channel mixes, windows.

Letters: B batch, T positions, V vocabulary, C channels, F columns of a table over the vocabulary, k width of a window, h of its MLP. All rows
are row vectors: x M for a matrix M that acts from the right, x W^T for a dense layer's weight. Products run in bfloat16 under autocast; the
state keeps the parameters' type, so that the residual stream stays in float32.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Common:
    vocab_size: int = 1024
    logit_softcap: float = 30.0
    rms_eps: float = 2.0**-23


@dataclass
class Activated:
    activation: str = "gelu"


@dataclass
class Scored:
    score_scale: float = 1.0
    reversed_mask: bool = False  # the defect of early runs: position t reads s > t


@dataclass
class Fourier:
    n_fourier_basis: int = 16
    n_channels: int = 128


ACTIVATIONS = {"gelu": F.gelu, "relu": F.relu, "relu2": lambda z: F.relu(z).square(), "swish": F.silu}


def activation(name):
    if name not in ACTIVATIONS:
        raise SystemExit(f"no activation named {name!r}; there are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name]


def scalar(value):
    return nn.Parameter(torch.tensor(float(value)))


def vector(size, value):
    return nn.Parameter(torch.full((size,), float(value)))


def matrix(*shape, std=0.02):
    return nn.Parameter(std * torch.randn(*shape))


def dense(inputs, outputs, std=0.02, bias=None):
    """`bias`: its initial value; None: without one."""
    layer = nn.Linear(inputs, outputs, bias=bias is not None)
    nn.init.normal_(layer.weight, std=std)
    if bias is not None:
        nn.init.constant_(layer.bias, bias)
    return layer


def cross_entropy(logits_BTV, targets_BT):
    """Mean over all positions, in float32 or wider: half-precision logits would lose what the model computed."""
    logits = logits_BTV.flatten(0, 1)
    return F.cross_entropy(logits if logits.dtype == torch.float64 else logits.float(), targets_BT.flatten())


class Normed(nn.Module):
    """Has rho, whose epsilon is a setting of the model."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def rho(self, z):
        """z (mean(z^2) + eps)^(-1/2) over the last axis."""
        return F.rms_norm(z, z.shape[-1:], eps=self.config.rms_eps)


class Skeleton(Normed):
    """x = rho(onehot(u)); the variant's steps; logits = c tanh(gamma rho(x) / c)."""

    def __init__(self, config):
        super().__init__(config)
        self.logit_scale = scalar(1)

    def embed(self, ids_BT):
        return F.one_hot(ids_BT, self.config.vocab_size).to(self.logit_scale.dtype)

    def run(self, x_BTV):
        raise NotImplementedError

    def head(self, x_BTV):
        cap = self.config.logit_softcap
        return cap * torch.tanh(self.logit_scale * self.rho(x_BTV) / cap)

    def forward(self, ids_BT):
        return self.head(self.run(self.rho(self.embed(ids_BT))))

    def training_loss(self, ids_BT, targets_BT):
        return cross_entropy(self(ids_BT), targets_BT)


class MemoryStep(Normed):
    """x <- x + mem_scale Mem(rho(x));  x <- x + op_scale Op(rho(x)), gains of one entry; `table`: for both halves, of variants that have one."""

    def __init__(self, config, memory, register_op):
        super().__init__(config)
        self.memory, self.register_op = memory, register_op
        self.mem_scale, self.op_scale = vector(1, 1), vector(1, 1)

    def forward(self, x_BTV, *table):
        x_BTV = x_BTV + self.mem_scale * self.memory(self.rho(x_BTV), *table)
        return x_BTV + self.op_scale * self.register_op(self.rho(x_BTV), *table)


class AttentionStep(Normed):
    """x <- x + attn_scale Attn(rho(x));  x <- x + t_scale Transform(rho(x)), gains of one entry."""

    def __init__(self, config, attn, transform):
        super().__init__(config)
        self.attn, self.transform = attn, transform
        self.attn_scale, self.t_scale = vector(1, 1), vector(1, 1)

    def forward(self, x_BTV):
        x_BTV = x_BTV + self.attn_scale * self.attn(self.rho(x_BTV))
        return x_BTV + self.t_scale * self.transform(self.rho(x_BTV))


# --- tables over the vocabulary ---


def fourier_table(vocabulary, harmonics):
    """[V, 2K]: columns cos(2 pi f v / V), sin(2 pi f v / V) for f = 1..K."""
    if 2 * harmonics >= vocabulary:
        raise SystemExit(f"{harmonics} harmonics of a vocabulary of {vocabulary}: from half of it on they vanish or repeat")
    v = torch.arange(vocabulary, dtype=torch.float64)[:, None]
    angle = 2 * math.pi * torch.arange(1, harmonics + 1, dtype=torch.float64) * v / vocabulary
    return torch.stack([angle.cos(), angle.sin()], dim=-1).flatten(1).float()


def cosine_table(vocabulary, columns):
    """[V, K]: cos(pi (j + 1) (2v + 1) / (2V)) for j = 0..K-1."""
    v = torch.arange(vocabulary, dtype=torch.float64)[:, None]
    return torch.cos(math.pi * torch.arange(1, columns + 1, dtype=torch.float64) * (2 * v + 1) / (2 * vocabulary)).float()


class TableSkeleton(Skeleton):
    """The skeleton of a variant whose steps see the vocabulary through a table [V, F]: Phi of n_fourier_basis harmonics, or another."""

    def __init__(self, config, table=fourier_table):
        super().__init__(config)
        self.register_buffer("table", table(config.vocab_size, config.n_fourier_basis), persistent=False)


class Smooth(nn.Module):
    """A map between vocabulary and channels that is smooth over the vocabulary: table A^T, [V, C]."""

    def __init__(self, channels, columns):
        super().__init__()
        self.coeffs = matrix(channels, columns)

    def forward(self, table_VF):
        return table_VF @ self.coeffs.T


class ChannelMix(nn.Module):
    """s act((z R) M + b) W^T with R = softmax_v(table A_r^T) and W = table A_w^T."""

    def __init__(self, channels, columns, act):
        super().__init__()
        self.read_coeffs = matrix(channels, columns)
        self.write_coeffs = matrix(channels, columns)
        self.channel_mix = matrix(channels, channels)
        self.bias = vector(channels, 0)
        self.out_scale = scalar(0.1)
        self.act = act

    def hidden(self, z_BTV, table_VF):
        R_VC = torch.softmax(table_VF @ self.read_coeffs.T, dim=0)
        return self.act((z_BTV @ R_VC) @ self.channel_mix + self.bias)

    def write(self, h_BTC, table_VF):
        return self.out_scale * (h_BTC @ (table_VF @ self.write_coeffs.T).T)

    def forward(self, z_BTV, table_VF):
        return self.write(self.hidden(z_BTV, table_VF), table_VF)


class Bottleneck(nn.Module):
    """W_d, b and W_u of s act(z W_d^T + b) W_u^T with inner_dim entries inside; act and the name of s are a variant's own."""

    def __init__(self, config):
        super().__init__()
        self.down = dense(config.vocab_size, config.inner_dim)
        self.up = dense(config.inner_dim, config.vocab_size)
        self.bias = vector(config.inner_dim, 0)

    def inner(self, z_BTV):
        return self.down(z_BTV) + self.bias


# --- along the sequence ---


def distances(length, device, reversed_mask):
    """[T, T]: t - s - 1, negative where t may not read s."""
    position = torch.arange(length, device=device)
    distance = position[:, None] - position[None, :] - 1
    return distance.T if reversed_mask else distance


def decay_table(decay_logit, length, reversed_mask):
    """[..., T, T]: sigmoid(decay_logit)^(t-s-1) where s < t, else 0."""
    distance = distances(length, decay_logit.device, reversed_mask)
    table = torch.sigmoid(decay_logit)[..., None, None] ** distance.clamp(min=0)
    return table.masked_fill(distance < 0, 0.0)


def decay_attention(q, k, v, decay_logit, config, scale=1.0):
    """DLA: o_t = sum_{s<t} lambda^(t-s-1) (q_t.k_s) v_s on [..., T, c], lambda = sigmoid(decay_logit)."""
    factor = scale * config.score_scale
    scores = (q if factor == 1 else q * factor) @ k.transpose(-2, -1)
    return (scores * decay_table(decay_logit, q.shape[-2], config.reversed_mask)) @ v


def key_decay_attention(q, k, v, lambda_BT1, config, scale=1.0):
    """o_t = sum_{s<t} exp((t-s-1) ln(lambda_s + 1e-8)) (q_t.k_s) v_s: each key fades at its own rate."""
    distance = distances(q.shape[-2], q.device, config.reversed_mask)
    log_B1T = torch.log(lambda_BT1 + 1e-8).transpose(-2, -1)
    table_BTT = torch.exp(distance.clamp(min=0) * log_B1T).masked_fill(distance < 0, 0.0)
    return (((q * (scale * config.score_scale)) @ k.transpose(-2, -1)) * table_BTT) @ v


class DenseRecall(nn.Module):
    """DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) of codes, times `scale` in the scores; `out_scale` is the gain of what a variant makes of it."""

    def __init__(self, config, inputs, codes, scale=1.0):
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (dense(inputs, codes) for _ in range(3))
        self.decay_logit = scalar(config.decay_init)
        self.out_scale = scalar(0.1)
        self.config, self.scale = config, scale

    def recall(self, z):
        return decay_attention(self.q_proj(z), self.k_proj(z), self.v_proj(z), self.decay_logit, self.config, self.scale)


class DenseMemory(DenseRecall):
    """Mem(z) = s DLA(z W_q^T, z W_k^T, z W_v^T; sigmoid(delta)) W_o^T."""

    def __init__(self, config, inputs, codes, scale=1.0):
        super().__init__(config, inputs, codes, scale)
        self.o_proj = dense(codes, inputs)

    def forward(self, z):
        return self.out_scale * self.o_proj(self.recall(z))


def causal_conv(z_BTV, conv):
    """y_t = b + sum_j w_j z_{t-(kernel-1)+j}, channel by channel."""
    return conv(F.pad(z_BTV.transpose(1, 2), (conv.kernel_size[0] - 1, 0))).transpose(1, 2)


def depthwise(channels, kernel):
    conv = nn.Conv1d(channels, channels, kernel, groups=channels)
    nn.init.normal_(conv.weight, std=0.02)
    nn.init.zeros_(conv.bias)
    return conv


def leaky_sum(z_BTV, d_V, block=16):
    """LS: e_t = sum_{s<t} d^(t-s) z_s without ever dividing by a power of d: inside of blocks by a table, between blocks one after another."""
    batch, length, width = z_BTV.shape
    blocks = -(-length // block)
    z_VNB = F.pad(z_BTV, (0, 0, 0, blocks * block - length)).permute(2, 0, 1).reshape(width, batch * blocks, block)
    gap = distances(block, z_BTV.device, False) + 1
    # within[t, s] = d^(t-s) for s < t: what a block's own positions leave
    within_Vbb = (d_V[:, None, None] ** gap.clamp(min=0)).masked_fill(gap < 1, 0.0)
    inside = (z_VNB @ within_Vbb.transpose(1, 2)).reshape(width, batch, blocks, block)
    # carry[n]: what all blocks before n leave at the position before block n, sum_s d^(start-1-s) z_s
    to_end = d_V[:, None] ** torch.arange(block - 1, -1, -1, device=z_BTV.device)
    left = (z_VNB * to_end[:, None, :]).sum(-1).reshape(width, batch, blocks)
    over, carry = (d_V**block)[:, None], [torch.zeros_like(left[..., 0])]
    for n in range(blocks - 1):
        carry.append(carry[-1] * over + left[..., n])
    reach = d_V[:, None] ** torch.arange(1, block + 1, device=z_BTV.device)
    e = inside + torch.stack(carry, dim=-1)[..., None] * reach[:, None, None, :]
    return e.reshape(width, batch, blocks * block)[..., :length].permute(1, 2, 0)


def published_leaky_sum(z_BTV, d_V):
    """The published quotient of cumulative sums, which damps early positions of long sequences: (sum_{s<t} w_s z_s) / max(w_t, 1e-8)."""
    length = z_BTV.shape[1]
    back = torch.arange(length - 1, -1, -1, device=z_BTV.device, dtype=d_V.dtype)
    w_TV = torch.exp(back[:, None] * torch.log(d_V))
    before = F.pad(torch.cumsum(w_TV * z_BTV, dim=1)[:, :-1], (0, 0, 1, 0))
    return before / w_TV.clamp(min=1e-8)


# --- windows of the vocabulary ---


def window(first, width, vocabulary):
    """`width` neighbouring token numbers from `first` on, around the end: (first, width, vocabulary)."""
    if width > vocabulary:
        raise SystemExit(f"k_active={width} is wider than the vocabulary of {vocabulary}")
    return first % vocabulary, width, vocabulary


def windows(i, total, vocabulary, width):
    """Of step i of `total`: (read, write); a step writes half a vocabulary behind what it reads."""
    first = i * (vocabulary // total)
    return window(first, width, vocabulary), window(first + vocabulary // 2, width, vocabulary)


def read(x, at):
    first, width, vocabulary = at
    if first + width <= vocabulary:
        return x[..., first : first + width]
    return torch.cat([x[..., first:], x[..., : first + width - vocabulary]], dim=-1)


def scatter(o, at):
    """[..., k] -> [..., V], zero outside of the window."""
    first, width, vocabulary = at
    over = first + width - vocabulary
    if over <= 0:
        return F.pad(o, (first, -over))
    return torch.cat([o[..., width - over :], o.new_zeros(*o.shape[:-1], vocabulary - width), o[..., : width - over]], dim=-1)


class SliceMemory(DenseMemory):
    """Between the k entries of a window, scores over sqrt(k)."""

    def __init__(self, config):
        super().__init__(config, config.k_active, config.k_active, config.k_active**-0.5)


class WindowStep(Normed):
    """What steps on windows share: g = x[read], g <- g + mem_scale Mem(rho(g)) and delta = scatter(write_scale / sqrt(k) o, write) of a variant's o.

    `memory`, `mem_scale` and `write_scale` are a variant's to hold: parameters keep the order in which conformance files have them.
    """

    def __init__(self, config, i, total):
        super().__init__(config)
        self.read, self.write = windows(i, total, config.vocab_size, config.k_active)

    def recall(self, x_BTV):
        g_BTk = read(x_BTV, self.read)
        return g_BTk + self.mem_scale * self.memory(self.rho(g_BTk))

    def delta(self, o_BTk, share=None):
        """[B, T, V]; `share`: a factor on the write, a position each."""
        o_BTk = self.write_scale / self.config.k_active**0.5 * o_BTk
        return scatter(o_BTk if share is None else share * o_BTk, self.write)


class SliceStep(WindowStep):
    """o = act(rho(g) W_down^T + b) W_up^T."""

    def __init__(self, config, i, total):
        super().__init__(config, i, total)
        k, h = config.k_active, config.k_active * config.inner_mul
        self.memory = SliceMemory(config)
        self.down = dense(k, h, std=0.1)
        self.up = dense(h, k, std=0.1)
        self.mlp_bias = vector(h, 0)
        self.mem_scale = vector(1, 1)
        self.write_scale = scalar(0.1)
        self.act = activation(config.activation)

    def forward(self, x_BTV, share=None):
        z_BTk = self.rho(self.recall(x_BTV))
        return self.delta(self.up(self.act(self.down(z_BTk) + self.mlp_bias)), share)


def waves(steps):
    """The published greedy grouping of steps into waves; two steps conflict if one writes where the other reads or writes."""

    def touched(at):
        first, width, vocabulary = at
        return {(first + j) % vocabulary for j in range(width)}

    sets = [(touched(step.read), touched(step.write)) for step in steps]

    def conflict(a, b):
        return bool(a[1] & b[0] or a[0] & b[1] or a[1] & b[1])

    groups, taken = [], set()
    for i in range(len(steps)):
        if i in taken:
            continue
        group = [i]
        for j in range(i + 1, len(steps)):
            if j not in taken and not any(conflict(sets[j], sets[member]) for member in group):
                group.append(j)
        taken.update(group)
        groups.append(group)
    return groups
