"""What the same few rows give without this model: logistic regression over a bag of words, and over a sentence encoder."""
from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np


def read_pairs(path: Path) -> tuple[list[str], list[str]]:
    """Texts and labels of a file for `fathom train`, or of one for `fathom eval --decisions`."""
    lines = [json.loads(line) for line in path.open()]
    labelled = [(line["input"], line.get("label", line.get("gold"))) for line in lines]
    labelled = [(text, label) for text, label in labelled if label is not None]
    return [text for text, _ in labelled], [label for _, label in labelled]


def accuracy(train, labels: list[str], held_out, gold: list[str]) -> float:
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=30, max_iter=300).fit(train, labels).predict(held_out)
    return 100 * float(np.mean(found == np.array(gold)))


def bag(train: list[str], held_out: list[str]):
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return words.fit_transform(train), words.transform(held_out)


def encoded(teacher: Path, texts: list[str]) -> np.ndarray:
    from transformers import AutoModel, AutoTokenizer

    from decider.teacher import BATCH, sentence_vectors

    tokenizer, model = AutoTokenizer.from_pretrained(teacher), AutoModel.from_pretrained(teacher).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors = np.zeros((len(texts), model.config.hidden_size), np.float32)
    for at in range(0, len(order), BATCH):
        chosen = order[at : at + BATCH]
        vectors[chosen] = sentence_vectors(model, tokenizer, [texts[i] for i in chosen]).numpy()
    return vectors


def report(teacher: Path, few: list[Path], held_out: Path) -> None:
    texts, gold = read_pairs(held_out)
    begin = time.monotonic()
    vectors = encoded(teacher, texts)
    rate = (time.monotonic() - begin) / len(texts)
    options = np.array([choice["value"] for choice in json.loads(held_out.open().readline())["question"]["choices"]])
    zero = 100 * float(np.mean(options[(vectors @ encoded(teacher, list(options)).T).argmax(1)] == np.array(gold)))
    print(f"{held_out.stem} n={len(texts)}: encoder by cosine {zero:.1f}, {1000 * rate:.1f} ms a text")
    for path in few:
        train, labels = read_pairs(path)
        words, held_out_words = bag(train, texts)
        of_words = accuracy(words, labels, held_out_words, gold)
        of_encoder = accuracy(encoded(teacher, train), labels, vectors, gold)
        print(f"{path.stem}: bag of words {of_words:.1f}, encoder {of_encoder:.1f}")
