"""What brings depth: models that differ in their core alone, trained alike on problems of dependent steps and judged by them.

A shared core runs in every iteration; an unshared one has weights of its own in each; a core run once has the weights
without the iterations. Rows, steps, optimiser and labels of the states are the same for all with one seed: an unshared
core is taught at the block of the same depth, a core run once everything that holds in the end at its only iteration.
"""
from __future__ import annotations

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from random import Random
from typing import Iterator

import torch
from torch import nn

from decider.depth import DepthHeads, answer_loss, depth_loss, pack
from decider.forms import FORMS, Problem, Words, relays
from decider.network import Decider
from decider.rows import Encoder
from decider.trainer import NO_TEACHER, cooled
from model import Config, Huginn
from optim import Average, Optimiser

SETTINGS = {
    "form", "names", "levels", "steps", "tokens", "seeds", "iterations", "average", "muon_lr", "adam_lr", "warmup", "cooldown",
    "judged", "model", "variant",
}  # fmt: skip
ASKED = {**FORMS, "relays": relays}
CORES = ("shared", "unshared", "once")
LABELS = ("tokens", "bits", "looks")  # of a problem's states
JUDGED_AT_ONCE = 25
LOG_EVERY = 50


class Unshared(Huginn):
    """Each iteration has an adapter and blocks of its own; there are no more iterations than those."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.adapters = nn.ModuleList(type(self.adapter)(2 * config.width, config.width) for _ in range(config.mean_recurrence - 1))
        self.cores = nn.ModuleList(self.blocks(config.core) for _ in range(config.mean_recurrence - 1))
        self.initialise()

    def core_at(self, iteration: int) -> tuple[nn.Module, nn.ModuleList]:
        return super().core_at(1) if iteration == 1 else (self.adapters[iteration - 2], self.cores[iteration - 2])


@dataclass(frozen=True)
class Variant:
    """A row of the table; `untaught` names labels of the states that it goes without."""

    name: str
    core: str
    judged_at: tuple[int, ...] = ()  # iterations, instead of those of training
    untaught: tuple[str, ...] = ()

    @classmethod
    def read(cls, raw: dict) -> "Variant":
        known = {f.name for f in fields(cls)}
        if unknown := set(raw) - known:
            raise SystemExit(f"variant {raw.get('name')}: unknown {sorted(unknown)}; known are {sorted(known)}")
        if raw["core"] not in CORES or set(raw.get("untaught", [])) - set(LABELS):
            raise SystemExit(f"variant {raw['name']}: core is one of {CORES}, untaught are some of {LABELS}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})


def network(config: dict, variant: Variant, vocabulary: int) -> tuple[Decider, range | list[int]]:
    """A fresh model, and the times of the iterations that it runs."""
    iterations = config["iterations"]
    times = [iterations] if variant.core == "once" else range(1, iterations + 1)
    sizes = Config(vocabulary, **config["model"], mean_recurrence=len(times))
    model = Decider(sizes, NO_TEACHER)
    model.trunk = (Unshared if variant.core == "unshared" else Huginn)(sizes).eval()
    return model, times


class Rows:
    """Problems to judge by, the same for every run, and those of a run's training: none of the former."""

    def __init__(self, config: dict, words: Words) -> None:
        self.config, self.words, self.make = config, words, ASKED[config["form"]]
        self.judged = {hops: self.held_out(hops) for hops in config["judged"]["hops"]}
        self.banned = {tuple(problem.shared) for problems in self.judged.values() for problem in problems}

    def held_out(self, hops: int) -> list[Problem]:
        rng = Random(f"ablation held out {hops}")
        problems = [self.make(rng, self.words, hops) for _ in range(self.config["judged"]["count"])]
        for problem in problems:
            del problem.asks[1:]  # the first question takes all steps
        return problems

    def training(self, seed: int) -> Iterator[list[Problem]]:
        rng = Random(f"ablation {seed}")
        for step in range(self.config["steps"]):
            level = sum(begin <= step for begin in self.config["levels"])
            problems, left = [], self.config["tokens"]
            while left > 0:
                problem = self.make(rng, self.words, rng.randint(1, level), level)
                if tuple(problem.shared) not in self.banned:
                    problems.append(problem)
                    left -= problem.length
            yield problems


def trained(config: dict, variant: Variant, seed: int, rows: Rows, vocabulary: int) -> tuple[Decider, int]:
    """A model with its averaged weights, and how many iterations it was trained with."""
    torch.manual_seed(seed)
    model, times = network(config, variant, vocabulary)
    heads = DepthHeads(config["model"]["width"], rows.words.candidates)
    optimiser = Optimiser(model.trunk, heads, config["muon_lr"], config["adam_lr"], muon_dtype=torch.float32)
    average = Average(model.trunk.parameters(), config["average"])
    smooth: dict[str, float] = {}
    for step, problems in enumerate(rows.training(seed)):
        for problem in problems:
            for kind in variant.untaught:
                setattr(problem, kind, [])
        optimiser.scale(min(1.0, (step + 1) / config["warmup"]) * cooled(step / config["steps"], config["cooldown"]))
        loss, right = depth_loss(model, heads, problems, times, match=False, backprop=len(times))
        if not torch.isfinite(loss):
            raise SystemExit(f"{variant.name}, seed {seed}: the loss is {loss.item()} at step {step}")
        optimiser.step(loss)
        average.decay = min(config["average"], (step + 1) / (step + 10))
        average.update(model.trunk.parameters())
        for name, share in {"loss": loss.item(), **right}.items():
            smooth[name] = 0.95 * smooth.get(name, share) + 0.05 * share
        if (step + 1) % LOG_EVERY == 0:
            print(variant.name, seed, step + 1, " ".join(f"{name} {value:.3f}" for name, value in sorted(smooth.items())), flush=True)
    for parameter, value in zip(model.trunk.parameters(), average.values):
        parameter.data.copy_(value)
    return model, len(times)


