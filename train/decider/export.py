"""A checkpoint -> a folder in the published form, with the match matrices, the embedding head and a card.

The averaged weights are exported; quantising is `fathom convert`'s work. fits.json beside it holds states, cosines and fit
scores of a few texts as computed here, so that a test can hold the engine to them.
"""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch

from decider.evaluate import load
from decider.network import Decider
from decider.rows import YES, Encoder
from export import file_list, published_config
from weights import published, write_safetensors

MARKERS = {"begin": "<|begin_text|>", "question": "<|question|>", "option": "<|option|>", "fits": "<|fits|>", "yes": "<|yes|>"}
SOURCES = Path(__file__).parent / "sources.json"
CASES = [
    ("I lost my bank card in the pub last night, what now?", "What does the user want?", ["freeze account", "order pizza", "report lost card", "weather"]),
    ("will it rain in Oslo tomorrow", "Which intent fits?", ["weather", "book flight", "alarm", "translate"]),
    ("I never received my refund!", "The customer is waiting for money.", []),
]  # fmt: skip


def match_card(model: Decider, candidates: int, settled: float | None) -> dict:
    scale = model.log_scale.exp().item()
    bias = -scale * model.none.item()
    card = {"question": "question", "option": "option", "reads": "input", "scale": round(scale, 4), "bias": round(bias, 4)}
    return {**card, "candidates": candidates, **({} if settled is None else {"settled": settled})}


def decisions_card(model: Decider, settings: dict) -> dict:
    """Without `candidates` in the settings, branches alone decide."""
    match = {"match": match_card(model, settings["candidates"], settings.get("settled"))} if "candidates" in settings else {}
    return {
        "form": "branches",
        "markers": MARKERS,
        **match,
        "iterations": settings["iterations"],
        "exit": settings["exit"],
        "fitThreshold": settings["fitThreshold"],
    }


@torch.no_grad()
def cases(model: Decider, encoder: Encoder, knows_meaning: bool) -> list[dict]:
    """What the engine must find, too: sentence vectors' first elements, match scores, fits of branches."""
    scale, bias = model.log_scale.exp().item(), -model.log_scale.exp().item() * model.none.item()
    found = []
    for text, instructions, options in CASES:
        state = model.states([encoder.question(text)])
        case = {"input": text, "instructions": instructions, "options": options}
        if knows_meaning:
            case["vector"] = model.meaning(state)[0, :8].tolist()
        if options and knows_meaning:
            case["match"] = (scale * model.match(state, model.states([encoder.option(option) for option in options]))[0] + bias).tolist()
        branches = [encoder.branch(text, instructions, option) for option in options or [""]]
        case["branches"] = {str(r): model.fits(branches, r).tolist() for r in (1, 4)}
        found.append(case)
    return found


def training_record(state: dict, note: str) -> dict:
    """How the weights came to be; tokens and steps are one process's."""
    config = state["config"]
    _, _, steps, tokens, seconds, _ = state["counters"]
    record = {"steps": steps, "tokens": tokens, "minutes": round(seconds / 60, 1), "texts": state["sampler"]["usable"]}
    names = {"seed": config["seed"], "sets": config["sets"], "leftOut": config["left_out"], "statements": state.get("read", [])}
    return {**record, **names, **({"note": note} if note else {}), **(json.loads(SOURCES.read_text()) if config["sets"] else {})}


def export(checkpoint: Path, tokenizer: Path, card: Path, out: Path, name: str, note: str = "") -> None:
    model, state = load(checkpoint), torch.load(checkpoint, map_location="cpu", weights_only=False)
    settings = json.loads(card.read_text())
    deciding = settings.pop("deciding")
    knows_meaning = "candidates" in deciding
    learned_branches = "read" in state or state["config"]["stage"][-1].get("depth", 0)
    if not learned_branches:  # every fit is 0.5
        model.trunk.wte.weight.data[YES] = 0
    for head in (model.question, model.option, model.head):  # as they will be read
        head.weight.data = head.weight.data.half().float()
    out.mkdir(parents=True, exist_ok=True)
    write_safetensors(out / "model.safetensors", published(model.trunk))
    if knows_meaning:
        heads = {"question": model.question, "option": model.option, "text": model.head}
        write_safetensors(out / "match.safetensors", {key: head.weight.detach() for key, head in heads.items()}, "F16")
    if tokenizer != out / "tokenizer.json":
        shutil.copy(tokenizer, out / "tokenizer.json")
    (out / "config.json").write_text(json.dumps(published_config(model.trunk.config), indent=1) + "\n")
    embeddings = {"tensor": "text", "markers": {"begin": MARKERS["begin"], "end": MARKERS["question"]}}
    written = {
        **settings,
        "id": name,
        "decisions": decisions_card(model, deciding),
        **({"embeddings": embeddings} if knows_meaning else {}),
        "training": training_record(state, note),
        "files": file_list(out),
    }
    (out / "card.json").write_text(json.dumps(written, indent=1) + "\n")
    (out.parent / f"{out.name}-fits.json").write_text(json.dumps(cases(model, Encoder(tokenizer), knows_meaning), indent=1) + "\n")
    print(f"{sum(p.numel() for p in model.trunk.parameters())} weights at step {state['counters'][2]}")
