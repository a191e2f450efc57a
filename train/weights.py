"""Weights in the published form: tensor names, interleaved rotary pairs, safetensors files.

Training keeps the two halves of a rotary pair apart; here the rows of queries and keys move into place and back.
"""
from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model import Huginn

PREFIX = "transformer."
DTYPES = {"F32": np.float32, "I64": np.int64, "I32": np.int32}


def permute_rows(rows: Tensor, heads: int, interleave: bool) -> Tensor:
    """Rows [H * D, ...] per head: half-split order -> interleaved pairs, or back."""
    head_dim = rows.shape[0] // heads
    first = torch.arange(head_dim // 2)
    order = torch.stack([first, first + head_dim // 2], 1).reshape(-1)
    if not interleave:
        order = torch.argsort(order)
    return rows.view(heads, head_dim, *rows.shape[1:])[:, order].reshape(rows.shape)


def permute_rotary(name: str, tensor: Tensor, heads: int, interleave: bool) -> Tensor:
    """Permute what meets the rotary embedding; leave every other tensor alone."""
    if name.endswith("Wqkv.weight"):
        q, k, v = tensor.chunk(3)
        return torch.cat([permute_rows(q, heads, interleave), permute_rows(k, heads, interleave), v])
    if name.endswith("qk_bias"):
        return torch.stack([permute_rows(b.reshape(-1), heads, interleave).view(b.shape) for b in tensor])
    return tensor


def published(model: Huginn) -> dict[str, Tensor]:
    """The model's weights under their published names."""
    heads = model.config.heads
    return {
        PREFIX + name: permute_rotary(name, tensor.detach().float().clone(), heads, interleave=True).contiguous()
        for name, tensor in model.state_dict().items()
    }


def load_published(model: Huginn, tensors: dict[str, Tensor]) -> None:
    """The inverse of `published`; tensors the model does not have are ignored (a tied lm_head, freqs_cis)."""
    heads = model.config.heads
    model.load_state_dict(
        {
            name: permute_rotary(name, tensors[PREFIX + name].float(), heads, interleave=False)
            for name in model.state_dict()
        }
    )


def write_safetensors(path: Path, tensors: dict[str, Tensor], dtype: str = "F32") -> None:
    """F32 or F16, in the given order."""
    header: dict[str, dict] = {}
    blobs: list[bytes] = []
    offset = 0
    for name, tensor in tensors.items():
        blob = tensor.numpy().astype({"F32": "<f4", "F16": "<f2"}[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    path.write_bytes(struct.pack("<Q", len(head)) + head + b"".join(blobs))


def read_safetensors(path: Path) -> dict[str, Tensor]:
    raw = path.read_bytes()
    (size,) = struct.unpack("<Q", raw[:8])
    body = raw[8 + size :]
    header = json.loads(raw[8 : 8 + size])
    header.pop("__metadata__", None)
    return {
        name: torch.from_numpy(
            np.frombuffer(body[slice(*entry["data_offsets"])], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy()
        )
        for name, entry in header.items()
    }
