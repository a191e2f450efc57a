"""Byte-level BPE for the generators' words, written as a tokenizer.json that the usual libraries read.

Digits stand alone, so that numbers are read digit by digit. Not a general tokenizer: no normaliser, no template;
the caller puts <|begin_text|> first and ends with <|end_text|>.
"""
from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Sequence

from tasks import FORMS

BOS, EOS, PAD = 0, 1, 2
SPECIAL = ["<|begin_text|>", "<|end_text|>", "<|pad|>"]
ANSWER_CUE = "\nAnswer:"  # the wrapper of the chat template: prompt + cue + " " + answer
PATTERN = r" ?[A-Za-z]+| ?[0-9]| ?[^\sA-Za-z0-9]|\s"
WORDS = re.compile(PATTERN)


def byte_alphabet() -> dict[int, str]:
    """The usual printable stand-in for each of the 256 bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}


ALPHABET = byte_alphabet()


def merge(symbols: list[str], pair: tuple[str, str]) -> list[str]:
    """Join every occurrence of `pair`, left to right."""
    joined: list[str] = []
    for symbol in symbols:
        if joined and (joined[-1], symbol) == pair:
            joined[-1] += symbol
        else:
            joined.append(symbol)
    return joined


def count_words(samples: int, seed: int) -> Counter[str]:
    """Pre-tokens of `samples` generated problems of each form."""
    rng = Random(seed)
    words: Counter[str] = Counter()
    for _ in range(samples):
        for form in FORMS.values():
            problem = form.generate(rng, rng.randint(form.first, form.top))
            words.update(WORDS.findall(f"{problem.prompt}{ANSWER_CUE} {problem.answer}"))
    return words


def learn_merges(words: Counter[str], count: int) -> list[tuple[str, str]]:
    """The `count` most frequent pairs, one after the other; ties go to the alphabetically last."""
    split = {word: [ALPHABET[byte] for byte in word.encode()] for word in words}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, symbols in split.items():
            for pair in zip(symbols, symbols[1:]):
                pairs[pair] += words[word]
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, symbols in split.items():
            if best[0] in symbols and best[1] in symbols:
                split[word] = merge(symbols, best)
    return merges


def write_tokenizer(path: Path, vocabulary: int, samples: int = 4000, seed: int = 1) -> None:
    """Learn a tokenizer with `vocabulary` entries and write it."""
    merges = learn_merges(count_words(samples, seed), vocabulary - len(SPECIAL) - len(ALPHABET))
    tokens = SPECIAL + sorted(ALPHABET.values()) + [a + b for a, b in merges]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    isolate = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": i, "content": token, **flags} for i, token in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [isolate, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: i for i, token in enumerate(tokens)},
            "merges": [f"{a} {b}" for a, b in merges],
        },
    }
    path.write_text(json.dumps(document, ensure_ascii=False))


class Tokenizer:
    """Encodes text as ids, with the token that ends at a character offset."""

    def __init__(self, path: Path) -> None:
        model = json.loads(path.read_text())["model"]
        self.vocabulary: dict[str, int] = model["vocab"]
        self.rank = {tuple(pair.split(" ")): i for i, pair in enumerate(model["merges"])}
        self.cache: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self.vocabulary)

    def word(self, word: str) -> list[int]:
        """Ids of one pre-token."""
        if word not in self.cache:
            symbols = [ALPHABET[byte] for byte in word.encode()]
            while known := [pair for pair in zip(symbols, symbols[1:]) if pair in self.rank]:
                symbols = merge(symbols, min(known, key=self.rank.__getitem__))
            self.cache[word] = [self.vocabulary[symbol] for symbol in symbols]
        return self.cache[word]

    def encode(self, text: str, ends: Sequence[int] = ()) -> tuple[list[int], list[int]]:
        """Ids of `text`, and for each character offset in `ends` (a word's end) the index of its last token."""
        ids: list[int] = []
        last_token: dict[int, int] = {}
        position = 0
        for word in WORDS.findall(text):
            ids += self.word(word)
            position += len(word)
            last_token[position] = len(ids) - 1
        return ids, [last_token[end] for end in ends]
