"""The teacher's sentence vectors: made once, text by text, kept in a file that training reads while it is still growing.

texts.jsonl holds the texts in order, vectors.f16 their vectors [N, T] of length 1, `done` how many there are. The teacher
is a sentence encoder in the transformers format that averages its last states (all-MiniLM-L6-v2).
"""
from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from decider.texts import text_digests

BLOCK, BATCH, TEACHER_TOKENS = 2048, 64, 64


class Vectors:
    """Texts of a teacher's folder and the vectors that are there by now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: list[str] = [json.loads(line) for line in (folder / "texts.jsonl").open()]
        self.index = {text: i for i, text in enumerate(self.texts)}
        bytes_ = (folder / "vectors.f16").stat().st_size
        self.width = bytes_ // 2 // len(self.texts)
        self.values = np.memmap(folder / "vectors.f16", np.float16, "r", shape=(len(self.texts), self.width))
        self.digests = text_digests(self.texts, folder / "digests.npy")
        self.refresh()

    def refresh(self) -> None:
        self.done = int((self.folder / "done").read_text())

    def get(self, indices: list[int]) -> torch.Tensor:
        return torch.from_numpy(self.values[indices].astype(np.float32))


def teach(folder: Path, teacher: Path, stop_after: int | None = None) -> None:
    """Goes on where `done` says, a block of texts at a time."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(teacher), AutoModel.from_pretrained(teacher).eval()
    texts = [json.loads(line) for line in (folder / "texts.jsonl").open()]
    path, counter = folder / "vectors.f16", folder / "done"
    shape = (len(texts), model.config.hidden_size)
    values = np.memmap(path, np.float16, "r+" if path.exists() else "w+", shape=shape)
    done = int(counter.read_text()) if counter.exists() else 0
    begin, first = time.monotonic(), done
    while done < min(len(texts), stop_after or len(texts)):
        block = sorted(range(done, min(done + BLOCK, len(texts))), key=lambda i: len(texts[i]))
        for at in range(0, len(block), BATCH):
            chosen = block[at : at + BATCH]
            values[chosen] = sentence_vectors(model, tokenizer, [texts[i] for i in chosen]).numpy().astype(np.float16)
        done += len(block)
        values.flush()
        (folder / "done.part").write_text(str(done))
        os.replace(folder / "done.part", counter)
        print(f"{done} of {len(texts)} texts, {(done - first) / (time.monotonic() - begin):.0f} a second", flush=True)


@torch.inference_mode()
def sentence_vectors(model, tokenizer, texts: list[str]) -> torch.Tensor:
    batch = tokenizer(texts, padding=True, truncation=True, max_length=TEACHER_TOKENS, return_tensors="pt")
    states, mask = model(**batch).last_hidden_state, batch["attention_mask"][..., None].float()
    return F.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
