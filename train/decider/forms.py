"""Problems whose difficulty is how many steps depend on each other: chains of liars, and things that change hands.

A problem is its rows as tokens, and labels of what the rows' states should hold from which iteration on: training reads
them, the exported model knows nothing of them. Every name and thing is one token, so that a label is a token too.
"""
from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from decider.rows import BEGIN, FITS, OPTION, QUESTION, YES, Encoder
from tasks.liar import COMMON

MORE_NAMES = """Yara Cy Otis Jill Iris Yves Lars Ned Gus Meg Omar Eva Will Quin Max Bert Jay Bea Ege Lee Ola Mia Nate Tara Sam Ben
Ike Pia Gail Ray Dale Erin Dov Vic Fred Uma Sue Val Gil Wes Vera Xena Nia Pat Ugo Liv Gwen Kai Alix Kurt Jon Hal Tom Cal Zoe Zed
Dee Bo Cleo Zara Kim Tess Eli Ana Seth Fay Ida Wade Amy Cora Abe Flo Dan Finn Pam Ulla Yul Hana Rex Rosa Alice Bob Claire Dave
Eve Gertrude Ada Cem Anna Bill Carol Frank Henry Jack Kate Laura Mark Nick Paul Peter Ruth Steve Susan Tim Emily Jane John Mary
David James Robert Linda Karen Lisa Nancy Betty Helen Sandra Donna Michael Sarah George""".split()
THINGS = """hat coin box pen cup ball umbrella book key scarf ring lamp map card phone watch plate spoon bag shirt shoe camera
bottle drum flag glass jacket knife letter mirror necklace orange paper pencil photo radio rope stamp stone
ticket toy violin apple brush clock coat comb guitar hammer""".split()
FOREVER = 10**6


@dataclass
class Branch:
    """An option behind its question; whether it is right, and how many iterations it takes to know."""

    rows: list[int]
    is_right: bool
    depth: int


@dataclass
class Ask:
    """One question about a problem: its rows, then its branches, which see them and not each other."""

    instructions: list[int]
    branches: list[Branch]
    options: list[str] = field(default_factory=list)  # of a predicate: none

    @property
    def depth(self) -> int:
        return max(branch.depth for branch in self.branches)


@dataclass
class Problem:
    """Shared rows, then questions about them. Labels count rows through shared rows, questions and branches in order."""

    shared: list[int] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    tokens: list[tuple[int, str, int, int, int]] = field(default_factory=list)  # row, head, token, from and to iteration
    bits: list[tuple[int, str, int, int, int]] = field(default_factory=list)  # row, head, 0 or 1, from and to iteration
    looks: list[tuple[int, int, int, int, int]] = field(default_factory=list)  # row, block, looked-at row, from and to iteration

    @property
    def length(self) -> int:
        return len(self.shared) + sum(len(ask.instructions) + sum(len(branch.rows) for branch in ask.branches) for ask in self.asks)


class Words:
    """Tokens of words; the names and things that are one token."""

    def __init__(self, encoder: Encoder, most_names: int | None = None) -> None:
        self.encoder = encoder
        self.kept: dict[str, list[int]] = {}
        self.names = [name for name in dict.fromkeys([*MORE_NAMES, *COMMON]) if self.is_one(name)][:most_names]
        self.things = [thing for thing in THINGS if self.is_one(thing)]
        self.candidates = [self.token(word) for word in [*self.names, *self.things]] + [YES]

    def is_one(self, word: str) -> bool:
        return len(self.ids(f" {word}")) == 1

    def ids(self, text: str) -> list[int]:
        """Of text that ends where a word or a sign does, so that pieces put together are the whole's tokens."""
        if text not in self.kept:
            self.kept[text] = self.encoder.tokens(text, FOREVER)
        return self.kept[text]

    def token(self, word: str) -> int:
        return self.ids(f" {word}")[0]


class Writer:
    """Collects rows; `places` are the last tokens of each piece."""

    def __init__(self, words: Words) -> None:
        self.words, self.rows = words, [BEGIN]

    def add(self, text: str) -> int:
        """Adds words, a space before each; returns the last token's row."""
        for piece in split(text):
            self.rows += self.words.ids(piece.removeprefix(" ") if len(self.rows) == 1 else piece)
        return len(self.rows) - 1


