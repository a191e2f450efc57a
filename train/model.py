"""The recurrent-depth transformer of the Huginn family, for training on one CPU core (arXiv 2502.05171, section 3).

Exactly the published architecture: prelude, a core iterated r times on its own state, coda; sandwich norms, biased
queries and keys. Two things differ inside: rotary pairs are half-split here (weights.py permutes to interleaved), and
in training matrix products run in bf16 over f32 weights. Not an inference engine: no cache, no exits.
Shapes: B rows, L positions, E width, H heads, D = E / H.
"""
from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPS = 1e-6
ROPE_BASE = 50000.0
MASKED = -1e9


@dataclass(frozen=True)
class Config:
    """Sizes of a model; `mean_recurrence` scales the initial output projections."""

    vocabulary: int
    width: int = 128
    heads: int = 4
    mlp: int = 256
    prelude: int = 2
    core: int = 1
    coda: int = 1
    positions: int = 1024
    mean_recurrence: int = 12

    @property
    def std(self) -> float:
        return math.sqrt(2 / (5 * self.width))

    @property
    def effective_depth(self) -> int:
        return self.prelude + self.coda + self.core * self.mean_recurrence

    def as_dict(self) -> dict[str, int]:
        return asdict(self)


class Context(NamedTuple):
    """What every block needs besides its input: rotary tables [L, D] and an additive attention mask."""

    cos: Tensor
    sin: Tensor
    mask: Tensor  # training: bf16 [B*H, L, L]; otherwise f32 [L, L] or [B, 1, L, L]


class NormFunction(torch.autograd.Function):
    """RMS norm over the last axis with one pass of saved values."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        scale = (x.square().mean(-1, keepdim=True) + NORM_EPS).rsqrt_()
        normed = x * scale
        ctx.save_for_backward(normed, scale, weight)
        return normed * weight

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        normed, scale, weight = ctx.saved_tensors
        grad_weight = (grad * normed).reshape(-1, weight.numel()).sum(0)
        grad = grad * weight
        along = (grad * normed).mean(-1, keepdim=True)
        return torch.addcmul(grad, normed, along, value=-1).mul_(scale), grad_weight


class LinearFunction(torch.autograd.Function):
    """x W^T with f32 weights and gradients, bf16 products."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        flat, low = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(flat, low)
        ctx.shape = x.shape
        return torch.mm(flat, low.t()).float().view(*x.shape[:-1], weight.shape[0])

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        flat, low = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1]).bfloat16()
        return torch.mm(grad, low).float().view(ctx.shape), torch.mm(grad.t(), flat).float()


class AttentionFunction(torch.autograd.Function):
    """softmax(q k^T + mask) v in bf16; q, k, v [B*H, L, D] f32, q scaled by the caller."""

    @staticmethod
    def forward(ctx, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
        q, k, v = q.bfloat16(), k.bfloat16(), v.bfloat16()
        weights = torch.baddbmm(mask, q, k.transpose(1, 2)).softmax(-1)
        ctx.save_for_backward(q, k, v, weights)
        return torch.bmm(weights, v).float()

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, weights = ctx.saved_tensors
        grad = grad.bfloat16()
        grad_weights = torch.bmm(grad, v.transpose(1, 2))
        grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, torch.bfloat16)
        grad_q = torch.bmm(grad_scores, k)
        grad_k = torch.bmm(grad_scores.transpose(1, 2), q)
        grad_v = torch.bmm(weights.transpose(1, 2), grad)
        return grad_q.float(), grad_k.float(), grad_v.float(), None


