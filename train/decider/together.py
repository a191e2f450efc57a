"""Several processes that train one model: each takes steps of its own, and every few steps they average their weights.

Momenta stay each process's own. That waits for the slowest once in EVERY steps only, which suits shared CPUs. Started by
torchrun, or by hand with its variables (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT); without them one process works alone
and nothing here does anything.
"""
from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn

EVERY = 8
RANK, WORLD = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def join(device: str) -> None:
    if WORLD > 1:
        dist.init_process_group("nccl" if device == "cuda" else "gloo")


@torch.no_grad()
def average(weights: list[Tensor]) -> None:
    """In place, over all processes."""
    if WORLD == 1:
        return
    flat = torch.cat([weight.reshape(-1) for weight in weights])
    dist.all_reduce(flat)
    flat /= WORLD
    for weight, part in zip(weights, flat.split([weight.numel() for weight in weights])):
        weight.copy_(part.view_as(weight))


def agree(model: nn.Module) -> None:
    """Every process begins with the first one's weights."""
    if WORLD > 1:
        for tensor in model.state_dict().values():
            dist.broadcast(tensor, 0)


def agree_on(number: float) -> float:
    """The first one's number."""
    if WORLD == 1:
        return number
    shared = torch.tensor(number, dtype=torch.float64)
    dist.broadcast(shared, 0)
    return shared.item()