def split(text: str) -> list[str]:
    """Words with their space, and signs apart: tokens never cross these borders."""
    pieces = []
    for word in text.split():
        end = len(word.rstrip(".,?:"))
        pieces += [f" {word[:end]}"] if end else []
        pieces += list(word[end:])
    return pieces


CLAIMS = ["{a} says {b} {c}.", "{a} says that {b} {c}.", "According to {a}, {b} {c}.", "{a} says {b} {c}.", "{a} claims that {b} {c}."]
HONEST, LYING = ["tells the truth", "is honest", "tells the truth", "is truthful"], ["lies", "is a liar", "lies", "is lying"]
FACT_HONEST, FACT_LYING = [*HONEST, "always tells the truth"], [*LYING, "always lies"]
ASK_LIAR = [("Does {a} tell the truth?", 0), ("Is {a} telling the truth?", 0), ("{a} tells the truth.", 0), ("Is {a} honest?", 0), ("Does {a} lie?", 1), ("{a} is a liar.", 1)]  # fmt: skip


MOST_SPEAKERS_ASKED = 8


def liars(rng: Random, words: Words, hops: int, most_asked: int = FOREVER) -> Problem:
    """A chain of `hops` claims that ends at somebody known; mostly in any order, and mostly beside another chain.

    Asked about are speakers whose answer takes at most `most_asked` claims.
    """
    style = rng.random()
    other = 0 if style < 0.3 else hops if style < 0.7 else rng.randint(0, 12)
    names = rng.sample(words.names, hops + 1 + (other + 1 if other or style >= 0.3 else 0))
    chains = [chain for chain in (names[: hops + 1], names[hops + 1 :]) if chain]
    said = [(name, chain[i - 1] if i else None, rng.random() < 0.5) for chain in chains for i, name in enumerate(chain)]
    if rng.random() < 0.75:
        rng.shuffle(said)
    return told(rng, words, chains, said, most_asked)


def relays(rng: Random, words: Words, hops: int, most_asked: int = FOREVER) -> Problem:
    """Two chains in any order whose claims are all that somebody tells the truth: one chain ends at somebody who does.

    Where a chain ends is all that its answer depends on, so that steps are followed and nothing is worked out in them.
    """
    names, first_is_true = rng.sample(words.names, 2 * hops + 2), rng.random() < 0.5
    chains = [names[: hops + 1], names[hops + 1 :]]
    said = [(name, chain[i - 1] if i else None, i > 0 or first_is_true == (chain is chains[0])) for chain in chains for i, name in enumerate(chain)]
    rng.shuffle(said)
    return told(rng, words, chains, said, most_asked)


def told(rng: Random, words: Words, chains: list[list[str]], said: list[tuple[str, str | None, bool]], most_asked: int) -> Problem:
    """What is said in sentences, and questions about speakers."""
    writer, problem = Writer(words), Problem()
    if rng.random() < 0.15:
        writer.add("Question:")
    ends = {}
    for name, about, claim in said:
        verb = rng.choice((HONEST if claim else LYING) if about else (FACT_HONEST if claim else FACT_LYING))
        row = writer.add(rng.choice(CLAIMS).format(a=name, b=about, c=verb) if about else f"{name} {verb}.")
        ends[name] = row
        problem.tokens += [(row, "owner", words.token(name), 1, FOREVER), (row, "value", words.token(about) if about else YES, 1, FOREVER)]
        problem.bits.append((row, "claim", int(claim), 1, FOREVER))
    problem.shared = [*writer.rows, QUESTION]
    claims = {name: claim for name, _, claim in said}
    starts = [chain[: end + 1] for chain in chains for end in range(min(len(chain), most_asked + 1))]
    for chain in [chains[0], *rng.sample(starts, min(len(starts), MOST_SPEAKERS_ASKED))]:
        ask_truth(rng, words, problem, chain, ends, claims)
    return problem


