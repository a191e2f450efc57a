"""The deciding model: a recurrent-depth transformer whose states say what a text means.

Beside the transformer there are a linear head from a state to the teacher's vector (it serves training and embeddings)
and the two matrices that match questions with options. Always f32 (under autocast on a GPU: bf16 products).
"""
from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from decider.rows import YES, Group, Ids, groups
from model import Config, Huginn, causal_mask

COSINE_SCALE = 20.0


class Decider(nn.Module):
    def __init__(self, config: Config, teacher_width: int) -> None:
        super().__init__()
        self.trunk = Huginn(config).eval()  # its training mode is bf16 products for CPUs that have them
        self.head = nn.Linear(config.width, teacher_width, bias=False)
        self.question = nn.Linear(config.width, config.width, bias=False)
        self.option = nn.Linear(config.width, config.width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(COSINE_SCALE)))
        self.none = nn.Parameter(torch.tensor(0.5))  # the cosine below which no option fits
        self.group_tokens = 3072
        self.word_dropout = 0.0

    def train(self, mode: bool = True) -> "Decider":
        super().train(mode)
        self.trunk.eval()
        return self

    @property
    def device(self) -> str:
        return str(self.trunk.wte.weight.device)

    def embed(self, group: Group) -> tuple[Tensor, object]:
        """The prelude's output; while training whole words go missing, never a marker: before it stands nothing to attend to."""
        trunk = self.trunk
        context = trunk.context(causal_mask(group.ids.shape[1]).to(group.ids.device))
        x = trunk.wte(group.ids) * math.sqrt(trunk.config.width)
        if self.training and self.word_dropout:
            x = x * ((torch.rand(x.shape[:2], device=x.device) >= self.word_dropout) | (group.ids <= YES))[..., None]
        for block in trunk.prelude:
            x = block(x, context)
        return x, context

    def run(self, group: Group, iterations: int, backprop: int | None = None) -> tuple[Tensor, object]:
        """The latent state [B, L, E] from a state of zeros; gradients through the last `backprop` iterations."""
        embedded, context = self.embed(group)
        state = torch.zeros_like(embedded)
        free = 0 if backprop is None else max(0, iterations - backprop)
        with torch.no_grad():
            for _ in range(free):
                state = self.trunk.iterate(state, embedded, context)
        for _ in range(iterations - free):
            state = self.trunk.iterate(state, embedded, context)
        return state, context

    def states(self, rows: list[Ids], iterations: int = 1) -> Tensor:
        """States at the ends of sequences, [N, E] in their order."""
        found, places = [], []
        for group in groups(rows, self.group_tokens, self.device):
            state, _ = self.run(group, iterations)
            found.append(state[torch.arange(len(group.last)), group.last])
            places.append(group.place)
        return torch.cat(found)[torch.cat(places).argsort()]

    def fits(self, rows: list[Ids], iterations: int) -> Tensor:
        """Fit scores of branches, [N]: the output state at a branch's end, times the token `yes`."""
        found, places = [], []
        for group in groups(rows, self.group_tokens, self.device):
            state, context = self.run(group, iterations, backprop=4)
            found.append(self.trunk.output(state, context, (torch.arange(len(group.last)), group.last)) @ self.trunk.wte.weight[YES])
            places.append(group.place)
        return torch.cat(found)[torch.cat(places).argsort()]

    def meaning(self, states: Tensor) -> Tensor:
        """Sentence vectors of length 1, [N, T]."""
        return F.normalize(self.head(states), dim=-1)

    def match(self, questions: Tensor, options: Tensor) -> Tensor:
        """Cosines of mapped states, [Q, E] and [O, E] -> [Q, O]."""
        return F.normalize(self.question(questions), dim=-1) @ F.normalize(self.option(options), dim=-1).t()

    @torch.no_grad()
    def begin_match(self, *heads: Tensor) -> None:
        """Match begins as the cosine that the heads [T, E] have together: their triangular factor has all their dot products."""
        factor = torch.linalg.qr(torch.cat([head / head.norm() for head in heads])).R
        factor = factor * math.sqrt(self.trunk.config.width) / factor.norm()
        self.question.weight.copy_(factor)
        self.option.weight.copy_(factor)
