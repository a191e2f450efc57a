"""Paths: `Take 3 steps. Turn around. Take 3 steps.` Do you return to the starting point? -> `Yes` or `No`.

Level = instructions. Half of the paths come home. Most of the others are a path that comes home with ONE number
or direction changed: without such near misses a model learns surface cues and fails on rows written elsewhere.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from .text import Problem, Writer

UNIT = [(0, 1), (1, 0), (0, -1), (-1, 0)]  # heading 0..3 = north, east, south, west
SIDE = ["forward", "right", "backward", "left"]
TURN = {1: "Turn right.", 2: "Turn around.", 3: "Turn left."}
MAX_STEPS = 10


@dataclass(frozen=True)
class Move:
    """A turn by `turn` quarters, or (turn 0) `steps` steps towards `heading`."""

    turn: int
    steps: int = 0
    heading: int = 0


def walk(moves: list[Move]) -> tuple[int, int]:
    x = sum(UNIT[m.heading][0] * m.steps for m in moves)
    y = sum(UNIT[m.heading][1] * m.steps for m in moves)
    return x, y


def draw_moves(rng: Random, level: int, facing_fixed: bool, homing: bool) -> list[Move] | None:
    """Random moves; `homing` ones like to undo the distance. None if home got out of reach of one move."""
    moves: list[Move] = []
    x = y = facing = 0
    for i in range(level):
        if not facing_fixed and rng.random() < 0.45:
            turn = rng.randint(1, 3)
            facing = (facing + turn) % 4
            moves.append(Move(turn))
            continue
        heading = rng.randrange(4) if facing_fixed else facing
        steps = rng.randint(1, MAX_STEPS)
        back = -(x * UNIT[heading][0] + y * UNIT[heading][1])
        if homing and back > 0 and rng.random() < (0.9 if i >= level - 2 else 0.25):
            steps = back
        if steps > MAX_STEPS:
            return None
        x, y = x + UNIT[heading][0] * steps, y + UNIT[heading][1] * steps
        moves.append(Move(0, steps, heading))
    return moves


def spoil(rng: Random, moves: list[Move], facing_fixed: bool) -> list[Move]:
    """Change the direction or the number of one move."""
    at = rng.choice([i for i, m in enumerate(moves) if m.steps])
    old = moves[at]
    if facing_fixed and rng.random() < 0.3:
        new = replace(old, heading=(old.heading + rng.randint(1, 3)) % 4)
    else:
        near = range(max(1, old.steps - 4), min(MAX_STEPS, old.steps + 4) + 1)
        new = replace(old, steps=rng.choice([s for s in near if s != old.steps]))
    return moves[:at] + [new] + moves[at + 1 :]


def write(moves: list[Move], facing_fixed: bool) -> Writer:
    """The text, with position and heading labelled after every instruction."""
    out = Writer("If you follow these instructions, do you return to the starting point?")
    out.add(" Always face forward." if facing_fixed else "")
    x = y = facing = 0
    for i, move in enumerate(moves):
        if move.turn:
            facing = (facing + move.turn) % 4
            out.add(" " + TURN[move.turn])
        else:
            dx, dy = UNIT[move.heading]
            x, y = x + dx * move.steps, y + dy * move.steps
            out.add(f" Take {move.steps} step{'s' if move.steps > 1 else ''}")
            out.add(f" {SIDE[move.heading]}." if facing_fixed else ".")
        for head, value in (("x_digit", x % 10), ("y_digit", y % 10), ("heading", facing), ("x", x), ("y", y)):
            out.label(head, value, i + 2)
    out.add("\nOptions:\n- Yes\n- No")
    return out


def navigation(rng: Random, level: int) -> Problem:
    """`level` >= 2 instructions, with a fixed face or with turns."""
    facing_fixed = level < 3 or rng.random() < 0.5
    home = rng.random() < 0.5
    near_miss = not home and rng.random() < 0.7
    while True:
        moves = draw_moves(rng, level, facing_fixed, home or near_miss)
        if moves is None or not any(m.steps for m in moves):
            continue
        if (home or near_miss) and walk(moves) != (0, 0):
            continue
        if near_miss:
            moves = spoil(rng, moves, facing_fixed)
        if facing_fixed and (home or near_miss):
            rng.shuffle(moves)
        if (walk(moves) == (0, 0)) == home:
            return write(moves, facing_fixed).problem("Yes" if home else "No", level + 3)
