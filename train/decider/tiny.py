"""A very small model with random weights and a small tokenizer, exported as a trained one is: the engine's tests use it."""
from __future__ import annotations

import json
from pathlib import Path

import torch

from decider.network import Decider
from decider.rows import Encoder
from decider.export import export
from model import Config

MERGES = 150


def small_tokenizer(source: Path, out: Path) -> None:
    """The first merges of a tokenizer only."""
    document = json.loads(source.read_text())
    model = document["model"]
    model["merges"] = model["merges"][:MERGES]
    kept = {"".join(merge.split(" ")) for merge in model["merges"]}
    special = {token["content"] for token in document["added_tokens"]}
    by_id = sorted(model["vocab"], key=model["vocab"].__getitem__)
    tokens = [token for token in by_id if token in special | kept or len(token) == 1]
    model["vocab"] = {token: i for i, token in enumerate(tokens)}
    out.write_text(json.dumps(document, ensure_ascii=False))


def tiny(tokenizer: Path, card: Path, out: Path) -> None:
    """Every option of its questions becomes a branch."""
    torch.manual_seed(0)
    out.mkdir(parents=True, exist_ok=True)
    small_tokenizer(tokenizer, out / "tokenizer.json")
    config = Config(Encoder(out / "tokenizer.json").size, width=32, heads=2, mlp=64, prelude=1, core=1, coda=1, positions=128)
    model = Decider(config, 16)
    with torch.no_grad():  # far from a fresh model, whose branches are all alike
        for parameter in model.trunk.parameters():
            if parameter.ndim == 2:
                parameter.mul_(2)
            else:
                parameter.add_(0.2 * torch.randn_like(parameter))
    average = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    state = {
        "config": {"seed": 0, "sets": {}, "left_out": []}, "model_config": config.as_dict(), "teacher_width": 16,
        "model": model.state_dict(), "average": average, "sampler": {"usable": 0}, "counters": [0, 0, 0, 0, 0.0, 0.0], "read": [],
    }  # fmt: skip
    checkpoint = out.with_suffix(".pt")
    torch.save(state, checkpoint)
    own_card = out.with_suffix(".json")
    settings = json.loads(card.read_text())
    settings["deciding"]["candidates"] = 8
    own_card.write_text(json.dumps(settings))
    export(checkpoint, out / "tokenizer.json", own_card, out, "tiny-decider")
    for path in (checkpoint, own_card):
        path.unlink()
