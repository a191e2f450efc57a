"""A model to begin with: random weights, and a token table out of the teacher's, so that words mean something from the first step.

A token's row is the mean of the teacher's rows for its text, on the axes along which the teacher's table varies most. The
teacher's other weights are not used.
"""
from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from decider.network import Decider
from decider.rows import YES, Encoder
from model import Config


def token_vectors(encoder: Encoder, teacher: Path, width: int) -> tuple[Tensor, Tensor]:
    """Rows [V, W] of standard deviation 1, and which tokens [V] have one; markers and parts of characters have none."""
    from transformers import AutoModel, AutoTokenizer

    pieces = AutoTokenizer.from_pretrained(teacher)
    table = AutoModel.from_pretrained(teacher).get_input_embeddings().weight.detach()
    table = table - table.mean(0)
    axes = torch.linalg.svd(table, full_matrices=False).Vh[:width]
    if len(axes) < width:
        raise SystemExit(f"the teacher's table has {len(axes)} features, the model's states {width}: give them at most as many")
    table = table @ axes.t()
    rows, known = torch.zeros(encoder.size, width), torch.zeros(encoder.size, dtype=torch.bool)
    for token in range(YES + 1, encoder.size):
        text = encoder.tokenizer.decode([token])
        found = [] if "\ufffd" in text else pieces(text, add_special_tokens=False)["input_ids"]
        if found and pieces.unk_token_id not in found:
            rows[token], known[token] = table[found].mean(0), True
    return rows / rows[known].std(), known


def begin(config: dict, tokenizer: Path, teacher: Path, out: Path) -> int:
    """Writes a checkpoint for `train --start`; returns how many tokens have a row of the teacher's."""
    torch.manual_seed(config["seed"])
    encoder = Encoder(tokenizer)
    shape = Config(encoder.size, **config["model"])
    model = Decider(shape, 1)
    rows, known = token_vectors(encoder, teacher, shape.width)
    weight = model.trunk.wte.weight.data
    weight[known] = rows[known] * weight.std()
    torch.save({"average": {"trunk.wte.weight": weight}}, out)
    return int(known.sum())
