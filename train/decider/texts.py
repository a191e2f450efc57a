"""The texts that a teacher reads: options and inputs of sets, and a corpus of short texts; nothing that is held out.

A corpus is a folder of NAME.txt.xz, one text a line.
"""
from __future__ import annotations

import json
import lzma
from pathlib import Path
from random import Random

from decider.sets import DecisionSet, Row, digest, held_out_digests, read_sets


def corpus_texts(folder: Path, most_words: int) -> list[str]:
    texts = [line for path in sorted(folder.glob("*.txt.xz")) for line in lzma.open(path, "rt").read().split("\n")]
    return [text for text in texts if 0 < len(text.split()) <= most_words]


def text_digests(texts: list[str], kept: Path) -> list[int]:
    """Of many texts, kept in a file beside them."""
    import numpy as np

    if not kept.exists():
        np.save(kept, np.array([digest(text) for text in texts], np.uint64))
    return np.load(kept).tolist()


def ordered_texts(sets: dict[str, DecisionSet], corpus: list[str], held_out: frozenset[int], seed: int) -> list[str]:
    """Options first, then inputs of sets, then the corpus, both in random order."""
    rng = Random(seed)
    lists = {row.options for one in sets.values() for row in one.train}
    options = sorted({option for options in lists for option in options})
    inputs = sorted({row.input for one in sets.values() for row in one.train})
    rng.shuffle(inputs)
    rng.shuffle(corpus)
    return list(dict.fromkeys([*options, *(text for text in [*inputs, *corpus] if digest(text) not in held_out)]))


def write_texts(data: Path, corpus: Path, out: Path, most_words: int, seed: int) -> int:
    """Writes texts.jsonl of all sets of a folder but the depth forms, whose inputs are long and mean nothing by themselves."""
    names = [path.name.removesuffix(".jsonl.gz") for path in sorted(data.glob("*.jsonl.gz"))]
    sets = read_sets(data, [name for name in names if not name.startswith("sansi")])
    texts = ordered_texts(sets, corpus_texts(corpus, most_words), held_out_digests(data), seed)
    out.mkdir(parents=True, exist_ok=True)
    (out / "texts.jsonl").write_text("".join(json.dumps(text) + "\n" for text in texts))
    return len(texts)


def write_held_out(data: Path, names: list[str], out: Path, count: int, seed: int) -> None:
    """Held-out rows as `fathom eval --decisions` reads them, NAME.jsonl a set; at most so many, at random."""
    out.mkdir(parents=True, exist_ok=True)
    for name, one in read_sets(data, names).items():
        rows = Random(seed).sample(one.held_out, min(count, len(one.held_out)))
        (out / f"{name}.jsonl").write_text("".join(json.dumps(decision(row)) + "\n" for row in rows))


def decision(row: Row) -> dict:
    if not row.options:
        return {"input": row.input, "question": {"type": "predicate", "instructions": row.instructions}, "gold": row.gold == 1}
    choices = [{"value": option} for option in row.options]
    gold = None if row.gold is None else row.options[row.gold]
    return {"input": row.input, "question": {"type": "choice", "instructions": row.instructions, "choices": choices}, "gold": gold}


def write_few(data: Path, names: list[str], out: Path, shots: int, seed: int) -> None:
    """So many training rows a label as `fathom train` reads them, NAME-SHOTS.jsonl a set."""
    out.mkdir(parents=True, exist_ok=True)
    for name, one in read_sets(data, names).items():
        by_label: dict[str, list[str]] = {}
        for row in one.train:
            if row.gold is not None:
                by_label.setdefault(row.options[row.gold], []).append(row.input)
        chosen = []
        for label, texts in sorted(by_label.items()):
            sampled = Random(f"{seed} {label}").sample(texts, min(shots, len(texts)))
            chosen += [(text, label) for text in sampled]
        Random(seed).shuffle(chosen)
        lines = (json.dumps({"input": text, "label": label}) + "\n" for text, label in chosen)
        (out / f"{name}-{shots}.jsonl").write_text("".join(lines))
