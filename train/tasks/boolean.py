"""Boolean expressions: `not ( True ) and ( False ) is` -> `False`, with Python's precedence.

Level = operators and brackets, spread at random over flat and nested places.
"""
from __future__ import annotations

from random import Random

from .text import Problem, Writer

Valued = tuple[bool, int]  # value of a piece, and the height of its bracket tree


def atom(rng: Random, out: Writer, budget: int) -> Valued:
    """A constant, a negation or a bracket that spends exactly `budget` operators."""
    if budget <= 0:
        value = rng.random() < 0.5
        out.word(str(value))
        return value, 0
    if rng.random() < 0.34:
        out.word("not")
        value, height = atom(rng, out, budget - 1)
        return not value, height
    out.word("(")
    value, height = expression(rng, out, budget - 1)
    out.add(" )")
    out.label("value", value, 2 * height + 2)
    return value, height + 1


def split(rng: Random, total: int, parts: int) -> list[int]:
    """`total` operators over `parts` atoms, at random."""
    cuts = sorted(rng.randint(0, total) for _ in range(parts - 1))
    return [b - a for a, b in zip([0] + cuts, cuts + [total])]


def expression(rng: Random, out: Writer, budget: int) -> Valued:
    """Atoms joined by `and` and `or`; `and` binds tighter, so it is a disjunction of conjunctions."""
    count = 1 if budget <= 0 else rng.randint(1, min(budget, 3) + 1)
    closed: list[bool] = []  # conjunctions before the last `or`
    open_: list[bool] = []  # values of the conjunction being read
    height = 0
    for i, share in enumerate(split(rng, budget - (count - 1), count)):
        if i and rng.random() < 0.5:
            out.add(" and")
        elif i:
            out.add(" or")
            closed.append(all(open_))
            open_ = []
        value, inner = atom(rng, out, share)
        open_.append(value)
        height = max(height, inner)
        out.label("prefix", any(closed) or all(open_), 2 * height + 2)
    return any(closed) or all(open_), height


def boolean(rng: Random, level: int) -> Problem:
    """An expression of `level` operators and brackets."""
    out = Writer()
    value, height = expression(rng, out, level)
    out.add(" is")
    return out.problem(str(value), 2 * height + 3)
