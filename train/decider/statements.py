"""The last stage: statements that hold or do not, read by coda and the token `yes` from a trunk that stays as it is.

What texts mean is in the states already, so they are computed once and kept; only the coda, the last norm and one row of
the table learn, in minutes, and nothing that match and embeddings know is lost.
"""
from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from decider import together
from decider.network import Decider
from decider.rows import YES, Encoder, groups
from decider.sets import DecisionSet, Row
from model import causal_mask
from optim import Average, Optimiser


@dataclass(frozen=True)
class ReadStage:
    """Settings of the stage: passes over all statements, states kept after one of `iterations` each."""

    passes: int
    iterations: tuple[int, ...]
    most: int = 10**9  # statements of a set
    groups: int = 4  # a step
    token_dropout: float = 0.1
    muon_lr: float = 0.01
    adam_lr: float = 0.002
    warmup: int = 30
    average: float = 0.99


@dataclass(frozen=True)
class KeptGroup:
    """States [B, L, E] f16 of statements of like length, where each ends [B], and whether it holds [B]."""

    states: Tensor
    last: Tensor
    holds: Tensor


class Reader(nn.Module):
    """What learns: coda, last norm, the row of `yes`. Starts from the model's own, and gives them back."""

    def __init__(self, model: Decider) -> None:
        super().__init__()
        self.coda, self.ln_f = model.trunk.coda, model.trunk.ln_f
        self.yes = nn.Parameter(model.trunk.wte.weight[YES].detach().clone())
        self.context = model.trunk.context

    def fits(self, states: Tensor, last: Tensor) -> Tensor:
        context = self.context(causal_mask(states.shape[1]))
        x = self.ln_f(states)
        for block in self.coda:
            x = block(x, context)
        return self.ln_f(x[torch.arange(len(last)), last]) @ self.yes


@torch.no_grad()
def kept_groups(model: Decider, encoder: Encoder, rows: list[Row], iterations: tuple[int, ...], rng: Random) -> list[KeptGroup]:
    kept = []
    holds = torch.tensor([float(row.gold == 1) for row in rows])
    for group in groups([encoder.branch(row.input, row.instructions, "") for row in rows], model.group_tokens // 2, "cpu"):
        states, _ = model.run(group, rng.choice(iterations))
        kept.append(KeptGroup(states.half(), group.last, holds[group.place]))
    return kept


def train_reader(model: Decider, encoder: Encoder, sets: dict[str, DecisionSet], stage: ReadStage, seed: int, log) -> int:
    """Trains in place; the number of steps."""
    rng = Random(f"{seed} {together.RANK}")
    torch.manual_seed(seed + together.RANK)
    rows = [row for one in sets.values() for row in Random(seed).sample(one.train, min(stage.most, len(one.train)))]
    Random(seed).shuffle(rows)
    begin = time.monotonic()
    model.eval()
    kept = kept_groups(model, encoder, rows[together.RANK :: together.WORLD], stage.iterations, rng)
    log.write(f"{len(rows)} statements, states of {len(kept)} groups kept in {time.monotonic() - begin:.0f} s\n")
    reader = Reader(model)
    optimiser = Optimiser(reader, nn.ModuleList(), stage.muon_lr, stage.adam_lr, muon_dtype=torch.float32)
    average = Average(reader.parameters(), stage.average)
    steps = int(together.agree_on(stage.passes * len(kept) // stage.groups))
    order: list[KeptGroup] = []
    smooth = 0.7
    for step in range(steps):
        optimiser.scale(min(1.0, (step + 1) / stage.warmup) * max(0.02, 1 - step / steps))
        loss = torch.zeros(())
        for _ in range(stage.groups):
            order = order or rng.sample(kept, len(kept))
            loss = loss + group_loss(reader, order.pop(), stage.token_dropout)
        optimiser.step(loss / stage.groups)
        if (step + 1) % together.EVERY == 0:
            together.average([parameter.data for parameter in reader.parameters()])
        average.decay = min(stage.average, (step + 1) / (step + 10))
        average.update(reader.parameters())
        smooth += 0.05 * (loss.item() / stage.groups - smooth)
        if step % 25 == 0:
            log.write(f"read {step} of {steps} {(time.monotonic() - begin) / 60:.1f} min loss {smooth:.3f}\n")
    for parameter, value in zip(reader.parameters(), average.values):
        parameter.data.copy_(value)
    model.trunk.wte.weight.data[YES] = reader.yes.data
    return steps


def group_loss(reader: Reader, group: KeptGroup, dropout: float) -> Tensor:
    """Mean over the group's statements; whole tokens' states go missing, never the last, which is read."""
    states = group.states.float()
    stays = torch.rand(states.shape[:2]) >= dropout
    stays[torch.arange(len(group.last)), group.last] = True
    stays[:, 0] = True  # before it stands nothing to attend to
    return F.binary_cross_entropy_with_logits(reader.fits(states * stays[..., None], group.last), group.holds)
