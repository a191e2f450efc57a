"""Chains of speakers: `Ada lies. Bo says Ada lies. Does Bo tell the truth?` -> `Yes` or `No`.

Level = speakers after the first. Names are common ones or made of syllables, so that a name says nothing.
"""
from __future__ import annotations

from random import Random

from .text import Problem, Writer

COMMON = """Aaron Abby Adele Agnes Ahmed Aiko Alan Alba Alec Alma Amir Amos Anders Angus Anita Anton Ariel Arlo
Asha Astrid Axel Basil Bea Bela Bert Bianca Bjorn Bruno Caleb Carla Carmen Casper Cecil Celia Cesar Chad Chloe
Clara Clive Cora Cyrus Dalia Dana Dario Daphne Darren Dean Della Denis Diana Diego Dina Dora Doris Duncan Edgar
Edith Edwin Eileen Elena Eli Elsa Emil Emma Enzo Erica Ernest Esme Ethan Faisal Farah Felix Fergus Finn Fiona
Flora Franz Freya Gail Gavin Gemma Gideon Gina Gloria Grace Greta Gunnar Hana Hanna Harald Hassan Hazel Hector
Heidi Hiro Hugo Ian Ibrahim Ida Igor Ines Ingrid Irma Isaac Isla Ivan Jade Jana Jasper Jelena Joan Joel Jonas
Joy Judith Julia Kai Karim Karl Katya Keira Kenji Kira Klaus Kofi Lars Layla Lena Leon Lila Linus Lois Luca Lucy
Lydia Mabel Magnus Malik Marco Maria Marta Max Mei Mila Milo Mina Nadia Naomi Nell Nico Nina Noah Nora Olaf Olga
Omar Oscar Otto Paco Paula Pedro Petra Piotr Priya Quinn Ravi Rhea Rita Robin Rosa Ruben Ruth Samir Sara Selma
Sofia Sven Tara Theo Tilda Tomas Ulla Uma Vera Viktor Wanda Wei Xavier Yara Yusuf Zara Zelda""".split()
SYLLABLES = """ba be bo da de do fa fi ga ge ha he jo ka ke ki la le li lo ma me mi mo na ne ni no pa pe ra re ri ro
sa se sha ta te ti to va ve vi wa wen ya yo za ze""".split()
ENDINGS = ["", "", "n", "r", "l", "s", "tt", "nd", "lle"]


def name(rng: Random) -> str:
    """A common name (60 %) or a made-up one."""
    if rng.random() < 0.6:
        return rng.choice(COMMON)
    body = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3)))
    return (body + rng.choice(ENDINGS)).capitalize()


def names(rng: Random, count: int) -> list[str]:
    """`count` different names, in the order drawn."""
    chosen: list[str] = []
    while len(chosen) < count:
        candidate = name(rng)
        if candidate not in chosen:
            chosen.append(candidate)
    return chosen


def claim(truthful: bool) -> str:
    return "tells the truth" if truthful else "lies"


def liar(rng: Random, level: int) -> Problem:
    """A chain of `level` claims, each about the speaker before."""
    who = names(rng, level + 1)
    out = Writer("Question: ")
    honest = rng.random() < 0.5
    out.add(f"{who[0]} {claim(honest)}.")
    out.label("truth", honest, 1)
    for i in range(1, level + 1):
        said = rng.random() < 0.5
        out.add(f" {who[i]} says {who[i - 1]} {claim(said)}.")
        honest = said == honest
        out.label("truth", honest, i + 1)
    out.add(f" Does {who[level]} tell the truth?")
    return out.problem("Yes" if honest else "No", level + 2)
