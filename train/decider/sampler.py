"""What a training step is made of: texts to distil, questions with their options, statements that hold or do not."""
from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from decider.rows import Encoder, Ids
from decider.sets import DecisionSet, Row
from decider.teacher import Vectors
from decider.together import RANK, WORLD

OPTION_SHARE = 0.3  # of texts to distil that are put as options are


@dataclass
class Step:
    """Rows whose last states are wanted; what each should mean; which rows are questions of which set."""

    rows: list[Ids] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)  # by row: index of the teacher's text, -1 where it has none
    matches: list["Match"] = field(default_factory=list)
    tokens: int = 0

    def add(self, row: Ids, text: int) -> int:
        self.rows.append(row)
        self.texts.append(text)
        self.tokens += len(row)
        return len(self.rows) - 1


@dataclass
class Match:
    """Questions of one set and its options, as indices of a step's rows. Gold: index of the options, -1 for none."""

    name: str
    questions: list[int]
    options: list[int]
    gold: list[int]
    asked: list[Row]
    option_texts: list[str]


class Sampler:
    """Draws steps; its state is its random generator's and how far it is through the corpus."""

    def __init__(
        self, sets: dict[str, DecisionSet], weights: dict[str, float], vectors: Vectors, encoder: Encoder, banned: frozenset[int],
        seed: int,
    ) -> None:  # fmt: skip
        self.rng = Random(f"{seed} {RANK}")
        self.vectors, self.encoder = vectors, encoder
        self.sets = sets
        self.choices = {name: weights[name] for name, one in sets.items() if not one.is_predicate and weights[name]}
        self.predicates = {name: weights[name] for name, one in sets.items() if one.is_predicate and weights[name]}
        self.allowed = [i for i, text in enumerate(vectors.digests) if text not in banned][RANK::WORLD]
        self.passes = self.at = 0
        self.usable, self.order = 0, []

    def known(self, text: str) -> int:
        index = self.vectors.index.get(text, -1)
        return index if index < self.vectors.done else -1

    def next_text(self) -> int:
        """Texts in the order in which the teacher reads them, then all again in random order."""
        if self.at >= len(self.order):
            self.vectors.refresh()
            fresh = self.usable
            while self.usable < len(self.allowed) and self.allowed[self.usable] < self.vectors.done:
                self.usable += 1
            if self.usable - fresh > 4096 or (fresh == 0 and self.usable):
                self.order = self.allowed[fresh : self.usable]
            else:
                self.order = self.rng.sample(self.allowed[: self.usable], min(8192, self.usable))
            self.order = self.rng.sample(self.order, len(self.order))
            self.at = 0
        self.at += 1
        self.passes += 1
        return self.order[self.at - 1]

    def add_texts(self, step: Step, tokens: int) -> None:
        end = step.tokens + tokens
        while step.tokens < end:
            index = self.next_text()
            put = self.encoder.option if self.rng.random() < OPTION_SHARE else self.encoder.question
            step.add(put(self.vectors.texts[index]), index)

    def add_match(self, step: Step, name: str, questions: int, most_options: int, removed: float) -> None:
        """Questions of a set against its options; a share of them has its right option taken away (gold -1)."""
        rows = self.rng.choices(self.sets[name].train, k=questions)
        options = rows[0].options
        index = list(range(len(options)))
        if len(options) > most_options:
            needed = {row.gold for row in rows if row.gold is not None}
            others = [i for i in index if i not in needed]
            index = sorted(needed) + self.rng.sample(others, max(0, most_options - len(needed)))
        place = {gold: i for i, gold in enumerate(index)}
        option_rows = [step.add(self.encoder.option(options[i]), self.known(options[i])) for i in index]
        question_rows = [step.add(self.encoder.question(row.input), self.known(row.input)) for row in rows]
        gold = [-1 if row.gold is None else place[row.gold] for row in rows]
        gold = [-2 - g if g >= 0 and self.rng.random() < removed else g for g in gold]  # -2 - g: g is taken away
        step.matches.append(Match(name, question_rows, option_rows, gold, rows, [options[i] for i in index]))

    def draw(self, tokens: int, share: float, sets: int, questions: int, most_options: int, removed: float) -> Step:
        """A step of about `tokens`, `share` of it questions of so many sets."""
        step = Step()
        names, weights = list(self.choices), list(self.choices.values())
        if share:
            chosen = set()
            while len(chosen) < min(sets, len(names)):
                chosen.add(self.rng.choices(names, weights)[0])
            for name in sorted(chosen):
                self.add_match(step, name, questions, most_options, removed)
        self.add_texts(step, max(0, round(tokens * (1 - share))))
        return step

    def statements(self, count: int) -> list[Row]:
        """Rows of predicates, of several sets."""
        names, weights = list(self.predicates), list(self.predicates.values())
        return [self.rng.choice(self.sets[name].train) for name in self.rng.choices(names, weights, k=count)]

    def state(self) -> dict:
        return {"rng": self.rng.getstate(), "passes": self.passes, "usable": self.usable}

    def restore(self, state: dict) -> None:
        self.rng.setstate(state["rng"])
        if RANK:  # the state is the first process's
            self.rng = Random(f"{self.rng.random()} {RANK}")
        self.passes, self.usable = state["passes"], state["usable"]