def ask_truth(rng: Random, words: Words, problem: Problem, chain: list[str], ends: dict[str, int], claims: dict[str, bool]) -> None:
    """Asks about the last of a chain: one claim is followed in each iteration after the first."""
    text, negated = rng.choice(ASK_LIAR[:2] if rng.random() < 0.6 else ASK_LIAR)
    instructions = words.ids(" " + text.format(a=chain[-1]))
    option = problem.length + len(instructions)
    fits, so_far = option + 1, True
    problem.tokens.append((fits, "seek", words.token(chain[-1]), 1, 1))
    for t, name in enumerate(reversed(chain), 2):
        at = len(chain) - t + 1  # of this name in the chain
        so_far = so_far == claims[name]
        last = t if at else FOREVER
        problem.looks.append((fits, 0, ends[name], t, t))
        problem.tokens.append((fits, "seek", words.token(chain[at - 1]) if at else YES, t, last))
        problem.bits.append((fits, "parity", int(so_far), t, last))
    depth = len(chain) + 1
    problem.looks.append((fits, 0, option, depth + 1, FOREVER))
    problem.asks.append(Ask(instructions, [Branch([OPTION, FITS], so_far != bool(negated), depth)]))


HOLDS = ["{a} has the {o}", "{a} holds the {o}", "{a} has the {o}", "{a} holds the {o}", "{a} takes the {o}", "{a} gets the {o}"]
SWAPS = [("{a} and {b} swap.", 4), ("{a} and {b} trade.", 4), ("{a} swaps with {b}.", 4), ("{a} trades with {b}.", 1), ("{a} and {b} exchange.", 1)]  # fmt: skip
THEN = [("Then ", 8), ("Next, ", 1), ("Then, ", 1), ("After that, ", 1)]
ASK_WHO = ["Who has the {o} at the end?", "At the end, who holds the {o}?", "Who has the {o} at the end?", "At the end, who holds the {o}?", "Who ends up with the {o}?"]  # fmt: skip
MOST_THINGS_ASKED = 3
ASK_WHAT = ["What does {a} have at the end?", "At the end, what does {a} hold?"]
ASK_WHETHER = ["{a} has the {o} at the end.", "At the end, does {a} hold the {o}?", "Does {a} have the {o} at the end?"]


def pick(rng: Random, weighted: list[tuple[str, int]]) -> str:
    return rng.choices([text for text, _ in weighted], [weight for _, weight in weighted])[0]


def drawn_swaps(rng: Random, people: int, start: int, moving: int, others: int) -> list[tuple[int, int]]:
    """Pairs that swap; the thing that `start` holds is in `moving` of them."""
    flags = [True] * moving + [False] * (others if people > 3 else min(others, moving))
    rng.shuffle(flags)
    holder, pairs = start, []
    for moves in flags:
        rest = [p for p in range(people) if p != holder]
        if moves:
            pair = [holder, rng.choice(rest)]
            holder = pair[1]
        else:
            pair = rng.sample(rest, 2)
        pairs.append(tuple(rng.sample(pair, 2)))
    return pairs


