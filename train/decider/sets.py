"""Labelled sets of typed decisions, and which of their rows may be trained on.

A set is a file NAME.jsonl.gz of lines {"split", "input", "question", "gold"}; labels.json holds option lists that many
rows share. Rows of the splits dev and test, and of sets without a dev split one in twelve by their text's hash, are for
evaluation: their texts are in no training row of any set. Not here: tokens (rows.py).
"""
from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

OUT_OF_SCOPE = "out of scope"
HELD_OUT_SHARE = 12
PERSONAL_DATA, PERSONAL_TEXTS, PERSONAL_SEED = "personal_data", 12_000, 0


@dataclass(frozen=True)
class Row:
    """One decision: `gold` is an index of the options, or None where none fits; of a predicate 1 or 0."""

    input: str
    instructions: str
    gold: int | None
    options: tuple[str, ...]  # of a predicate: none


@dataclass(frozen=True)
class DecisionSet:
    name: str
    train: list[Row]
    held_out: list[Row]

    @property
    def is_predicate(self) -> bool:
        return not self.train[0].options

    @property
    def options(self) -> tuple[str, ...]:
        """Of a set whose rows all share them."""
        return self.train[0].options


def normal(text: str) -> str:
    """Case, punctuation and spaces aside: two texts that are equal so are one text."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def digest(text: str) -> int:
    """64 bits of a text's hash."""
    return int.from_bytes(hashlib.sha256(normal(text).encode()).digest()[:8], "big")


def option_text(choice: dict) -> str:
    """What a model reads of an option: as engine/decide puts it."""
    value, description = str(choice["value"]), choice.get("description")
    return f"{value}: {description}" if description else value


def read_lines(folder: Path, name: str) -> list[dict]:
    with gzip.open(folder / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def is_held_out(line: dict, has_dev: bool) -> bool:
    return line["split"] != "train" or (not has_dev and digest(line["input"]) % HELD_OUT_SHARE == 0)


def read_options(choices: list[dict]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of options, by which rows say their gold, and their texts."""
    choices = [choice for choice in choices if choice["value"] != OUT_OF_SCOPE]
    return tuple(choice["value"] for choice in choices), tuple(map(option_text, choices))


def read_row(line: dict, shared: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]) -> Row:
    """Reads a row; `shared` are the options of labels.json, which many rows hold in common."""
    question, gold = line["question"], line["gold"]
    if question["type"] == "predicate":
        return Row(line["input"], question["instructions"], int(gold), ())
    choices = question["choices"]
    values, texts = shared[choices.removeprefix("@")] if isinstance(choices, str) else read_options(choices)
    return Row(line["input"], question["instructions"], values.index(gold) if gold in values else None, texts)


def read_sets(folder: Path, names: list[str]) -> dict[str, DecisionSet]:
    """Reads sets; training rows whose text is held out anywhere among all sets of the folder are dropped.

    One set is in no folder: personal_data is written by personal.py, beside what customers say in banking77.
    """
    labels = json.loads((folder / "labels.json").read_text())
    shared = {name: read_options(choices) for name, choices in labels.items()}
    held_out = held_out_digests(folder)
    sets = {}
    for name in names:
        if name == PERSONAL_DATA:
            sets[name] = written(folder, held_out)
            continue
        lines = read_lines(folder, name)
        has_dev = any(line["split"] != "train" for line in lines)
        parts: tuple[list[Row], list[Row]] = ([], [])
        for line in lines:
            if is_held_out(line, has_dev):
                parts[1].append(read_row(line, shared))
            elif digest(line["input"]) not in held_out:
                parts[0].append(read_row(line, shared))
        sets[name] = DecisionSet(name, *parts)
    return sets


def written(folder: Path, held_out: frozenset[int]) -> DecisionSet:
    from decider.filler import Filler  # needs a package that the rest does not
    from decider.personal import personal_data

    customers = [row.input for row in read_sets(folder, ["banking77"])["banking77"].train]
    rng = Random(f"{PERSONAL_SEED} personal data")
    return personal_data(customers, held_out, PERSONAL_TEXTS, rng, Filler(rng))


@cache
def held_out_digests(folder: Path) -> frozenset[int]:
    """Of every evaluation text of every set in the folder."""
    found = set()
    for path in sorted(folder.glob("*.jsonl.gz")):
        lines = read_lines(folder, path.name.removesuffix(".jsonl.gz"))
        has_dev = any(line["split"] != "train" for line in lines)
        found.update(digest(line["input"]) for line in lines if is_held_out(line, has_dev))
    return frozenset(found)