class Linear(nn.Linear):
    """A matrix without bias; bf16 products while training, f32 otherwise."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return LinearFunction.apply(x, self.weight) if self.training else F.linear(x, self.weight)


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return NormFunction.apply(x, self.weight)


class Attention(nn.Module):
    """Causal self-attention with learned biases on queries and keys. [B, L, E] -> [B, L, E]"""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.Wqkv = Linear(width, 3 * width)
        self.qk_bias = nn.Parameter(torch.zeros(2, 1, heads, width // heads))
        self.proj = Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        rows, length, width = x.shape
        head_dim = width // self.heads
        qkv = self.Wqkv(x).view(rows, length, 3, self.heads, head_dim).permute(2, 0, 3, 1, 4)  # [3, B, H, L, D]
        qk = qkv[:2] + self.qk_bias.view(2, 1, self.heads, 1, head_dim)
        qk = qk * context.cos + qk.roll(head_dim // 2, -1) * context.sin
        q, k, v = qk[0] * head_dim**-0.5, qk[1], qkv[2]
        if self.training:
            flat = (t.reshape(rows * self.heads, length, head_dim) for t in (q, k, v))
            mixed = AttentionFunction.apply(*flat, context.mask).view(rows, self.heads, length, head_dim)
        else:
            mixed = (q @ k.transpose(-1, -2) + context.mask).softmax(-1) @ v
        return self.proj(mixed.transpose(1, 2).reshape(rows, length, width))


class GatedMLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc = Linear(width, 2 * inner)
        self.proj = Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.fc(x).chunk(2, -1)
        return self.proj(F.silu(gate) * up)


class SandwichBlock(nn.Module):
    """Norms before each part and after each sum."""

    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2, self.norm_3, self.norm_4 = (RMSNorm(width) for _ in range(4))
        self.attn = Attention(width, heads)
        self.mlp = GatedMLP(width, inner)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        x = self.norm_2(x + self.attn(self.norm_1(x), context))
        return self.norm_4(x + self.mlp(self.norm_3(x)))


def rotary_tables(positions: int, head_dim: int) -> tuple[Tensor, Tensor]:
    """cos and signed sin, [positions, head_dim], for x * cos + roll(x, head_dim / 2) * sin."""
    frequency = ROPE_BASE ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.arange(positions).float()[:, None] * frequency[None]
    return torch.cat([angle.cos(), angle.cos()], -1), torch.cat([-angle.sin(), angle.sin()], -1)


def causal_mask(length: int) -> Tensor:
    """f32 [L, L]"""
    return torch.full((length, length), MASKED).triu(1)


def packed_mask(document: Tensor, heads: int) -> Tensor:
    """Causal within a document only: numbers [B, L] -> bf16 [B*H, L, L], as the training path wants it."""
    rows, length = document.shape
    apart = document[:, :, None] != document[:, None, :]
    mask = causal_mask(length).expand(rows, length, length).masked_fill(apart, MASKED)
    return mask.bfloat16()[:, None].expand(rows, heads, length, length).reshape(rows * heads, length, length)


class Huginn(nn.Module):
    """Parameter names are the published tensor names without the prefix `transformer.`."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocabulary, config.width)
        self.prelude, self.core_block, self.coda = map(self.blocks, (config.prelude, config.core, config.coda))
        self.adapter = Linear(2 * config.width, config.width)
        self.ln_f = RMSNorm(config.width)
        cos, sin = rotary_tables(config.positions, config.width // config.heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.initialise()

    def blocks(self, count: int) -> nn.ModuleList:
        config = self.config
        return nn.ModuleList(SandwichBlock(config.width, config.heads, config.mlp) for _ in range(count))

    def initialise(self) -> None:
        """Truncated normal; projections back into the stream are smaller by the unrolled depth."""
        std = self.config.std
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.trunc_normal_(weight, std=std, a=-3 * std, b=3 * std)
                if name.endswith("proj.weight"):
                    weight.data.mul_(1 / math.sqrt(2 * self.config.effective_depth))

    def context(self, mask: Tensor) -> Context:
        length = mask.shape[-1]
        return Context(self.cos[:length], self.sin[:length], mask)

    def embed(self, ids: Tensor, context: Context) -> Tensor:
        """ids [B, L] -> the prelude's output [B, L, E], injected into every iteration."""
        x = self.wte(ids) * math.sqrt(self.config.width)
        for block in self.prelude:
            x = block(x, context)
        return x

    def initial_state(self, embedded: Tensor) -> Tensor:
        """A fresh random state [B, L, E]."""
        return torch.randn_like(embedded).clamp_(-3, 3) * math.sqrt(2 / 5)

    def core_at(self, _iteration: int) -> tuple[nn.Module, nn.ModuleList]:
        """Adapter and blocks of an iteration, counted from 1: the same ones in all."""
        return self.adapter, self.core_block

    def iterate(self, state: Tensor, embedded: Tensor, context: Context, iteration: int = 1) -> Tensor:
        """One core iteration, [B, L, E] -> [B, L, E]."""
        adapter, blocks = self.core_at(iteration)
        x = adapter(torch.cat([state, embedded], -1))
        for block in blocks:
            x = block(x, context)
        return x

    def output(self, state: Tensor, context: Context, select=None) -> Tensor:
        """Coda and last norm: [B, L, E], or [N, E] where `select` indexes the first two axes."""
        x = self.ln_f(state)
        for block in self.coda:
            x = block(x, context)
        if select is not None:
            x = x[select]
        return self.ln_f(x)

    def logits(self, state: Tensor, context: Context, select=None) -> Tensor:
        """Coda and tied head: [B, L, V], or [N, V] where `select` indexes the first two axes."""
        return F.linear(self.output(state, context, select), self.wte.weight)