def swaps(rng: Random, words: Words, hops: int, _most_asked: int = FOREVER) -> Problem:
    """Everybody holds a thing, pairs swap; the thing asked about changes hands `hops` times."""
    writer, problem = Writer(words), Problem()
    people = rng.choice([3, 4, 5, 5, 5, 6])
    names, things = rng.sample(words.names, people), rng.sample(words.things, people)
    start = rng.randrange(people)
    pairs = drawn_swaps(rng, people, start, hops, rng.choice([0, hops // 2, hops, hops, rng.randint(0, 8)]))
    holds = rng.choice(HOLDS)
    owned: dict[int, tuple[int, int, int]] = {}  # by person: the row that says what they hold, the thing, iterations needed
    token = words.token
    for i, (name, thing) in enumerate(zip(names, things)):
        row = writer.add(("and " if i == people - 1 else "") + (holds if rng.random() < 0.9 else rng.choice(HOLDS)).format(a=name, o=thing))
        writer.add("." if i == people - 1 else ",")
        own(problem, owned, i, row, token(name), i, token(things[i]), 1)
    for a, b in pairs:
        text = pick(rng, THEN) + pick(rng, SWAPS)
        begin = len(writer.rows)
        dot = writer.add(text.format(a=names[a], b=names[b]))
        row_a, row_b = (writer.rows.index(token(names[who]), begin) for who in (a, b))
        (_, thing_a, depth_a), (_, thing_b, depth_b) = owned[a], owned[b]
        mention(problem, owned[a], row_a, token(things[thing_a]))
        mention(problem, owned[b], row_b, token(things[thing_b]))
        problem.looks += [(dot, 1, row_b, 1, FOREVER), (dot + 1, 1, row_a, 1, FOREVER)]
        own(problem, owned, a, dot, token(names[a]), thing_b, token(things[thing_b]), depth_b + 1)
        own(problem, owned, b, dot + 1, token(names[b]), thing_a, token(things[thing_a]), depth_a + 1)
    problem.shared = [*writer.rows, QUESTION]
    for thing in [start, *rng.sample(range(people), min(people, MOST_THINGS_ASKED))]:
        ask_swaps(rng, words, problem, names, things, owned, thing)
    return problem


def own(problem: Problem, owned: dict, who: int, row: int, name: int, thing: int, thing_token: int, depth: int) -> None:
    """From `row` on the person holds this."""
    owned[who] = (row, thing, depth)
    problem.tokens += [(row, "owner", name, 1, FOREVER), (row, "value", thing_token, depth, FOREVER)]


def mention(problem: Problem, owned: tuple[int, int, int], row: int, thing_token: int) -> None:
    """A name's row looks where it was last said what they hold, and takes it over."""
    problem.looks.append((row, 0, owned[0], 1, FOREVER))
    problem.tokens.append((row, "seek", thing_token, owned[2] + 1, FOREVER))


def ask_swaps(rng: Random, words: Words, problem: Problem, names: list[str], things: list[str], owned: dict, thing: int) -> None:
    """Who has a thing, what somebody has, or whether: each branch names one person and one thing, in its question or option."""
    token = words.token
    holder = next(who for who, (_, held, _) in owned.items() if held == thing)
    kind = rng.random()
    asked = holder if kind < 0.9 or rng.random() < 0.5 else rng.randrange(len(names))
    templates = ASK_WHO if kind < 0.75 else ASK_WHAT if kind < 0.9 else ASK_WHETHER
    instructions = words.ids(" " + rng.choice(templates).format(a=names[asked], o=things[thing]))
    begin = problem.length
    at = begin + len(instructions)
    ask = Ask(instructions, [])
    everybody = list(range(len(names)))
    pairs = [(who, thing) for who in everybody] if kind < 0.75 else [(asked, what) for what in everybody] if kind < 0.9 else [(asked, thing)]
    for who, what in rng.sample(pairs, len(pairs)):
        option = names[who] if kind < 0.75 else things[what] if kind < 0.9 else ""
        rows = [OPTION, *([token(option)] if option else []), FITS]
        held = owned[who]
        name_row = at + 1 if kind < 0.75 else begin + instructions.index(token(names[who]))
        thing_row = at + 1 if option and kind >= 0.75 else begin + instructions.index(token(things[what]))
        if kind < 0.75 or not ask.branches:
            mention(problem, held, name_row, token(things[held[1]]))
        compare(problem, at + len(rows) - 1, at, name_row, thing_row, held, what, token(things[held[1]]))
        ask.branches.append(Branch(rows, held[1] == what, held[2] + 2))
        ask.options += [option] if option else []
        at += len(rows)
    problem.asks.append(ask)


def compare(problem: Problem, fits: int, option: int, name_row: int, thing_row: int, held: tuple[int, int, int], what: int, token: int) -> None:
    """The branch's end takes over what the person holds, then looks for it: at the thing asked about, or at its own beginning."""
    problem.looks.append((fits, 0, name_row, 1, FOREVER))
    problem.tokens.append((fits, "seek", token, held[2] + 2, FOREVER))
    problem.looks.append((fits, 1, thing_row if held[1] == what else option, held[2] + 2, FOREVER))


FORMS = {"liars": liars, "swaps": swaps}
