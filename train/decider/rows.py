"""Token rows of texts, questions and options, and batches of them in groups of like length.

The form is the one that engine/decide puts: `begin input question instructions`, and an option alone or behind a question
as `option text fits`. Rows are padded on the right, so that a causal mask is all that keeps padding out.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor

BEGIN, END, PAD, QUESTION, OPTION, FITS, YES = range(7)
INPUT_TOKENS, TEXT_TOKENS = 96, 48


Ids = list[int]


class Encoder:
    """Texts to rows. Long inputs are cut in training only."""

    def __init__(self, path: Path) -> None:
        self.tokenizer = Tokenizer.from_file(str(path))
        self.size = self.tokenizer.get_vocab_size()

    def tokens(self, text: str, most: int) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids[:most]

    def put(self, text: str) -> list[int]:
        return self.tokens(f" {text.strip()}", TEXT_TOKENS) if text.strip() else []

    def question(self, text: str) -> Ids:
        """An input up to the question's marker, whose state says what the input means whatever is asked."""
        return [BEGIN, *self.tokens(text, INPUT_TOKENS), QUESTION]

    def option(self, text: str) -> Ids:
        return [OPTION, *self.put(text), FITS]

    def branch(self, text: str, instructions: str, option: str) -> Ids:
        """One option behind its question: a branch sees nothing of its siblings, so that it is a plain sequence."""
        return [*self.question(text), *self.put(instructions), *self.option(option)]


@dataclass(frozen=True)
class Group:
    """Sequences of like length: ids [B, L], the last position [B] of each, and its place in the batch [B]."""

    ids: Tensor
    last: Tensor
    place: Tensor


def groups(rows: Sequence[Ids], most_tokens: int, device: str) -> Iterator[Group]:
    """Sequences by length, `most_tokens` of padded area a group."""
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    at = 0
    while at < len(order):
        first = len(rows[order[at]])
        end = at + 1
        while end < len(order) and belongs(first, len(rows[order[end]]), end + 1 - at, most_tokens):
            end += 1
        yield group(rows, order[at:end], device)
        at = end


def belongs(shortest: int, longest: int, count: int, most_tokens: int) -> bool:
    return longest * count <= most_tokens and longest <= shortest * 1.25 + 2


def group(rows: Sequence[Ids], chosen: list[int], device: str) -> Group:
    length = max(len(rows[i]) for i in chosen)
    ids = torch.tensor([rows[i] + [PAD] * (length - len(rows[i])) for i in chosen])
    last = torch.tensor([len(rows[i]) - 1 for i in chosen])
    return Group(*(t.to(device) for t in (ids, last, torch.tensor(chosen))))
