"""Rows about personal data: is there any in a text, and of which kind? Written for training, none of a public set.

Sentences (personal.txt, and personal-who.txt out of Tatoeba) have slots that filler.py fills; a slot says which facts it
brings along, and which can then not be told. A third of the texts stand beside customers' sentences of another set, which
hold no such data.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

from decider.filler import Filler
from decider.sets import DecisionSet, Row, digest

PERSONAL = "personal data that identifies someone"
WORDING = {  # fact: what a statement calls it; the first wording is that of presidio_pii's questions
    PERSONAL: (PERSONAL, "personal data", "personal information"),
    "name": ("a person's name", "the name of a person"),
    "address": ("a street address", "a postal address"),
    "card": ("a credit card number", "a card number"),
    "place": ("a city, region or country", "a place name"),
    "company": ("the name of an organisation", "the name of a company"),
    "nationality": ("a nationality, religion or political group", "a nationality"),
    "email": ("an email address", "an e-mail address"),
    "domain": ("a domain name", "a web address"),
    "title": ("a personal title such as Mr. or Dr.", "a title such as Mr. or Dr"),
    "phone": ("a phone number", "a telephone number"),
    "ssn": ("a US social security number", "a social security number"),
    "age": ("a person's age", "someone's age"),
    "ip": ("an IP address", "the address of a computer"),
    "date": ("a date or a time", "a date, a day or a time"),
    "licence": ("a US driver licence number", "the number of a driving licence"),
    "postcode": ("a postal code", "a zip code"),
    "iban": ("an IBAN", "a bank account number"),
    "passport": ("a passport number", "the number of a passport"),
    "username": ("a user name", "a login name"),
}
IDENTIFYING = {"name", "address", "card", "email", "phone", "ssn", "ip", "licence", "iban", "passport", "username"}
LIKELY = ("name", "address", "card", "place", "company", "title", "nationality", "title", "nationality")  # asked about more often where they are not
OPENINGS = ("The text contains", "The text contains", "The text contains", "The text contains", "This contains", "It has", "Contains", "The message contains")  # fmt: skip
CUSTOMER_WORDS = 16  # at most
ABOUT_SOMEBODY = 0.5  # of sentences: from personal-who.txt
ROLES = ("my boss", "the manager", "my brother", "the doctor", "our neighbour", "somebody", "the customer", "my wife", "her husband", "the new teacher", "the driver", "that company", "the bank", "the dog", "the whole team")  # fmt: skip
WHO = {  # what stands where somebody does: weight
    "{first}": 24, "{name}": 16, "{title} {last}": 8, "{last}": 6, "": 22, "{company}": 10, "{place}": 6, "the {nationality} minister": 3,
    "the {nationality} team": 2, "a {religion}": 1, "the {party}": 1, "user {username}": 1,
}  # fmt: skip
LEAST_CLEAN = 0.4  # of texts: without personal data
NOT_AMONG_CUSTOMERS = ("address", "card", "email", "domain", "phone", "ssn", "ip", "licence", "iban", "passport", "username")


@dataclass(frozen=True)
class Text:
    """What it says, the facts in it, and those of which its words do not tell."""

    words: str
    facts: frozenset[str]
    unsure: frozenset[str]

    @property
    def is_personal(self) -> bool:
        return bool(self.facts & IDENTIFYING)


def slots_of(sentence: str) -> list[str]:
    return re.findall(r"{(\w+)}", sentence)


def facts_of(sentence: str) -> frozenset[str]:
    return frozenset(fact for slot in slots_of(sentence) for fact in Filler.FACTS.get(slot, ()))


def filled(sentence: str, filler: Filler) -> Text:
    words = re.sub(r"{(\w+)}", lambda slot: filler(slot[1]), sentence)
    if words.startswith("+"):
        words = words[1:].replace(" / ", "\n")
    unsure = {fact for slot in slots_of(sentence) for fact in Filler.UNSURE.get(slot, ())}
    return Text(words, facts_of(sentence), frozenset(unsure))


def about(rng: Random, sentence: str, is_clean: bool) -> str:
    """Puts a person, or something that is none, where a sentence of personal-who.txt has {who}; {person} stays one if it may."""
    kinds = {kind: weight for kind, weight in WHO.items() if not (is_clean and facts_of(kind) & IDENTIFYING)}
    kind = rng.choices(list(kinds), list(kinds.values()))[0] or rng.choice(ROLES)
    other = rng.choice(ROLES) if is_clean else "{first}"
    text = sentence.replace("{who}", kind).replace("{person}", other)
    return text[0].upper() + text[1:]


@dataclass(frozen=True)
class Sentences:
    written: list[str]
    clean: list[str]  # of those
    somebody: list[str]
    customers: list[str]


def drawn(rng: Random, filler: Filler, sentences: Sentences) -> Text:
    """One sentence or two, perhaps beside what a customer wrote, sometimes in lower case throughout."""
    is_clean = rng.random() < LEAST_CLEAN
    parts = []
    for _ in range(1 if rng.random() < 0.7 else 2):
        if rng.random() < ABOUT_SOMEBODY:
            part = filled(about(rng, rng.choice(sentences.somebody), is_clean), filler)
            parts.append(Text(part.words, part.facts, part.unsure | {"date", "age"}))
        else:
            parts.append(filled(rng.choice(sentences.clean if is_clean else sentences.written), filler))
    if rng.random() < 0.35:
        others = frozenset(WORDING) - {PERSONAL} - frozenset(NOT_AMONG_CUSTOMERS)
        parts.append(Text(rng.choice(sentences.customers), frozenset(), others))
    rng.shuffle(parts)
    words = rng.choice((" ", " ", "\n")).join(part.words for part in parts)
    words = words.lower() if rng.random() < 0.12 else words
    facts = frozenset().union(*(part.facts for part in parts))
    return Text(words, facts, frozenset().union(*(part.unsure for part in parts)) - facts)


def asked(rng: Random, text: Text) -> list[tuple[str, bool]]:
    """Facts to ask about, and whether they are there."""
    absent = [fact for fact in WORDING if fact != PERSONAL and fact not in text.facts | text.unsure]
    likely = [fact for fact in LIKELY if fact in absent]
    wrong = {rng.choice(absent), rng.choice(likely or absent)}
    right = rng.sample(sorted(text.facts), min(2, len(text.facts)))
    return [(PERSONAL, text.is_personal), *((fact, True) for fact in right), *((fact, False) for fact in sorted(wrong))]


def statement(rng: Random, fact: str) -> str:
    """In half of the rows as presidio_pii puts it."""
    if rng.random() < 0.5:
        return f"{OPENINGS[0]} {WORDING[fact][0]}."
    return f"{rng.choice(OPENINGS)} {rng.choice(WORDING[fact])}{rng.choice(('.', ''))}"


def lines_of(name: str) -> list[str]:
    return [line for line in (Path(__file__).parent / name).read_text().splitlines() if line and not line.startswith("#")]


def personal_data(customers: list[str], banned: frozenset[int], texts: int, rng: Random, filler: Filler) -> DecisionSet:
    """A set of so many texts; none equals one that is held out anywhere (`banned`, digests)."""
    written = lines_of("personal.txt")
    clean = [sentence for sentence in written if not facts_of(sentence) & IDENTIFYING]
    short = [text for text in customers if len(text.split()) <= CUSTOMER_WORDS]
    sentences = Sentences(written, clean, lines_of("personal-who.txt"), short)
    rows = []
    for _ in range(texts):
        text = drawn(rng, filler, sentences)
        if digest(text.words) not in banned:
            rows += [Row(text.words, statement(rng, fact), int(holds), ()) for fact, holds in asked(rng, text)]
    return DecisionSet("personal_data", rows, [])
