"""Muon for matrices, AdamW for the rest, one learning-rate shape for both, and a running average of the weights."""
from __future__ import annotations

from typing import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: Tensor, dtype: torch.dtype) -> Tensor:
    """The nearest (roughly) orthogonal matrix, five Newton-Schulz steps. [M, N] -> [M, N]"""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.t() if tall else matrix) / (matrix.norm() + 1e-7)
    x = x.to(dtype)
    for _ in range(5):
        gram = x @ x.t()
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return (x.t() if tall else x).float()


class Muon:
    """Momentum whose update is orthogonalised, with decoupled weight decay."""

    def __init__(
        self, matrices: list[Tensor], lr: float, weight_decay: float, momentum: float = 0.95, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        self.matrices, self.base_lr, self.lr, self.dtype = matrices, lr, lr, dtype
        self.weight_decay, self.momentum = weight_decay, momentum
        self.buffers = [torch.zeros_like(m) for m in matrices]

    @torch.no_grad()
    def step(self) -> None:
        for matrix, buffer in zip(self.matrices, self.buffers):
            buffer.lerp_(matrix.grad, 1 - self.momentum)
            update = orthogonalise(matrix.grad.lerp(buffer, self.momentum), self.dtype)
            stretch = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
            matrix.mul_(1 - self.lr * self.weight_decay).add_(update, alpha=-self.lr * stretch)


class Optimiser:
    """Both optimisers over a model and its training-only heads, with gradient clipping and a schedule by step."""

    def __init__(
        self, model: nn.Module, heads: nn.Module, muon_lr: float, adam_lr: float, clip: float = 1.0,
        muon_dtype: torch.dtype = torch.bfloat16,
    ) -> None:  # fmt: skip
        named = list(model.named_parameters())
        matrices = [p for name, p in named if p.ndim == 2 and not name.startswith("wte")]
        others = [p for name, p in named if p.ndim != 2 or name.startswith("wte")]
        self.parameters = [p for _, p in named] + list(heads.parameters())
        self.muon = Muon(matrices, muon_lr, weight_decay=0.05, dtype=muon_dtype)
        self.adam_lr, self.clip = adam_lr, clip
        self.adam = torch.optim.AdamW(
            [*others, *heads.parameters()], lr=adam_lr, betas=(0.9, 0.95), weight_decay=0.0, foreach=True
        )

    def scale(self, factor: float) -> None:
        self.muon.lr = self.muon.base_lr * factor
        for group in self.adam.param_groups:
            group["lr"] = self.adam_lr * factor

    def step(self, loss: Tensor) -> None:
        for parameter in self.parameters:
            parameter.grad = None
        loss.backward()
        for parameter in self.parameters:
            if parameter.grad is None:  # no answer (or no label) counted in this step
                parameter.grad = torch.zeros_like(parameter)
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.adam.step()
        self.muon.step()

    def state_dict(self) -> dict:
        return {"adam": self.adam.state_dict(), "muon": self.muon.buffers}

    def load_state_dict(self, state: dict) -> None:
        self.adam.load_state_dict(state["adam"])
        for buffer, saved in zip(self.muon.buffers, state["muon"]):
            buffer.copy_(saved)


def schedule(step: int, steps: int, warmup: int = 50, cooldown: float = 0.3) -> float:
    """Linear warm-up, constant, then linear cool-down over the last part."""
    left = 1 - step / steps
    return min(1.0, (step + 1) / warmup) * (1.0 if left > cooldown else max(0.02, left / cooldown))


class Average:
    """Exponential moving average of the weights: what is exported."""

    def __init__(self, parameters: Iterable[Tensor], decay: float) -> None:
        self.decay = decay
        self.values = [p.detach().clone() for p in parameters]

    @torch.no_grad()
    def update(self, parameters: Iterable[Tensor]) -> None:
        torch._foreach_mul_(self.values, self.decay)
        torch._foreach_add_(self.values, [p.detach() for p in parameters], alpha=1 - self.decay)
