"""Generators of reasoning problems whose difficulty is a number of dependent steps, the level.

They are not data sets: every row is drawn anew, and rows of the held-out set are never drawn (see batches.py).
"""
from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Callable

from .arithmetic import arithmetic
from .boolean import boolean
from .liar import liar
from .navigation import navigation
from .text import HEADS, Label, Problem

__all__ = ["FORMS", "HEADS", "Form", "Label", "Problem"]


@dataclass(frozen=True)
class Form:
    """A generator, the levels it is trained on, and the levels the held-out set asks (some of them deeper)."""

    generate: Callable[[Random, int], Problem]
    first: int
    top: int
    eval_levels: tuple[int, ...]


FORMS: dict[str, Form] = {
    "liar": Form(liar, 1, 10, (2, 4, 6, 8, 10, 12, 14)),
    "arithmetic": Form(arithmetic, 1, 10, (2, 4, 6, 8, 10, 12, 14)),
    "boolean": Form(boolean, 1, 9, (2, 4, 6, 9, 11, 13)),
    "navigation": Form(navigation, 2, 10, (2, 4, 6, 8, 10, 12)),
}