@torch.no_grad()
def right_answers(model: Decider, problems: list[Problem], judged_at: tuple[int, ...]) -> dict[int, int]:
    """How many there are after so many iterations each."""
    found = dict.fromkeys(judged_at, 0.0)
    for at in range(0, len(problems), JUDGED_AT_ONCE):
        batch = problems[at : at + JUDGED_AT_ONCE]
        known = max(problem.asks[0].depth for problem in batch)
        packed = pack(model, batch)
        embedded = model.trunk.embed(packed.ids, packed.context)
        state = torch.zeros_like(embedded)
        for number in range(1, max(judged_at) + 1):
            state = model.trunk.iterate(state, embedded, packed.context, number)
            if number in found:
                found[number] += answer_loss(model, packed, state, state, known, match=False)[1] * len(batch)
    return {number: round(count) for number, count in found.items()}


def figures(config: dict, variant: Variant, seed: int, rows: Rows, vocabulary: int) -> dict:
    """What a run of a variant is worth, as a line of the results."""
    begin = time.process_time()
    model, iterations = trained(config, variant, seed, rows, vocabulary)
    seconds = time.process_time() - begin
    judged_at = variant.judged_at or (iterations,)
    right = {str(k): right_answers(model, problems, judged_at) for k, problems in rows.judged.items()}
    return {
        "variant": variant.name, "seed": seed, "config": digest(config, variant), "weights": weights(model.trunk),
        "products": {str(r): products(model.trunk, r) for r in judged_at}, "cpu_seconds": round(seconds),
        "right": {str(r): {k: found[r] for k, found in right.items()} for r in judged_at},
    }  # fmt: skip


def weights(trunk: Huginn) -> int:
    """All but the token table."""
    return sum(parameter.numel() for parameter in trunk.parameters()) - trunk.wte.weight.numel()


def products(trunk: Huginn, iterations: int) -> int:
    """Multiply-adds of the matrices for one token."""
    config = trunk.config
    block = 4 * config.width**2 + 3 * config.width * config.mlp
    return (config.prelude + config.coda) * block + iterations * (config.core * block + 2 * config.width**2)


def digest(config: dict, variant: Variant) -> str:
    """Of all that a run depends on but its seed."""
    settings = {key: value for key, value in config.items() if key not in ("seeds", "variant")}
    return hashlib.sha256(json.dumps([settings, asdict(variant)], sort_keys=True).encode()).hexdigest()[:16]


def ablate(config: dict, tokenizer: Path, out: Path) -> str:
    """Runs what `out` has no figures of yet, one after the other; the table of all."""
    if wrong := SETTINGS ^ set(config):
        raise SystemExit(f"unknown or missing in the configuration: {sorted(wrong)}; it has {sorted(SETTINGS)}")
    variants = [Variant.read(raw) for raw in config["variant"]]
    encoder = Encoder(tokenizer)
    rows = Rows(config, Words(encoder, config["names"]))
    out.parent.mkdir(parents=True, exist_ok=True)
    for seed in config["seeds"]:
        for variant in variants:
            if all(run["seed"] != seed for run in done(config, variant, out)):
                run = figures(config, variant, seed, rows, encoder.size)
                with out.open("a") as file:
                    file.write(json.dumps(run) + "\n")
    return table(config, {variant.name: done(config, variant, out) for variant in variants})


def done(config: dict, variant: Variant, out: Path) -> list[dict]:
    """Figures of a variant's runs so far; with a changed configuration they begin anew beside the old ones."""
    runs = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    return [run for run in runs if run["config"] == digest(config, variant)]


def table(config: dict, runs: dict[str, list[dict]]) -> str:
    """By variant, iterations and dependent steps: mean of the seeds in %, 95 % interval of that mean as one run's, least and greatest."""
    hops, count = [str(k) for k in config["judged"]["hops"]], config["judged"]["count"]
    lines = [["core", "weights", "M mul-adds", "r", *hops], ["---"] * (4 + len(hops))]
    for name, of_variant in runs.items():
        for r in of_variant[0]["right"]:
            cells = [cell([run["right"][r][k] for run in of_variant], count) for k in hops]
            lines.append([name, f"{of_variant[0]['weights']:,}", f"{of_variant[0]['products'][r] / 1e6:.2f}", r, *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def cell(right: list[int], count: int) -> str:
    low, high = interval(sum(right) / len(right) / count, count)
    shares = [100 * one / count for one in right]
    return f"{sum(shares) / len(shares):.1f} ({100 * low:.1f}-{100 * high:.1f}) {min(shares):.1f}-{max(shares):.1f}"


def interval(share: float, count: int) -> tuple[float, float]:
    """Wilson's, of 95 %."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
