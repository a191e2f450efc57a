"""Quick figures of a checkpoint on rows that are held out: match among all options, and few-shot logistic regression.

For choosing while training. What is published comes from `fathom eval --decisions` on the exported folder.
"""
from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import torch

from decider.network import Decider
from decider.rows import Encoder
from decider.sets import Row, read_sets
from model import Config

HELD_OUT_OF_ALL = 1500  # of sets that were never trained on: all rows are held out


def load(path: Path, average: bool = True) -> Decider:
    """A checkpoint's model, with its averaged weights."""
    state = torch.load(path, map_location="cpu", weights_only=False)
    model = Decider(Config(**state["model_config"]), state["teacher_width"])
    model.load_state_dict(state["model"])
    if average:
        for name, parameter in model.named_parameters():
            parameter.data.copy_(state["average"][name])
    return model.eval()


def sample(rows: list[Row], count: int, seed: int = 0) -> list[Row]:
    return Random(seed).sample(rows, min(count, len(rows)))


@torch.no_grad()
def zero_shot(model: Decider, encoder: Encoder, rows: list[Row], iterations: int = 1) -> dict[str, float]:
    """Accuracy (%) by match, and by the cosine of sentence vectors."""
    rows = [row for row in rows if row.gold is not None]
    options = model.states([encoder.option(option) for option in rows[0].options], iterations)
    questions = model.states([encoder.question(row.input) for row in rows], iterations)
    gold = torch.tensor([row.gold for row in rows])
    scores = {"match": model.match(questions, options), "meaning": model.meaning(questions) @ model.meaning(options).t()}
    return {name: 100 * (score.argmax(1) == gold).float().mean().item() for name, score in scores.items()}


@torch.no_grad()
def out_of_scope(model: Decider, encoder: Encoder, rows: list[Row]) -> tuple[float, float]:
    """Accuracy in scope, and the share of rows without an option that is refused where 3 points of right answers are."""
    options = model.states([encoder.option(option) for option in rows[0].options])
    scores = model.match(model.states([encoder.question(row.input) for row in rows]), options)
    best, place = scores.max(1)
    gold = torch.tensor([-1 if row.gold is None else row.gold for row in rows])
    right, inside = (place == gold) & (gold >= 0), gold >= 0
    kept = best[right].sort().values
    threshold = kept[int(0.03 * inside.sum())]
    return 100 * right.sum().item() / inside.sum().item(), 100 * (best[~inside] < threshold).float().mean().item()


@torch.no_grad()
def few_shot(model: Decider, encoder: Encoder, train: list[Row], held_out: list[Row], shots: int, seed: int = 0) -> float:
    """Accuracy (%) of logistic regression over sentence vectors, so many rows a label."""
    from sklearn.linear_model import LogisticRegression

    by_label: dict[int, list[Row]] = {}
    for row in train:
        if row.gold is not None:
            by_label.setdefault(row.gold, []).append(row)
    chosen = [row for rows in by_label.values() for row in sample(rows, shots, seed)]
    held_out = [row for row in held_out if row.gold is not None]
    x, y = (model.meaning(model.states([encoder.question(row.input) for row in rows])).numpy() for rows in (chosen, held_out))
    found = LogisticRegression(C=30, max_iter=200).fit(x, [row.gold for row in chosen]).predict(y)
    return 100 * float(np.mean(found == np.array([row.gold for row in held_out])))


def report(path: Path, tokenizer: Path, data: Path, names: list[str], shots: list[int], count: int) -> None:
    model, encoder = load(path), Encoder(tokenizer)
    for name, one in read_sets(data, names).items():
        if one.is_predicate:
            print(name, predicate_accuracy(model, encoder, sample(one.held_out, count)), flush=True)
            continue
        held_out = sample(one.held_out, count)
        figures = zero_shot(model, encoder, held_out)
        figures |= {f"k={k}": few_shot(model, encoder, one.train, held_out, k) for k in shots}
        if any(row.gold is None for row in held_out):
            figures["out of scope"] = out_of_scope(model, encoder, one.held_out)[1]
        print(name, f"n={len(held_out)}", " ".join(f"{key} {value:.1f}" for key, value in figures.items()), flush=True)


@torch.no_grad()
def predicate_accuracy(model: Decider, encoder: Encoder, rows: list[Row]) -> str:
    branches = [encoder.branch(row.input, row.instructions, "") for row in rows]
    gold = torch.tensor([row.gold == 1 for row in rows])
    right = {r: ((model.fits(branches, r) > 0) == gold).float().mean().item() for r in (1, 2, 4)}
    return f"n={len(rows)} " + " ".join(f"r={r} {100 * value:.1f}" for r, value in right.items())
