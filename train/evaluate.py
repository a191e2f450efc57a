"""Accuracy of a checkpoint on the held-out set by iterations, and where the latent-diff rule would stop.

f32, all positions of a prompt run to the same r. The exit is the reference's rule: the mean over the prompt's
positions of ||s_t - s_(t-1)|| / ||s_t|| falls below the threshold (arXiv 2502.05171, section 6.1).
A measure of the weights, not of an engine: no quantisation, no cache.

usage: evaluate.py RUN_DIR EVAL_DIR [--json FILE] [--threshold 0.03]
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

from evalset import read_rows
from export import load_average
from model import Huginn, causal_mask
from tasks import FORMS
from tokenizer import ANSWER_CUE, BOS, PAD, Tokenizer

DEPTHS = (1, 2, 4, 8, 16, 32)


def prompts(tokenizer: Tokenizer, rows: list[dict]) -> tuple[Tensor, Tensor, Tensor]:
    """ids [N, L] padded on the right, lengths [N], the answers' ids [N] (answers are one token)."""
    encoded = [[BOS, *tokenizer.encode(row["prompt"] + ANSWER_CUE)[0]] for row in rows]
    lengths = torch.tensor([len(ids) for ids in encoded])
    ids = torch.full((len(rows), int(lengths.max())), PAD)
    for i, prompt in enumerate(encoded):
        ids[i, : len(prompt)] = torch.tensor(prompt)
    answers = [tokenizer.encode(" " + row["answer"])[0] for row in rows]
    assert all(len(answer) == 1 for answer in answers)
    return ids, lengths, torch.tensor(answers)[:, 0]


@torch.no_grad()
def measure(model: Huginn, tokenizer: Tokenizer, rows: list[dict], threshold: float, seed: int = 5) -> dict:
    """Accuracy in % at each depth; mean exit iteration (32 if never) and accuracy of the answers given there."""
    torch.manual_seed(seed)
    ids, lengths, answers = prompts(tokenizer, rows)
    index = (torch.arange(len(rows)), lengths - 1)
    valid = (torch.arange(ids.shape[1]) < lengths[:, None]).float()
    context = model.context(causal_mask(ids.shape[1]))
    embedded = model.embed(ids, context)
    state = model.initial_state(embedded)
    accuracy: dict[int, float] = {}
    exits = torch.full((len(rows),), float(DEPTHS[-1]))
    answered = torch.zeros(len(rows), dtype=torch.bool)
    right_at_exit = torch.zeros(len(rows))
    for r in range(1, DEPTHS[-1] + 1):
        before, state = state, model.iterate(state, embedded, context)
        moved = (state - before).norm(dim=-1) / state.norm(dim=-1)
        stops = ~answered & (((moved * valid).sum(1) / lengths < threshold) | (r == DEPTHS[-1]))
        right = (model.logits(state, context, index).argmax(-1) == answers).float()
        exits[stops], right_at_exit[stops] = float(r), right[stops]
        answered |= stops
        if r in DEPTHS:
            accuracy[r] = 100 * right.mean().item()
    at_exit = 100 * right_at_exit.mean().item()
    return {"n": len(rows), "accuracy": accuracy, "exit": exits.mean().item(), "atExit": at_exit}


def table_row(name: str, level: int, cell: dict) -> str:
    accuracy = " | ".join(f"{value:.0f}" for value in cell["accuracy"].values())
    return f"| {name} | {level} | {cell['n']} | {accuracy} | {cell['exit']:.1f} | {cell['atExit']:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("eval", type=Path)
    parser.add_argument("--threshold", type=float, default=0.03)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, checkpoint = load_average(args.run / "checkpoint.pt")
    tokenizer = Tokenizer(args.run / "tokenizer.json")
    rows, table = read_rows(args.eval), []
    print(f"step {checkpoint['counters'][0]}; accuracy in % by iterations; exit = latent-diff < {args.threshold}")
    print("| form | level | n | " + " | ".join(f"r={r}" for r in DEPTHS) + " | exit at | accuracy there |")
    print("|---" * (len(DEPTHS) + 5) + "|")
    for name, form in FORMS.items():
        for level in form.eval_levels:
            chosen = [row for row in rows if (row["task"], row["level"]) == (name, level)]
            cell = measure(model, tokenizer, chosen, args.threshold)
            table.append({"task": name, "level": level, **cell})
            print(table_row(name, level, cell), flush=True)
    if args.json:
        args.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
