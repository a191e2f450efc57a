"""The mean of two checkpoints' weights, which forgets less than either run: both must have begun from the same weights."""
from __future__ import annotations

from pathlib import Path

import torch


def write_mean(first: Path, second: Path, share: float, out: Path) -> None:
    """`share` of it is the second's. Everything else, such as counters, is the first's; it has read what either has."""
    one, two = (torch.load(path, map_location="cpu", weights_only=False) for path in (first, second))
    one["average"] = {name: (1 - share) * value + share * two["average"][name] for name, value in one["average"].items()}
    one["model"].update(one["average"])
    if read := sorted({*one.get("read", []), *two.get("read", [])}):
        one["read"] = read
    torch.save(one, out)
