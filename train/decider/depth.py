"""What depth is taught by: the answer once enough iterations ran, and labels of every step on the way to it.

Three things are read from the latent state after each iteration, for training only: tokens (whose row is this, what does it
hold, what does it look for), bits (so far, is it true), and where one head of the core looks. A problem's branches share
its rows as they do in use: each sees the shared rows and itself.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from decider.forms import FORMS, Ask, Problem, Words
from decider.network import Decider
from decider.rows import PAD, QUESTION, YES, Encoder
from model import MASKED, Context

TOKEN_HEADS = ("owner", "value", "seek")
BIT_HEADS = ("claim", "parity")
BACKPROP = 3
EXTRA_ITERATIONS = 4  # more than the deepest problem has steps
LONG_ITERATIONS, LONG_SHARE = 24, 0.1  # sometimes many more, so that what is found stays
MASTERED, JUDGED_OVER, UNJUDGED = 0.9, 8, 0.6  # share of right answers that raises a level, draws it is averaged over, where it begins
BIT_WEIGHT = 6.0  # a bit's cross-entropy is at most 0.69, a token's begins at 5
STILL_WEIGHT = 10.0  # a row that goes on moving keeps its question from ending; it is one of sixty
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
class Packed:
    """Problems side by side: ids and positions [B, L], mask [B, 1, L, L]."""

    ids: Tensor
    context: Context
    problems: list[Problem]


def pack(model: Decider, problems: list[Problem]) -> Packed:
    """A row sees shared rows, its own question's, and its own branch's, of those before it."""
    length = max(problem.length for problem in problems)
    ids = torch.full((len(problems), length), PAD)
    positions, asks, parts = (torch.zeros(len(problems), length, dtype=torch.long) for _ in range(3))
    for b, problem in enumerate(problems):
        at = 0
        for ask, part, position, rows in pieces(problem):
            end = at + len(rows)
            ids[b, at:end] = torch.tensor(rows)
            positions[b, at:end] = torch.arange(position, position + len(rows))
            asks[b, at:end], parts[b, at:end] = ask, part
            at = end
        asks[b, at:] = -1
    same_ask = (asks[:, None] == 0) | (asks[:, None] == asks[:, :, None])
    same_part = (parts[:, None] == 0) | (parts[:, None] == parts[:, :, None])
    visible = same_ask & same_part & torch.ones(length, length, dtype=torch.bool).tril()
    mask = torch.where(visible, 0.0, MASKED)[:, None]
    device = model.device
    trunk, positions = model.trunk, positions.to(device)
    return Packed(ids.to(device), Context(trunk.cos[positions][:, None], trunk.sin[positions][:, None], mask.to(device)), problems)


def pieces(problem: Problem) -> Iterator[tuple[int, int, int, list[int]]]:
    """Number of the question (0: shared), of the branch (0: none), first position, rows."""
    yield 0, 0, 0, problem.shared
    branch_number = 0
    for number, ask in enumerate(problem.asks, 1):
        yield number, 0, len(problem.shared), ask.instructions
        for branch in ask.branches:
            branch_number += 1
            yield number, branch_number, len(problem.shared) + len(ask.instructions), branch.rows


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
        device = heads.candidates.device
        self.tokens = {name: rows_of(problems, "tokens", name, device, heads.place) for name in TOKEN_HEADS}
        self.bits = {name: rows_of(problems, "bits", name, device) for name in BIT_HEADS}
        self.looks = [rows_of(problems, "looks", block, device) for block in range(BLOCKS)]


def rows_of(
    problems: list[Problem], kind: str, name: str | int, device: torch.device, place: dict[int, int] | None = None
) -> Tensor:
    """[5, N]: batch row, row, class, from and to iteration."""
    found = [
        (b, row, place[value] if place else value, low, min(high, 10**6))
        for b, problem in enumerate(problems)
        for row, named, value, low, high in getattr(problem, kind)
        if named == name
    ]
    return torch.tensor(found, device=device).view(-1, 5).t()


def due(labels: Tensor, iteration: int) -> tuple[tuple[Tensor, Tensor], Tensor]:
    now = labels[:, (labels[3] <= iteration) & (iteration <= labels[4])]
    return (now[0], now[1]), now[2]


def depth_loss(
    model: Decider, heads: DepthHeads, problems: list[Problem], times: Sequence[int], match: bool, backprop: int = BACKPROP
) -> tuple[Tensor, dict[str, float]]:
    """Loss, and shares that are right: of answers that were due, of labels by head at the last iteration.

    `times` are the iterations' numbers by which labels and answers are due: 1, 2, 3 and so on, as many as are run.
    """
    packed, lessons = pack(model, problems), Lessons(problems, heads)
    trunk = model.trunk
    embedded = trunk.embed(packed.ids, packed.context)
    state = torch.zeros_like(embedded)
    losses: dict[str, list[Tensor]] = {}
    right: dict[str, float] = {}
    kept = None
    for number, done in enumerate(times, 1):
        learns = number > len(times) - backprop
        adapter, blocks = trunk.core_at(number)
        with torch.set_grad_enabled(learns and torch.is_grad_enabled()):
            x = adapter(torch.cat([state, embedded], -1))
            for n, block in enumerate(blocks):
                if learns:
                    rows, target = due(lessons.looks[n], done)
                    if len(target):
                        shares = looking(block, x, rows, packed)
                        losses.setdefault("look", []).append(F.nll_loss(shares, target))
                        right[f"look{n}"] = (shares.argmax(1) == target).float().mean().item()
                x = block(x, packed.context)
            before, state = state, x
            kept = state.detach() if number == 1 else kept
            if learns:
                settled = [b for b, problem in enumerate(problems) if number > 1 and done > 1 + max(ask.depth for ask in problem.asks)]
                if settled:
                    losses.setdefault("still", []).append(STILL_WEIGHT * movement(before[settled], state[settled]))
                read_labels(model, heads, lessons, state, done, losses, right)
    answered, found = answer_loss(model, packed, state, kept, times[-1], match)
    if answered is not None:
        losses["answer"] = [answered]
        right["answer"] = found
    return sum(torch.stack(parts).mean() for parts in losses.values()), right


def movement(before: Tensor, state: Tensor) -> Tensor:
    """How far states still move once the answer is known, by their length, squared."""
    return ((state - before).square().sum(-1) / state.square().sum(-1)).mean()


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
            losses.setdefault(name, []).append(BIT_WEIGHT * F.cross_entropy(scores, target))
            right[name] = (scores.argmax(1) == target).float().mean().item()


def answer_loss(model: Decider, packed: Packed, state: Tensor, first: Tensor, iterations: int, match: bool) -> tuple[Tensor | None, float]:
    """Fits of the branches that enough iterations ran for; of choices all of whose options are known, the right one among them.

    With `match`, it is added to the fits of a choice, as in use, and learns nothing here.
    """
    asks = [(b, ask, ends) for b, problem in enumerate(packed.problems) for ask, ends in ask_ends(problem)]
    places = tuple(torch.tensor([(b, end) for b, _, ends in asks for end in ends], device=state.device).t())
    fits = model.trunk.output(state, packed.context, places) @ model.trunk.wte.weight[YES]
    losses, choices, found = [], [], []
    for (b, ask, ends), own in zip(asks, fits.split([len(ends) for _, _, ends in asks])):
        if match and ask.options:
            own = own + matched(model, first[b, packed.problems[b].shared.index(QUESTION)], ask)
        known = torch.tensor([branch.depth <= iterations for branch in ask.branches], device=state.device)
        wanted = torch.tensor([float(branch.is_right) for branch in ask.branches], device=state.device)
        losses.append(F.binary_cross_entropy_with_logits(own, wanted, reduction="none")[known])
        if not known.all():
            continue
        if ask.options:
            choices.append(F.cross_entropy(own[None], wanted.argmax()[None]))
            found.append((own.argmax() == wanted.argmax()).item())
        else:
            found.append(((own[0] > 0) == (wanted[0] > 0)).item())
    every = torch.cat(losses)
    if not len(every):
        return None, 0.0
    loss = every.mean() + (torch.stack(choices).mean() if choices else 0)
    return loss, sum(found) / max(1, len(found))


@torch.no_grad()
def matched(model: Decider, question: Tensor, ask: Ask) -> Tensor:
    states = model.states([branch.rows for branch in ask.branches])
    return (model.match(question[None], states)[0] - model.none) * model.log_scale.exp()


def ask_ends(problem: Problem) -> Iterator[tuple[Ask, list[int]]]:
    """Questions and the last rows of their branches."""
    at = len(problem.shared)
    for ask in problem.asks:
        at += len(ask.instructions)
        ends = []
        for branch in ask.branches:
            at += len(branch.rows)
            ends.append(at - 1)
        yield ask, ends


class DepthSampler:
    """Draws problems, and how many iterations to think about them.

    A form begins with one step and gets one more whenever it is mastered: what comes after a step that is not yet
    found has labels that nothing could tell, and they drown the others.
    """

    def __init__(self, encoder: Encoder, seed: str) -> None:
        self.rng, self.words = Random(seed), Words(encoder)
        self.levels = dict.fromkeys(FORMS, 1)
        self.shares = dict.fromkeys(FORMS, UNJUDGED)

    def draw(self, form: str, tokens: int, most_hops: int) -> tuple[list[Problem], int]:
        """Problems of about `tokens` together, and iterations."""
        problems, left, most = [], tokens, min(most_hops, self.levels[form])
        while left > 0:
            problems.append(FORMS[form](self.rng, self.words, self.rng.randint(1, most), most))
            left -= problems[-1].length
        return problems, self.iterations(most)

    def judge(self, form: str, share: float) -> None:
        """Takes the share of right answers to a draw, and raises the level where they are mastered."""
        self.shares[form] += (share - self.shares[form]) / JUDGED_OVER
        if self.shares[form] > MASTERED:
            self.levels[form], self.shares[form] = self.levels[form] + 1, UNJUDGED

    def iterations(self, most_hops: int) -> int:
        """More often few, as each step is learned on top of the one before."""
        if self.rng.random() < LONG_SHARE:
            return self.rng.randint(most_hops, LONG_ITERATIONS)
        return self.rng.randint(2, self.rng.randint(EXTRA_ITERATIONS, most_hops + EXTRA_ITERATIONS))

    def state(self) -> dict:
        return {"rng": self.rng.getstate(), "levels": self.levels, "shares": self.shares}

    def restore(self, state: dict) -> None:
        self.rng.setstate(state["rng"])
        self.levels, self.shares = state.get("levels", self.levels), state.get("shares", self.shares)
