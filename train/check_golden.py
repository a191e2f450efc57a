"""Is train/model.py the published architecture? Compares it with golden vectors made by the authors' code.

DIR holds config.json, model.safetensors and golden.safetensors: ids, s0, core.prelude_out [L, E],
core.states_raw [16, L, E] (before ln_f) and core.logits.r{1,2,4,8,16} [L, V].

usage: check_golden.py DIR [DIR ...]
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from model import ROPE_BASE, Config, Huginn, causal_mask
from weights import load_published, published, read_safetensors

TOLERANCE = 1e-4


def read_config(raw: dict) -> Config:
    return Config(
        vocabulary=raw["vocab_size"],
        width=raw["n_embd"],
        heads=raw["num_attention_heads"],
        mlp=raw["intermediate_size"],
        prelude=raw["n_layers_in_prelude"],
        core=raw["n_layers_in_recurrent_block"],
        coda=raw["n_layers_in_coda"],
        positions=64,
    )


def supported(raw: dict) -> bool:
    """Training knows one variant: tied head, query and key biases, the family's rotary base."""
    return raw.get("tie_embeddings", True) and raw.get("qk_bias", True) and raw.get("rope_base", ROPE_BASE) == ROPE_BASE


def apart(ours: Tensor, golden: Tensor) -> float:
    return (ours - golden).abs().max().item()


@torch.no_grad()
def largest_difference(folder: Path, raw: dict) -> float:
    """Over the prelude's output, every state and every set of logits."""
    tensors = read_safetensors(folder / "model.safetensors")
    golden = read_safetensors(folder / "golden.safetensors")
    model = Huginn(read_config(raw)).eval()
    load_published(model, tensors)
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in published(model).items()), "names do not invert"
    ids = golden["ids"].long()[None]
    context = model.context(causal_mask(ids.shape[1]))
    embedded = model.embed(ids, context)
    differences = [apart(embedded[0], golden["core.prelude_out"])]
    state = golden["s0"][:1, : ids.shape[1]]
    for r in range(1, 17):
        state = model.iterate(state, embedded, context)
        differences.append(apart(state[0], golden["core.states_raw"][r - 1]))
        if f"core.logits.r{r}" in golden:
            differences.append(apart(model.logits(state, context)[0], golden[f"core.logits.r{r}"]))
    return max(differences)


def main() -> int:
    failed = False
    for folder in map(Path, sys.argv[1:]):
        raw = json.loads((folder / "config.json").read_text())
        if not supported(raw):
            print(f"{folder.name}: a variant that training does not know, skipped")
            continue
        difference = largest_difference(folder, raw)
        failed |= difference > TOLERANCE
        print(f"{folder.name}: largest difference {difference:.1e} {'FAILED' if difference > TOLERANCE else 'ok'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
