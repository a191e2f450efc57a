"""Trains a small recurrent-depth model on generated reasoning problems, on one CPU core.

Per step one r is drawn (log-normal Poisson) and gradients flow through the last few iterations (arXiv 2502.05171,
section 4). Two things are added for small models: heads that read labels from the latent state, and a deadline: an
answer or label counts only if r allows its dependent steps. Nothing here ships with the model but its weights.

usage: train.py --out DIR --steps N [--resume]   (README.md has the command that made the published model)
"""
from __future__ import annotations

import argparse
import json
import math
import os
import random
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from batches import NO_TARGET, Batch, Sampler, tensors
from evalset import read_rows
from model import Config, Huginn
from optim import Average, Optimiser, schedule
from tasks import HEADS
from tokenizer import Tokenizer, write_tokenizer

BACKPROP_ITERATIONS = 4
SAVE_EVERY = 150
LOG_EVERY = 50


class StateHeads(nn.Module):
    """One linear layer that reads every kind of label from a state; each head owns a slice of its output."""

    def __init__(self, width: int) -> None:
        super().__init__()
        ends = torch.tensor(list(HEADS.values())).cumsum(0).tolist()
        self.slices = [slice(end - classes, end) for end, classes in zip(ends, HEADS.values())]
        self.linear = nn.Linear(width, ends[-1])
        nn.init.zeros_(self.linear.bias)

    def loss(self, state: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """state [B, L, E], labels [5, N] -> summed loss, and per head (right, seen) [heads, 2]."""
        row, position, head, value, _ = labels
        read = self.linear(state[row, position])
        total, score = read.new_zeros(()), torch.zeros(len(HEADS), 2)
        for h in head.unique().tolist():
            chosen = head == h
            output, wanted = read[chosen][:, self.slices[h]], value[chosen]
            if output.shape[1] == 1:  # a number, in tens
                error = output[:, 0] - wanted / 10
                total = total + error.square().clamp(max=4).sum()
                right = error.abs() < 0.3
            else:
                total = total + F.cross_entropy(output, wanted, reduction="sum")
                right = output.argmax(-1) == wanted
            score[h] = torch.tensor([right.sum().item(), len(wanted)])
        return total, score


class Trainer:
    """A model in training with everything needed to stop and to go on."""

    def __init__(self, args: argparse.Namespace, tokenizer: Tokenizer) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.model = Huginn(
            Config(len(tokenizer), args.width, args.heads, args.mlp, *args.layers, mean_recurrence=args.mean_r)
        )
        self.heads = StateHeads(args.width)
        held_out = {row["prompt"] for row in read_rows(args.held_out)}
        self.sampler = Sampler(tokenizer, dict(zip(args.forms, args.shares)), held_out, args.seed)
        self.optimiser = Optimiser(self.model, self.heads, args.muon_lr, args.adam_lr)
        self.average = Average(self.model.parameters(), args.ema)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.smooth_loss = 0.0
        self.score = torch.zeros(len(HEADS), 2)

    def draw_iterations(self) -> int:
        """r ~ 1 + Poisson(rate), ln rate ~ N(ln(mean) - 1/8, 1/2); the mean grows with the curriculum."""
        reached = max(mastery.level for mastery in self.sampler.mastery.values())
        mean = min(self.args.mean_r, 3 + reached)
        rate = math.exp(self.sampler.rng.gauss(math.log(mean) - 0.125, 0.5))
        return min(int(torch.poisson(torch.tensor(rate))) + 1, 4 * self.args.mean_r)

    def forward(self, batch: Batch, iterations: int) -> Tensor | None:
        """The loss of a batch at r = `iterations`, or None if no deadline was met."""
        model, context = self.model, self.model.context(batch.mask)
        embedded = model.embed(batch.ids, context)
        state = model.initial_state(embedded)
        tracked = min(BACKPROP_ITERATIONS, iterations)
        with torch.no_grad():
            for _ in range(iterations - tracked):
                state = model.iterate(state, embedded, context)
        label_loss, label_count = 0.0, 0
        for done in range(iterations - tracked + 1, iterations + 1):
            state = model.iterate(state, embedded, context)
            due = batch.labels[:, batch.labels[4] <= done]
            if due.shape[1]:
                loss, score = self.heads.loss(state, due)
                label_loss, label_count = label_loss + loss, label_count + due.shape[1]
                if done == iterations:
                    self.score += score
        losses = [label_loss / label_count] if label_count else []
        due_answers = (batch.targets != NO_TARGET) & (batch.depth <= iterations)
        if due_answers.any():
            losses.append(self.answer_loss(batch, model.logits(state, context, due_answers), due_answers))
        return sum(losses) if losses else None

    def answer_loss(self, batch: Batch, logits: Tensor, due: Tensor) -> Tensor:
        """logits [N, V] of the positions in `due`; also moves the curriculum."""
        targets, form = batch.targets[due], batch.form[due]
        right = (logits.argmax(-1) == targets).float()
        for i, name in enumerate(self.sampler.names):
            if (form == i).any():
                self.sampler.mastery[name].update(right[form == i].mean().item())
        loss = F.cross_entropy(logits, targets)
        self.smooth_loss += 0.02 * (loss.item() - self.smooth_loss)
        return loss

    def train_step(self) -> None:
        args = self.args
        self.optimiser.scale(schedule(self.step, args.steps))
        batch = tensors(self.sampler.rows(args.rows, args.length), args.length, args.heads)
        loss = self.forward(batch, self.draw_iterations())
        if loss is not None:
            self.optimiser.step(loss)
            self.average.update(self.model.parameters())
        self.step += 1
        self.tokens += batch.ids.numel()

    def report(self) -> str:
        """One line for the log."""
        forms = " ".join(f"{name}={m.level}:{m.accuracy:.2f}" for name, m in self.sampler.mastery.items())
        scores = zip(HEADS, self.score.tolist())
        heads = " ".join(f"{name}:{right / seen:.2f}" for name, (right, seen) in scores if seen)
        self.score.zero_()
        pace = f"{self.seconds / 60:.1f}min {self.seconds / self.step:.3f}s/step"
        return f"step {self.step} {pace} loss {self.smooth_loss:.3f} | {forms} | {heads}"

    def save(self, path: Path) -> None:
        """Everything to resume, and the averaged weights for export; atomic."""
        names = [name for name, _ in self.model.named_parameters()]
        state = {
            "config": self.model.config.as_dict(),
            "args": {k: str(v) if isinstance(v, Path) else v for k, v in vars(self.args).items()},
            "model": self.model.state_dict(),
            "average": dict(zip(names, self.average.values)),
            "heads": self.heads.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "mastery": {name: vars(mastery) for name, mastery in self.sampler.mastery.items()},
            "rng": self.sampler.rng.getstate(),
            "torch_rng": torch.get_rng_state(),
            "counters": (self.step, self.tokens, self.seconds, self.smooth_loss),
        }
        torch.save(state, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def load(self, path: Path) -> None:
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        for value, saved in zip(self.average.values, state["average"].values()):
            value.copy_(saved)
        self.heads.load_state_dict(state["heads"])
        self.optimiser.load_state_dict(state["optimiser"])
        for name, saved in state["mastery"].items():
            vars(self.sampler.mastery[name]).update(saved)
        self.sampler.rng.setstate(state["rng"])
        torch.set_rng_state(state["torch_rng"])
        self.step, self.tokens, self.seconds, self.smooth_loss = state["counters"]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="run folder: tokenizer, checkpoint, log")
    add("--held-out", type=Path, required=True, help="folder written by evalset.py; its prompts are never drawn")
    add("--steps", type=int, required=True)
    add("--resume", action="store_true", help="go on from the run folder's checkpoint")
    add("--seed", type=int, default=0)
    add("--forms", type=lambda s: s.split(","), default="liar,arithmetic,boolean,navigation")
    add("--shares", type=lambda s: [float(x) for x in s.split(",")], default="1,1,1,1.5")
    add("--vocabulary", type=int, default=1024)
    add("--width", type=int, default=128)
    add("--heads", type=int, default=4)
    add("--mlp", type=int, default=256)
    add("--layers", type=lambda s: [int(x) for x in s.split("/")], default="2/1/1", help="prelude/core/coda")
    add("--mean-r", type=int, default=12)
    add("--rows", type=int, default=16)
    add("--length", type=int, default=256)
    add("--muon-lr", type=float, default=0.007)
    add("--adam-lr", type=float, default=1.5e-3)
    add("--ema", type=float, default=0.995)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    tokenizer_path, checkpoint = args.out / "tokenizer.json", args.out / "checkpoint.pt"
    if not tokenizer_path.exists():
        write_tokenizer(tokenizer_path, args.vocabulary)
    trainer = Trainer(args, Tokenizer(tokenizer_path))
    if args.resume:
        trainer.load(checkpoint)
    with open(args.out / "log.txt", "a" if args.resume else "w", buffering=1) as log:
        log.write(json.dumps(vars(args), default=str) + "\n")
        while trainer.step < args.steps:
            begin = time.monotonic()
            trainer.train_step()
            trainer.seconds += time.monotonic() - begin
            if trainer.step % LOG_EVERY == 0:
                log.write(trainer.report() + "\n")
            if trainer.step % SAVE_EVERY == 0 or trainer.step == args.steps:
                trainer.save(checkpoint)


if __name__ == "__main__":
    main()
