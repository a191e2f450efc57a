"""What the product's own commands find: `fathom train` on a few rows, `fathom eval --decisions` on others."""
from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
Pairs = list[tuple[str, str]]  # texts and labels


@dataclass(frozen=True)
class Found:
    """Percent right, and milliseconds a decision."""

    accuracy: float
    ms: float


def write_labels(path: Path, rows: Pairs) -> None:
    path.write_text("".join(json.dumps({"input": text, "label": label}) + "\n" for text, label in rows))


def write_decisions(path: Path, rows: Pairs, labels: list[str]) -> None:
    question = {"type": "choice", "instructions": "Which?", "choices": [{"value": label} for label in labels]}
    path.write_text("".join(json.dumps({"input": text, "question": question, "gold": label}) + "\n" for text, label in rows))


def fathom(*arguments: str | Path) -> str:
    command = ["node", str(ROOT / "cli/fathom.mjs"), *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if run.returncode:
        raise SystemExit(f"{' '.join(command)}\n{run.stderr}")
    return run.stdout


def taught(base: Path, rows: Path, out: Path) -> Path:
    """The folder that `fathom train` makes of a file of labels."""
    fathom("train", rows, "--base", base, "--out", out, "--force", "--json")
    return out


def judged(model: Path, decisions: Path) -> Found:
    """After one iteration, as the shipped model decides."""
    report = json.loads(fathom("eval", "--model", model, "--decisions", decisions, "--iterations", "1", "--json"))
    found = report["tasks"][0]["withExit"]
    return Found(100 * found["accuracy"]["value"], found["msPerDecision"])
