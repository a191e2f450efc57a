"""Writes the held-out set: one JSONL per form with {"task", "level", "prompt", "answer"} a line.

Prompts are bare: the wrapper `\\nAnswer:` belongs to the model's chat template. Rows are distinct, answers are
balanced, and training rejects every prompt found here, so held-out is meant literally. Where a level has few
possible prompts, at most a third of them are held out and the level has fewer rows.

usage: evalset.py --out DIR [--n 100] [--seed 20]
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from tasks import FORMS, Form

DRAWS_PER_ROW = 30


def draw_by_answer(form: Form, level: int, draws: int, rng: Random) -> dict[str, list[str]]:
    """Distinct prompts of a level, in the order drawn, by answer."""
    seen: dict[str, str] = {}
    for _ in range(draws):
        problem = form.generate(rng, level)
        seen.setdefault(problem.prompt, problem.answer)
    groups: dict[str, list[str]] = {}
    for prompt, answer in seen.items():
        groups.setdefault(answer, []).append(prompt)
    return groups


def held_out_rows(name: str, level: int, count: int, rng: Random) -> list[dict]:
    """Up to `count` rows with the same number of each answer."""
    groups = draw_by_answer(FORMS[name], level, DRAWS_PER_ROW * count, rng)
    each = min(count // len(groups), min(map(len, groups.values())) // 3)
    rows = [
        {"task": name, "level": level, "prompt": prompt, "answer": answer}
        for answer, prompts in sorted(groups.items())
        for prompt in prompts[:each]
    ]
    rng.shuffle(rows)
    return rows


def read_rows(folder: Path) -> list[dict]:
    """All rows of a folder written by this script."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name, form in FORMS.items():
        rng = Random(f"{args.seed} {name}")
        rows = [row for level in form.eval_levels for row in held_out_rows(name, level, args.n, rng)]
        (args.out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        print(name, {level: sum(row["level"] == level for row in rows) for level in form.eval_levels})


if __name__ == "__main__":
    main()
