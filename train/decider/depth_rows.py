"""Problems of forms.py as lines for `fathom eval --decisions`: by form and number of dependent steps, one file each."""
from __future__ import annotations

import json
from pathlib import Path
from random import Random

from decider.forms import FORMS, Problem, Words
from decider.rows import Encoder


def line(encoder: Encoder, problem: Problem, task: str) -> dict:
    """The first question about a problem, which takes all its steps."""
    ask = problem.asks[0]
    text, instructions = (encoder.tokenizer.decode(rows).strip() for rows in (problem.shared[1:-1], ask.instructions))
    right = next((i for i, branch in enumerate(ask.branches) if branch.is_right), None)
    if not ask.options:
        return {"task": task, "input": text, "question": {"type": "predicate", "instructions": instructions}, "gold": right == 0}
    question = {"type": "choice", "instructions": instructions, "choices": [{"value": option} for option in ask.options]}
    return {"task": task, "input": text, "question": question, "gold": ask.options[right]}


def write_depth_rows(tokenizer: Path, out: Path, hops: list[int], count: int, seed: int) -> None:
    encoder = Encoder(tokenizer)
    words = Words(encoder)
    out.mkdir(parents=True, exist_ok=True)
    for form, make in FORMS.items():
        for steps in hops:
            rng = Random(f"{seed} {form} {steps} rows")
            lines = [line(encoder, make(rng, words, steps), f"{form} k={steps}") for _ in range(count)]
            (out / f"{form}-{steps}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
