"""Reads and writes safetensors files with torch alone: 8 bytes of header length, a JSON header, the tensors' bytes one after another."""

import json
import struct
from pathlib import Path

import torch

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "BF16": torch.bfloat16,
    "F16": torch.float16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def load(path):
    """Returns (tensors by name, string metadata)."""
    data = bytearray(Path(path).read_bytes())
    if len(data) < 8:
        raise SystemExit(f"{path}: {len(data)} bytes are no safetensors file")
    (length,) = struct.unpack_from("<Q", data)
    if length > len(data) - 8:
        raise SystemExit(f"{path}: the header claims {length} bytes, the file holds {len(data)}")
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    return {name: _tensor(data, 8 + length, entry) for name, entry in header.items()}, metadata


def _tensor(data, start, entry):
    dtype = DTYPES[entry["dtype"]]
    begin, end = entry["data_offsets"]
    if begin == end:
        return torch.empty(entry["shape"], dtype=dtype)
    # clone: a buffer inside the file need not be aligned to the element size
    bytes_ = torch.frombuffer(data, dtype=torch.uint8, offset=start + begin, count=end - begin)
    return bytes_.clone().view(dtype).reshape(entry["shape"])


def save(path, tensors, metadata):
    """Writes the tensors, largest element first so that each is aligned; the order is a function of the names."""
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    header, offset, parts = {"__metadata__": metadata}, 0, []
    for name in order:
        tensor = tensors[name].detach().cpu().contiguous()
        raw = bytes(tensor.reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + len(raw)]}
        offset += len(raw)
        parts.append(raw)
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
