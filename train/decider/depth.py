"""What depth is taught by: the answer once enough iterations ran, and labels of every step on the way to it.

Three things are read from the latent state after each iteration, for training only: tokens (whose row is this, what does it
hold, what does it look for), bits (so far, is it true), and where one head of the core looks. A problem's branches share
its rows as they do in use: each sees the shared rows and itself.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from decider.forms import FORMS, Problem, Words
from decider.network import Decider
from decider.rows import PAD, QUESTION, YES, Encoder
from model import MASKED, Context

TOKEN_HEADS = ("owner", "value", "seek")
BIT_HEADS = ("claim", "parity")
BACKPROP = 3
LOOKING_HEAD = 0  # the attention head, of each block of the core, that is told where to look
BLOCKS = 2


class DepthHeads(nn.Module):
    """Maps of a state to the token table, and bits; they stay behind when the model is exported."""

    def __init__(self, width: int, candidates: list[int]) -> None:
        super().__init__()
        self.maps = nn.ModuleDict({name: nn.Linear(width, width, bias=False) for name in TOKEN_HEADS})
        self.bits = nn.ModuleDict({name: nn.Linear(width, 2) for name in BIT_HEADS})
        for linear in self.maps.values():
            nn.init.eye_(linear.weight)
        self.register_buffer("candidates", torch.tensor(candidates), persistent=False)
        self.place = {token: i for i, token in enumerate(candidates)}


@dataclass
class Level:
    """How many dependent steps a form has reached; the next comes when it is mastered."""

    hops: int = 1
    accuracy: float = 0.0

    def update(self, right: float, most: int) -> None:
        self.accuracy += 0.1 * (right - self.accuracy)
        if self.accuracy > 0.8 and self.hops < most:
            self.hops, self.accuracy = self.hops + 1, 0.5


@dataclass
class Packed:
    """Problems side by side: ids and positions [B, L], mask [B, 1, L, L]."""

    ids: Tensor
    context: Context
    problems: list[Problem]


def pack(model: Decider, problems: list[Problem]) -> Packed:
    length = max(problem.length for problem in problems)
    ids = torch.full((len(problems), length), PAD)
    positions = torch.zeros(len(problems), length, dtype=torch.long)
    part = torch.zeros(len(problems), length, dtype=torch.long)  # 0 the shared rows, n the nth branch
    for b, problem in enumerate(problems):
        at = len(problem.shared)
        ids[b, :at], positions[b, :at] = torch.tensor(problem.shared), torch.arange(at)
        for n, branch in enumerate(problem.branches, 1):
            end = at + len(branch)
            ids[b, at:end] = torch.tensor(branch)
            positions[b, at:end] = torch.arange(len(problem.shared), len(problem.shared) + len(branch))
            part[b, at:end] = n
            at = end
        part[b, at:] = -1
    visible = ((part[:, None] == 0) | (part[:, None] == part[:, :, None])) & torch.ones(length, length, dtype=torch.bool).tril()
    mask = torch.where(visible, 0.0, MASKED)[:, None]
    device = model.device
    trunk, positions = model.trunk, positions.to(device)
    return Packed(ids.to(device), Context(trunk.cos[positions][:, None], trunk.sin[positions][:, None], mask.to(device)), problems)


def looking(block: nn.Module, x: Tensor, rows: tuple[Tensor, Tensor], packed: Packed) -> Tensor:
    """Where the told head of a block looks from some rows: log shares [N, L]."""
    attention, width = block.attn, x.shape[-1]
    size = width // attention.heads
    normed = block.norm_1(x)
    weight = attention.Wqkv.weight.view(3, attention.heads, size, width)[:2, LOOKING_HEAD]
    bias = attention.qk_bias[:, 0, LOOKING_HEAD]
    cos, sin = packed.context.cos[:, 0], packed.context.sin[:, 0]
    turned = lambda y, c, s: y * c + y.roll(size // 2, -1) * s  # noqa: E731
    query = turned(normed[rows] @ weight[0].t() + bias[0], cos[rows], sin[rows])
    key = turned(normed @ weight[1].t() + bias[1], cos, sin)
    scores = torch.einsum("nd,nld->nl", query, key[rows[0]]) * size**-0.5
    return (scores + packed.context.mask[rows[0], 0, rows[1]]).log_softmax(-1)


class Lessons:
    """Labels of a batch as tensors, [5 or 6, N] each: batch row, then as Problem has them."""

    def __init__(self, problems: list[Problem], heads: DepthHeads) -> None:
        self.tokens = {name: rows_of(problems, "tokens", name, heads.place) for name in TOKEN_HEADS}
        self.bits = {name: rows_of(problems, "bits", name) for name in BIT_HEADS}
        self.looks = [rows_of(problems, "looks", block) for block in range(BLOCKS)]


def rows_of(problems: list[Problem], kind: str, name: str | int, place: dict[int, int] | None = None) -> Tensor:
    """[5, N]: batch row, row, class, from and to iteration."""
    found = [
        (b, row, place[value] if place else value, low, min(high, 10**6))
        for b, problem in enumerate(problems)
        for row, named, value, low, high in getattr(problem, kind)
        if named == name
    ]
    return torch.tensor(found).view(-1, 5).t()


def due(labels: Tensor, iteration: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    now = labels[:, (labels[3] <= iteration) & (iteration <= labels[4])]
    return (now[0], now[1]), now[2]


def depth_loss(model: Decider, heads: DepthHeads, problems: list[Problem], iterations: int) -> tuple[Tensor, dict[str, float]]:
    """Loss, and shares that are right: of answers that were due, of labels by head at the last iteration."""
    packed, lessons = pack(model, problems), Lessons(problems, heads)
    trunk = model.trunk
    embedded = trunk.embed(packed.ids, packed.context)
    state = torch.zeros_like(embedded)
    losses: dict[str, list[Tensor]] = {}
    right: dict[str, float] = {}
    kept = None
    for done in range(1, iterations + 1):
        learns = done > iterations - BACKPROP
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            x = trunk.adapter(torch.cat([state, embedded], -1))
            for n, block in enumerate(trunk.core_block):
                if learns:
                    rows, target = due(lessons.looks[n], done)
                    if len(target):
                        shares = looking(block, x, rows, packed)
                        losses.setdefault("look", []).append(F.nll_loss(shares, target))
                        right[f"look{n}"] = (shares.argmax(1) == target).float().mean().item()
                x = block(x, packed.context)
            state = x
            kept = state.detach() if done == 1 else kept
            if learns:
                read_labels(model, heads, lessons, state, done, losses, right)
    answered, found = answer_loss(model, packed, state, kept, iterations)
    if answered is not None:
        losses["answer"] = [answered]
        right["answer"] = found
    return sum(torch.stack(parts).mean() for parts in losses.values()), right


def read_labels(
    model: Decider, heads: DepthHeads, lessons: Lessons, state: Tensor, done: int, losses: dict[str, list[Tensor]], right: dict[str, float]
) -> None:
    table = F.normalize(model.trunk.wte.weight[heads.candidates], dim=-1) * 12.0
    for name in TOKEN_HEADS:
        rows, target = due(lessons.tokens[name], done)
        if len(target):
            scores = F.normalize(heads.maps[name](state[rows]), dim=-1) @ table.t()
            losses.setdefault(name, []).append(F.cross_entropy(scores, target))
            right[name] = (scores.argmax(1) == target).float().mean().item()
    for name in BIT_HEADS:
        rows, target = due(lessons.bits[name], done)
        if len(target):
            scores = heads.bits[name](state[rows])
            losses.setdefault(name, []).append(F.cross_entropy(scores, target))
            right[name] = (scores.argmax(1) == target).float().mean().item()


def answer_loss(model: Decider, packed: Packed, state: Tensor, first: Tensor, iterations: int) -> tuple[Tensor | None, float]:
    """Of the problems whose depth is reached. Match is added to the fits of a choice, as in use, and learns nothing here."""
    ready = [b for b, problem in enumerate(packed.problems) if problem.depth <= iterations]
    if not ready:
        return None, 0.0
    ends = [(b, end) for b in ready for end in branch_ends(packed.problems[b])]
    places = tuple(torch.tensor(column) for column in zip(*ends))
    fits = model.trunk.output(state, packed.context, places) @ model.trunk.wte.weight[YES]
    losses, found = [], 0
    for b, own in zip(ready, fits.split([len(packed.problems[b].branches) for b in ready])):
        problem = packed.problems[b]
        if problem.is_predicate:
            losses.append(F.binary_cross_entropy_with_logits(own[0], torch.tensor(float(problem.gold))))
            found += int((own[0] > 0).item() == bool(problem.gold))
            continue
        total = own + matched(model, first[b, problem.shared.index(QUESTION)], problem)
        wanted = torch.zeros_like(own)
        wanted[problem.gold] = 1
        losses.append(F.cross_entropy(total[None], torch.tensor([problem.gold])) + F.binary_cross_entropy_with_logits(total, wanted))
        found += int(total.argmax().item() == problem.gold)
    return torch.stack(losses).mean(), found / len(ready)


@torch.no_grad()
def matched(model: Decider, question: Tensor, problem: Problem) -> Tensor:
    states = model.states(problem.branches)
    return (model.match(question[None], states)[0] - model.none) * model.log_scale.exp()


def branch_ends(problem: Problem) -> list[int]:
    at, ends = len(problem.shared), []
    for branch in problem.branches:
        at += len(branch)
        ends.append(at - 1)
    return ends


class DepthSampler:
    """Draws problems of one number of steps at a time, so that a batch needs the same iterations."""

    def __init__(self, encoder: Encoder, seed: str) -> None:
        self.rng, self.words = Random(seed), Words(encoder)
        self.levels = {name: Level() for name in FORMS}

    def draw(self, form: str, tokens: int) -> tuple[list[Problem], int, int]:
        """Problems of about `tokens` together, their steps, and how many iterations to run."""
        reached = self.levels[form].hops
        hops = reached if self.rng.random() < 0.4 else self.rng.randint(1, reached)
        problems, left = [], tokens
        while left > 0:
            problems.append(FORMS[form](self.rng, self.words, hops))
            left -= problems[-1].length
        needed = max(problem.depth for problem in problems)
        iterations = needed + self.rng.randint(0, 3) if self.rng.random() < 0.7 else self.rng.randint(2, needed)
        return problems, hops, iterations

    def state(self) -> dict:
        return {"rng": self.rng.getstate(), "levels": {name: (level.hops, level.accuracy) for name, level in self.levels.items()}}

    def restore(self, state: dict) -> None:
        self.rng.setstate(state["rng"])
        for name, (hops, accuracy) in state["levels"].items():
            self.levels[name] = Level(hops, accuracy)
