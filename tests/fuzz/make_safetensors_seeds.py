#!/usr/bin/env python3
"""Writes the seed corpus of fuzz_safetensors: small files that are valid, and some that are wrong in one way."""
import json
import pathlib
import struct

OUT = pathlib.Path(__file__).parent / "corpus" / "safetensors"
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


def entry(dtype, shape, begin, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def write(name, header, data=b"", length=None):
    text = header.encode()
    text += b" " * (-len(text) % 8)
    (OUT / name).write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)


def every_dtype():
    header, offset = {}, 0
    for dtype, size in SIZES.items():
        header["t." + dtype] = entry(dtype, [1, 2], offset, offset + 2 * size)
        offset += 2 * size
    return json.dumps(header), bytes(range(offset))


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    write("empty", "{}")
    write("metadata", json.dumps({"__metadata__": {"case": "x", "note": "\u00e9\n"}}))
    write("every_dtype", *every_dtype())
    write("scalar_and_empty", json.dumps({"s": entry("F32", [], 0, 4), "e": entry("I64", [0, 3], 4, 4)}), b"abcd")
    write("unordered", json.dumps({"a": entry("U8", [2], 2, 4), "b": entry("U8", [2], 0, 2)}), b"abcd")
    write("escaped_names", r'{"\u0061\"\\\/b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"a")
    write("gap", json.dumps({"a": entry("U8", [2], 2, 4)}), b"abcd")
    write("overflow", json.dumps({"a": entry("F64", [1 << 62, 4], 0, 8)}), b"abcdefgh")
    write("deep", '{"a":' + "[" * 40 + "]" * 40 + "}")
    write("duplicate", '{"a":{},"a":{}}')
    write("long_header", "{}", length=1 << 40)


if __name__ == "__main__":
    main()
