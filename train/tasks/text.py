"""What every form of problem is made of: a prompt, its answer, and labels of the hidden state.

A label says which value the model's state should hold after a stretch of text, and after how many
iterations it can be known. Labels exist in training only: the exported model knows nothing of them.
"""
from __future__ import annotations

from dataclasses import dataclass, field

# Heads that read a label from the latent state: name -> classes; 1 class means a number, read in tens.
HEADS: dict[str, int] = {
    "truth": 2,  # liar: does this speaker tell the truth
    "digit": 10,  # arithmetic: the running last digit
    "value": 2,  # boolean: the value of a closed bracket
    "prefix": 2,  # boolean: the value of the expression so far, at this bracket depth
    "x_digit": 10,  # navigation: position modulo 10, the position itself, the heading
    "y_digit": 10,
    "x": 1,
    "y": 1,
    "heading": 4,
}


@dataclass(frozen=True)
class Label:
    """`head` should read `value` at the token ending at character `end`, from iteration `depth` on."""

    end: int
    head: str
    value: int
    depth: int


@dataclass(frozen=True)
class Problem:
    """One generated row. `depth` is the number of dependent steps before the answer can be known."""

    prompt: str
    answer: str
    depth: int
    labels: tuple[Label, ...]


@dataclass
class Writer:
    """Collects text and the labels of the places where it stands."""

    text: str = ""
    labels: list[Label] = field(default_factory=list)

    def add(self, piece: str) -> None:
        self.text += piece

    def word(self, piece: str) -> None:
        """Append a word, with a space unless it is the first."""
        self.text += (" " if self.text else "") + piece

    def label(self, head: str, value: int, depth: int) -> None:
        self.labels.append(Label(len(self.text), head, int(value), depth))

    def problem(self, answer: str, depth: int) -> Problem:
        return Problem(self.text, answer, depth, tuple(self.labels))
