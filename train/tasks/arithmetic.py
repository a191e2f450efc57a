"""Running arithmetic: `Start with 4. Add 9. Double it. What is the last digit?` -> `6`.

Level = operations. Only the last digit is asked, so every step depends on the one before and on nothing else.
"""
from __future__ import annotations

from random import Random

from .text import Problem, Writer


def operation(rng: Random, value: int) -> tuple[str, int]:
    """One sentence and the last digit after it."""
    operand = rng.randrange(1, 10)
    kind = rng.random()
    if kind < 0.45:
        return f" Add {operand}.", (value + operand) % 10
    if kind < 0.9:
        return f" Subtract {operand}.", (value - operand) % 10
    return " Double it.", 2 * value % 10


def arithmetic(rng: Random, level: int) -> Problem:
    """`level` operations after a start value."""
    out = Writer()
    value = rng.randrange(10)
    out.add(f"{rng.choice(['Start with', 'Begin at'])} {value}.")
    out.label("digit", value, 1)
    for step in range(level):
        sentence, value = operation(rng, value)
        out.add(sentence)
        out.label("digit", value, step + 2)
    out.add(" What is the last digit?")
    return out.problem(str(value), level + 3)
