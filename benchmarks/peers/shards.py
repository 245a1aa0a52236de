"""Token shards: 256 little-endian int32 (magic, version, token count), then uint16 tokens; the sequential order and the validation windows."""

from pathlib import Path

import torch

MAGIC, VERSION, HEADER = 20240520, 1, 1024


def read_shard(path):
    data = bytearray(Path(path).read_bytes())
    head = torch.frombuffer(data, dtype=torch.int32, count=256).tolist() if len(data) >= HEADER else [0, 0, 0]
    if head[:2] != [MAGIC, VERSION] or len(data) != HEADER + 2 * head[2]:
        raise SystemExit(f"{path}: {len(data)} bytes with magic {head[0]}, version {head[1]}, {head[2]} tokens are no token shard")
    return torch.frombuffer(data, dtype=torch.uint16, offset=HEADER, count=head[2]).to(torch.int32)


def read_tokens(folder, part):
    """All shards of a part (`train`, `val`) in the order of their names."""
    paths = sorted(Path(folder).glob(f"*_{part}_*.bin"))
    if not paths:
        raise SystemExit(f"{folder}: no shard named *_{part}_*.bin")
    return torch.cat([read_shard(path) for path in paths])


def sequential_batch(tokens, n, rows, seq_len):
    """Batch n is the n-th span of rows * seq_len + 1 tokens of the endless concatenation; returns (inputs, targets)."""
    span = rows * seq_len + 1
    ids = tokens[(torch.arange(span) + n * span) % len(tokens)].long()
    return ids[:-1].view(rows, seq_len), ids[1:].view(rows, seq_len)


def validation_window(tokens, first, count, seq_len):
    """Windows first .. first + count - 1: inputs [j L, (j + 1) L), targets shifted by one."""
    ids = tokens[first * seq_len : (first + count) * seq_len + 1].long()
    return ids[:-1].view(count, seq_len), ids[1:].view(count, seq_len)


def validation_windows(tokens, seq_len):
    return (len(tokens) - 1) // seq_len
