"""What a step is judged by: meaning (the teacher's vectors), match (the right option among all), branches (fit scores)."""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from decider.network import Decider
from decider.sampler import Match, Step
from decider.teacher import Vectors

NEIGHBOUR_SCALE = 12.0  # inverse temperature of the tables of similarity
BLOCKED = -1e4


def meaning_loss(model: Decider, states: Tensor, step: Step, vectors: Vectors) -> tuple[Tensor, Tensor]:
    """4 (1 - cosine) to the teacher, and the same neighbours in the batch. Also the cosine."""
    known = [i for i, index in enumerate(step.texts) if index >= 0]
    meant = model.meaning(states[known])
    target = F.normalize(vectors.get([step.texts[i] for i in known]), dim=-1).to(states.device)
    cosine = (meant * target).sum(-1)
    first = list({step.texts[i]: place for place, i in enumerate(known)}.values())  # a text that occurs twice is no neighbour
    self_ = torch.eye(len(first), dtype=torch.bool, device=states.device)
    tables = [(v @ v.t() * NEIGHBOUR_SCALE).masked_fill(self_, BLOCKED).log_softmax(-1) for v in (meant[first], target[first])]
    neighbours = F.kl_div(tables[0], tables[1], log_target=True, reduction="batchmean")
    return (1 - cosine).mean() * 4 + neighbours, cosine.mean()


def match_scores(model: Decider, states: Tensor, match: Match) -> tuple[Tensor, Tensor]:
    """Cosines [Q, O + 1], the last column the cosine below which none fits, options taken away blocked; and targets [Q]."""
    cosines = model.match(states[match.questions], states[match.options])
    gold = torch.tensor(match.gold, device=states.device)
    taken = torch.zeros_like(cosines, dtype=torch.bool)
    rows = (gold < -1).nonzero()[:, 0]
    taken[rows, -2 - gold[rows]] = True
    none = model.none.expand(len(gold), 1)
    table = torch.cat([cosines.masked_fill(taken, -1.0), none], 1)
    return table, torch.where(gold < 0, table.shape[1] - 1, gold)


def match_loss(model: Decider, table: Tensor, target: Tensor) -> tuple[Tensor, float]:
    """Cross-entropy over options and none; also the share of questions with a right option that find it."""
    loss = F.cross_entropy(table * model.log_scale.exp(), target)
    asked = target < table.shape[1] - 1
    found = table[asked, :-1].argmax(1) == target[asked]
    return loss, found.float().mean().item()
