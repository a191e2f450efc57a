"""Losses of branches: an option beside its question, thought about for some iterations, has a fit score of its own."""
from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from decider.network import Decider
from decider.sampler import Match, Sampler


def statement_loss(model: Decider, sampler: Sampler, count: int, iterations: int) -> tuple[Tensor, float, int]:
    """Statements hold (fit above 0) or do not. Loss, share that is right, tokens."""
    asked = sampler.statements(count)
    rows = [sampler.encoder.branch(row.input, row.instructions, "") for row in asked]
    fits = model.fits(rows, iterations)
    gold = torch.tensor([float(row.gold) for row in asked], device=fits.device)
    right = ((fits > 0) == (gold > 0.5)).float().mean().item()
    return F.binary_cross_entropy_with_logits(fits, gold), right, sum(len(row) for row in rows)


def branch_loss(
    model: Decider, sampler: Sampler, match: Match, table: Tensor, target: Tensor, count: int, candidates: int, iterations: int
) -> tuple[Tensor, float, int]:
    """The options that match best, judged by branch and match together: which is right, and whether any fits at all.

    Match learns nothing here; of a question whose right option is not among the best it takes the place of the last.
    """
    scores = table.detach() * model.log_scale.detach().exp()
    none = scores.shape[1] - 1
    best = scores[:count, :none].topk(min(candidates, none), dim=1).indices
    wanted = target[:count]
    missing = (wanted < none) & ~(best == wanted[:, None]).any(1)
    best[missing, -1] = wanted[missing]
    texts = match.option_texts
    rows = [
        sampler.encoder.branch(row.input, row.instructions, texts[option])
        for row, chosen in zip(match.asked[:count], best.tolist())
        for option in chosen
    ]
    total = model.fits(rows, iterations).view(best.shape) + scores[:count].gather(1, best)
    is_right = best == wanted[:, None]
    fit = F.binary_cross_entropy_with_logits(total, is_right.float())
    asked = wanted < none
    place = is_right.float().argmax(1)
    choice = F.cross_entropy(total[asked], place[asked])
    right = (total[asked].argmax(1) == place[asked]).float().mean().item()
    return fit + choice, right, sum(len(row) for row in rows)
