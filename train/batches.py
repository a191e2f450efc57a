"""From problems to training rows: the mastery curriculum, the rejection of held-out prompts, and packing.

Several problems share a row of L positions; the mask keeps them apart. A problem is
<|begin_text|> prompt "\\nAnswer:" " " answer <|end_text|>, and only what follows the cue is predicted.
"""
from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import torch
from torch import Tensor

from model import packed_mask
from tasks import FORMS, HEADS, Problem
from tokenizer import ANSWER_CUE, BOS, EOS, Tokenizer

HEAD_INDEX = {name: i for i, name in enumerate(HEADS)}
NO_TARGET = -100


class Encoded(NamedTuple):
    """A problem as ids; `answer_at` indexes the answer's first token; labels are (index, head, value, depth)."""

    form: int
    ids: list[int]
    answer_at: int
    depth: int
    labels: list[tuple[int, int, int, int]]


class Batch(NamedTuple):
    """B rows of L positions."""

    ids: Tensor  # [B, L]
    targets: Tensor  # [B, L], NO_TARGET where nothing is predicted
    depth: Tensor  # [B, L], iterations a target needs
    form: Tensor  # [B, L], index of the form where the answer's first token is predicted, else -1
    mask: Tensor  # see model.packed_mask
    labels: Tensor  # [5, N]: row, position, head, value, depth


def encode(tokenizer: Tokenizer, form: int, problem: Problem) -> Encoded:
    prompt, ends = tokenizer.encode(problem.prompt + ANSWER_CUE, [label.end for label in problem.labels])
    answer, _ = tokenizer.encode(" " + problem.answer)
    labels = [
        (end + 1, HEAD_INDEX[label.head], label.value, label.depth)  # + 1: <|begin_text|> comes first
        for end, label in zip(ends, problem.labels)
    ]
    return Encoded(form, [BOS, *prompt, *answer, EOS], len(prompt) + 1, problem.depth, labels)


@dataclass
class Mastery:
    """The level a form has reached: the next one opens when the running accuracy passes the threshold."""

    level: int
    top: int
    accuracy: float = 0.0

    def update(self, hits: float, threshold: float = 0.9) -> None:
        self.accuracy += 0.05 * (hits - self.accuracy)
        if self.accuracy > threshold and self.level < self.top:
            self.level += 1
            self.accuracy = 0.5


class Sampler:
    """Draws problems of the named forms by their shares, at most as hard as each form's mastery."""

    def __init__(self, tokenizer: Tokenizer, shares: dict[str, float], held_out: set[str], seed: int) -> None:
        self.tokenizer, self.held_out, self.rng = tokenizer, held_out, Random(seed)
        self.names = list(shares)
        self.shares = {name: share / sum(shares.values()) for name, share in shares.items()}
        self.mastery = {name: Mastery(min(2, FORMS[name].top), FORMS[name].top) for name in shares}

    def draw(self, name: str) -> Encoded:
        """A problem: 40 % at the level reached, the rest anywhere below; never a held-out one."""
        form, reached = FORMS[name], self.mastery[name].level
        while True:
            level = reached if self.rng.random() < 0.4 else self.rng.randint(form.first, reached)
            problem = form.generate(self.rng, level)
            if problem.prompt not in self.held_out:
                return encode(self.tokenizer, self.names.index(name), problem)

    def rows(self, count: int, length: int) -> list[list[Encoded]]:
        """About `count` rows worth of problems, packed."""
        problems: list[Encoded] = []
        for name, share in self.shares.items():
            left = share * count * length
            while left > 0:
                problems.append(self.draw(name))
                left -= len(problems[-1].ids)
        self.rng.shuffle(problems)
        problems.sort(key=lambda p: -len(p.ids) + 20 * self.rng.random())
        rows = pack(problems, length)
        return rows if len(rows) <= count else self.rng.sample(rows, count)


def pack(problems: list[Encoded], length: int) -> list[list[Encoded]]:
    """First fit; the last id of a problem is only a target, so it takes no room."""
    rows: list[list[Encoded]] = []
    room: list[int] = []
    for problem in problems:
        need = len(problem.ids) - 1
        if need > length:
            continue
        fit = next((i for i, free in enumerate(room) if free >= need), None)
        if fit is None:
            fit = len(rows)
            rows.append([])
            room.append(length)
        rows[fit].append(problem)
        room[fit] -= need
    return rows


def tensors(rows: list[list[Encoded]], length: int, heads: int) -> Batch:
    """Lay packed problems out as a batch."""
    shape = (len(rows), length)
    ids, document, depth = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
    targets = torch.full(shape, NO_TARGET)
    form = torch.full(shape, -1)
    labels: list[tuple[int, ...]] = []
    for b, row in enumerate(rows):
        start = 0
        for number, problem in enumerate(row, start=1):
            used = len(problem.ids) - 1
            end, cue = start + used, start + problem.answer_at - 1
            ids[b, start:end] = torch.tensor(problem.ids[:-1])
            document[b, start:end] = number
            targets[b, cue:end] = torch.tensor(problem.ids[problem.answer_at :])
            depth[b, cue:end] = problem.depth
            form[b, cue] = problem.form
            labels += [(b, start + at, head, value, deep) for at, head, value, deep in problem.labels]
            start = end
    return Batch(ids, targets, depth, form, packed_mask(document, heads), torch.tensor(labels).t())
