"""Few rows a label, by `fathom train` and by what else one could do with them: logistic regression over a bag of words, and
over the sentence vectors of other encoders. Several draws of the same rows; what stands in no draw is judged, or a file of its own.
"""
from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from decider.encoders import Encoder, bag, minilm, use
from decider.product import Pairs, judged, taught, write_decisions, write_labels
from decider.sets import digest

TIMED = 200  # texts that ms a text is measured on
MODEL_FILES = ("*.safetensors", "tokenizer.json", "config.json", "card.json")


def read_pairs(path: Path) -> Pairs:
    """Texts and labels of a file for `fathom train`, or of one for `fathom eval --decisions`; lines without label are left out."""
    lines = [json.loads(line) for line in path.open()]
    labelled = [(line["input"], line.get("label", line.get("gold"))) for line in lines]
    return [(text, label) for text, label in labelled if label is not None]


@dataclass(frozen=True)
class Draw:
    """Rows of each label in random order: the first are to learn from, those after `most` may be judged."""

    by_label: dict[str, list[str]]

    def few(self, shots: int) -> Pairs:
        return [(text, label) for label, texts in self.by_label.items() for text in texts[:shots]]

    def rest(self, most: int) -> Pairs:
        return [(text, label) for label, texts in self.by_label.items() for text in texts[most:]]


def drawn(rows: Pairs, seed: int) -> Draw:
    by_label: dict[str, list[str]] = {}
    for text, label in rows:
        by_label.setdefault(label, []).append(text)
    return Draw({label: Random(f"{seed} {label}").sample(texts, len(texts)) for label, texts in sorted(by_label.items())})


def regression(train, labels: list[str], held_out, gold: list[str]) -> float:
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=30, max_iter=300).fit(train, labels).predict(held_out)
    return 100 * float(np.mean(found == np.array(gold)))


class Vectors:
    """An encoder's vectors of texts, each made once."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.known = encoder, {}

    def of(self, texts: list[str]) -> np.ndarray:
        new = list(dict.fromkeys(text for text in texts if text not in self.known))
        if new:
            self.known.update(zip(new, self.encoder.encode(new)[0]))
        return np.array([self.known[text] for text in texts])


def spread(values: list[float]) -> str:
    """Mean of the draws, with the least and the greatest."""
    mean = f"{np.mean(values):.1f}"
    return mean if len(values) < 2 else f"{mean} ({min(values):.1f}-{max(values):.1f})"


def by_name(base: Path, labels: list[str], rows: Pairs, vectors: list[Vectors], work: Path) -> list[str]:
    """Labels that nobody gave a row of: the product's match, and the cosine of text and label."""
    write_decisions(work / "held-out.jsonl", rows, labels)
    cells = [f"{judged(base, work / 'held-out.jsonl').accuracy:.1f}", ""]
    for one in vectors:
        nearest = (one.of([text for text, _ in rows]) @ one.of(labels).T).argmax(1)
        cells.append(f"{100 * np.mean([labels[i] == label for i, (_, label) in zip(nearest, rows)]):.1f}")
    return cells


def by_rows(base: Path, labels: list[str], few: Pairs, rows: Pairs, vectors: list[Vectors], work: Path) -> list[float]:
    """Percent right by the product, a bag of words and each encoder."""
    write_labels(work / "few.jsonl", few)
    write_decisions(work / "held-out.jsonl", rows, labels)
    (texts, gold), (held_out, right) = zip(*few), zip(*rows)
    found = [judged(taught(base, work / "few.jsonl", work / "taught"), work / "held-out.jsonl").accuracy]
    words, held_out_words = bag(list(texts), list(held_out))
    found.append(regression(words, gold, held_out_words, right))
    return found + [regression(one.of(list(texts)), gold, one.of(list(held_out)), right) for one in vectors]


def costs(base: Path, labels: list[str], rows: Pairs, vectors: list[Vectors], work: Path) -> list[tuple[str, float, float]]:
    """Name, megabytes and milliseconds a text, one at a time on one thread."""
    timed = Random(0).sample(rows, min(TIMED, len(rows)))
    write_decisions(work / "timed.jsonl", timed, labels)
    own = sum(path.stat().st_size for kind in MODEL_FILES for path in base.glob(kind))
    found = [("decider", own / 1e6, judged(base, work / "timed.jsonl").ms)]
    for one in vectors:
        seconds = one.encoder.encode([text for text, _ in timed])[1]
        found.append((one.encoder.name, one.encoder.bytes / 1e6, 1000 * seconds / len(timed)))
    return found


def line(cells: list[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def report(rows: Path, held_out: Path | None, base: Path, installed: Path, shots: list[int], draws: int) -> None:
    """Prints a table of the curves, and one of what a text costs. Rows that are held out are not learned from."""
    judged_rows = read_pairs(held_out) if held_out else []
    banned = {digest(text) for text, _ in judged_rows}
    pairs = [(text, label) for text, label in read_pairs(rows) if digest(text) not in banned]
    labels = sorted({label for _, label in pairs})
    vectors = [Vectors(encoder) for encoder in (minilm(), use(installed)) if encoder]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        line(["rows a label", "n", "decider", "bag + LR", *(f"{one.encoder.name} + LR" for one in vectors)])
        line(["---"] * (4 + len(vectors)))
        every = judged_rows or pairs
        line(["by name alone", str(len(every)), *by_name(base, labels, every, vectors, work)])
        for count in shots:
            found, n = [], 0
            for seed in range(draws):
                draw = drawn(pairs, seed)
                rest = judged_rows or draw.rest(max(shots))
                n = len(rest)
                found.append(by_rows(base, labels, draw.few(count), rest, vectors, work))
            line([str(count), str(n), *(spread(list(of_one)) for of_one in zip(*found))])
        print()
        line(["", "MB", "ms a text"])
        line(["---"] * 3)
        for name, megabytes, ms in costs(base, labels, every, vectors, work):
            line([name, f"{megabytes:.1f}", f"{ms:.1f}"])
