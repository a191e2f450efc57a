"""The training loop: stages of a configuration, one after the other, with checkpoints from which a run goes on.

A step's rows come from sampler.py, its losses from losses.py. What is kept for use is a running average of the weights.
"""
from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor

from decider.branches import branch_loss, statement_loss
from decider.depth import DepthHeads, DepthSampler, depth_loss
from decider.forms import FORMS
from decider.losses import match_loss, match_scores, meaning_loss
from decider.network import Decider
from decider.rows import Encoder
from decider.sampler import Sampler
from decider.sets import digest, held_out_digests, read_sets
from decider.teacher import Vectors
from decider import together
from decider.together import RANK
from model import Config
from optim import Average, Optimiser

SAVE_SECONDS = 120
LOG_EVERY = 10
NO_TEACHER = 1  # width of a head that nothing is taught to


@dataclass(frozen=True)
class Stage:
    """A stretch of training. Shares are of tokens: `match` of questions with options, the rest texts to distil."""

    name: str
    minutes: float = 0.0  # the length of a stage is so many minutes of work, or
    steps: int = 0  # so many steps: the same every time
    tokens: int = 6144  # 0: depth alone
    match: float = 0.5
    sets: int = 2
    questions: int = 96
    most_options: int = 160
    removed: float = 0.06
    statements: int = 0  # predicates a step
    branches: int = 0  # questions a step whose best options become branches
    candidates: int = 4
    iterations: tuple[int, ...] = (1, 2)  # of branches; match is after one
    depth: int = 0  # tokens a step of each form whose answer takes dependent steps
    hops: int = 8  # most of those steps
    forms: tuple[str, ...] = tuple(FORMS)  # of those problems
    muon_lr: float = 0.01
    adam_lr: float = 0.002
    warmup: int = 30
    cooldown: float = 0.4

    @classmethod
    def read(cls, raw: dict) -> "Stage":
        known = {f.name for f in fields(cls)}
        if unknown := set(raw) - known:
            raise SystemExit(f"stage {raw.get('name')}: unknown {sorted(unknown)}; known are {sorted(known)}")
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})


class Trainer:
    """A model in training with everything needed to stop and to go on."""

    def __init__(self, config: dict, data: Path | None, vectors: Path | None, out: Path, device: str) -> None:
        self.config, self.out, self.device = config, out, device
        torch.manual_seed(config["seed"])
        encoder = Encoder(out / "tokenizer.json")
        self.vectors = Vectors(vectors) if vectors else None
        self.sampler = self.new_sampler(encoder, data) if data and vectors else None
        self.teacher_width = self.vectors.width if self.vectors else NO_TEACHER
        self.model = Decider(Config(encoder.size, **config["model"]), self.teacher_width).to(device)
        self.model.word_dropout = config["word_dropout"]
        self.depth = DepthSampler(encoder, f"{config['seed']} depth {RANK}")
        self.depth_heads = DepthHeads(self.model.trunk.config.width, self.depth.words.candidates).to(device)
        self.average = Average(self.model.parameters(), config["average"])
        self.stages = [Stage.read(raw) for raw in config["stage"]]
        self.stage = self.step = self.total = self.tokens = 0
        self.seconds = self.agreed = self.begun = 0.0
        self.smooth: dict[str, float] = {}
        self.begin_stage()

    def new_sampler(self, encoder: Encoder, data: Path) -> Sampler:
        weights: dict[str, float] = self.config["sets"]
        sets = read_sets(data, [name for name, weight in weights.items() if weight > 0])
        banned = held_out_digests(data) | left_out_digests(data, self.config["left_out"])
        return Sampler(sets, weights, self.vectors, encoder, banned, self.config["seed"])

    def begin_stage(self) -> None:
        stage = self.stages[self.stage]
        if stage.match and self.stage and not self.stages[self.stage - 1].match:  # meaning came first
            self.model.begin_match(self.model.head.weight.data)
        trunk, heads = self.model.trunk, torch.nn.ModuleList([self.model.head, self.model.question, self.model.option])
        heads.log_scale, heads.none = self.model.log_scale, self.model.none
        if stage.depth:
            heads.append(self.depth_heads)
        low = torch.bfloat16 if self.device == "cuda" else torch.float32  # CPUs without bf16 emulate it, slowly
        self.optimiser = Optimiser(trunk, heads, stage.muon_lr, stage.adam_lr, muon_dtype=low)

    def note(self, name: str, value: float) -> None:
        self.smooth[name] = value if name not in self.smooth else 0.95 * self.smooth[name] + 0.05 * value

    def loss(self, stage: Stage) -> Tensor:
        if not stage.tokens:
            return self.loss_of_depth(stage)
        model, sampler = self.model, self.sampler
        step = sampler.draw(stage.tokens, stage.match, stage.sets, stage.questions, stage.most_options, stage.removed)
        self.tokens += step.tokens
        states = model.states(step.rows)
        loss, cosine = meaning_loss(model, states, step, self.vectors)
        self.note("cosine", cosine.item())
        for match in step.matches:
            table, target = match_scores(model, states, match)
            own, found = match_loss(model, table, target)
            loss = loss + own / len(step.matches)
            self.note(match.name, found)
            if stage.branches:
                iterations = sampler.rng.choice(stage.iterations)
                own, right, tokens = branch_loss(model, sampler, match, table, target, stage.branches, stage.candidates, iterations)
                self.tokens += tokens
                self.note(f"{match.name}:branch", right)
                loss = loss + own / len(step.matches)
        if stage.statements:
            own, right, tokens = statement_loss(model, sampler, stage.statements, sampler.rng.choice(stage.iterations))
            self.tokens += tokens
            self.note("statements", right)
            loss = loss + own
        return loss + self.loss_of_depth(stage) if stage.depth else loss

    def loss_of_depth(self, stage: Stage) -> Tensor:
        loss = torch.zeros((), device=self.device)
        for form in stage.forms:
            problems, iterations = self.depth.draw(form, stage.depth, stage.hops)
            self.tokens += sum(problem.length for problem in problems)
            own, right = depth_loss(self.model, self.depth_heads, problems, range(1, iterations + 1), stage.match > 0)
            loss = loss + own
            if "answer" in right:
                self.depth.judge(form, right["answer"])
            self.note(f"{form}:level", self.depth.levels[form])
            for name, share in right.items():
                self.note(f"{form}:{name}", share)
        return loss

    def train(self) -> None:
        together.agree(self.model)
        self.average = self.average if self.total else Average(self.model.parameters(), self.config["average"])
        with open(self.out / f"log{together.RANK or ''}.txt", "a", buffering=1) as log:
            log.write(json.dumps(self.config) + "\n")
            saved = time.monotonic()
            while self.stage < len(self.stages):
                stage = self.stages[self.stage]
                begin = time.monotonic()
                self.train_step(stage)
                self.seconds += time.monotonic() - begin
                if self.total % LOG_EVERY == 0:
                    log.write(self.report() + "\n")
                if self.progress(stage) >= 1:
                    self.stage, self.step, self.begun = self.stage + 1, 0, self.agreed
                    self.save(self.out / f"{stage.name}.pt")
                    if self.stage < len(self.stages):
                        self.begin_stage()
                if time.monotonic() - saved > SAVE_SECONDS or self.stage == len(self.stages):
                    self.save(self.out / "checkpoint.pt")
                    saved = time.monotonic()

    def progress(self, stage: Stage) -> float:
        """How far a stage is, 0 to 1."""
        return self.step / stage.steps if stage.steps else (self.agreed - self.begun) / 60 / stage.minutes

    def train_step(self, stage: Stage) -> None:
        warm = min(1.0, (self.step + 1) / stage.warmup)
        self.optimiser.scale(warm * cooled(self.progress(stage), stage.cooldown))
        self.model.train()
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device == "cuda"):
            loss = self.loss(stage)
        if not torch.isfinite(loss):
            raise SystemExit(f"the loss is {loss.item()} at step {self.total}")
        self.optimiser.step(loss)
        if (self.total + 1) % together.EVERY == 0:
            together.average([parameter.data for parameter in self.model.parameters()])
            self.agreed = together.agree_on(self.seconds)
        self.average.decay = min(self.config["average"], (self.total + 1) / (self.total + 10))
        self.average.update(self.model.parameters())
        self.step, self.total = self.step + 1, self.total + 1
        self.note("loss", loss.item())

    def report(self) -> str:
        figures = " ".join(f"{name} {value:.3f}" for name, value in sorted(self.smooth.items()))
        name = self.stages[self.stage].name if self.stage < len(self.stages) else "end"
        read = f"{self.sampler.passes} texts of {self.sampler.usable}" if self.sampler else "no texts"
        return (
            f"{name} {self.step} total {self.total} {self.seconds / 60:.1f} min {self.tokens / 1e6:.2f} M tokens"
            f" {read} scale {self.model.log_scale.exp().item():.1f}"
            f" none {self.model.none.item():.3f} {figures}"
        )

    def save(self, path: Path) -> None:
        if together.RANK:
            return
        average = dict(zip((name for name, _ in self.model.named_parameters()), self.average.values))
        state = {
            "config": self.config, "model_config": self.model.trunk.config.as_dict(), "teacher_width": self.teacher_width,
            "model": self.model.state_dict(), "average": average, "optimiser": self.optimiser.state_dict(),
            "sampler": self.sampler.state() if self.sampler else {"usable": 0}, "depth": self.depth.state(), "depth_heads": self.depth_heads.state_dict(), "torch_rng": torch.get_rng_state(), "smooth": self.smooth,
            "counters": [self.stage, self.step, self.total, self.tokens, self.seconds, self.begun],
        }  # fmt: skip
        torch.save(state, path.with_suffix(".part"))
        os.replace(path.with_suffix(".part"), path)

    def load(self, path: Path) -> None:
        """Goes on from a checkpoint; the configuration's stages may have been changed since."""
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.average.values = [state["average"][name].clone() for name, _ in self.model.named_parameters()]
        self.stage, self.step, self.total, self.tokens, self.seconds, self.begun = state["counters"]
        self.smooth, self.agreed = state["smooth"], self.seconds
        if self.sampler:
            self.sampler.restore(state["sampler"])
        self.restore_depth(state)
        torch.set_rng_state(state["torch_rng"].cpu())
        if self.stage < len(self.stages):
            self.begin_stage()
            if self.step:
                self.optimiser.load_state_dict(state["optimiser"])

    def restore_depth(self, state: dict) -> None:
        if "depth_heads" in state:
            self.depth.restore(state["depth"])
            self.depth_heads.load_state_dict(state["depth_heads"])

    def begin_from(self, path: Path) -> None:
        """Weights of another run, or of a state with `sd` and `head`: only those of like shape are taken."""
        state = torch.load(path, map_location=self.device, weights_only=False)
        if "average" in state:
            found = state["average"]
        else:
            found = {f"trunk.{name}": value for name, value in state["sd"].items() if "coda" not in name}
        own = self.model.state_dict()
        taken = {name: value.float() for name, value in found.items() if name in own and own[name].shape == value.shape}
        self.model.load_state_dict(taken, strict=False)
        self.restore_depth(state)
        if "sd" in state:
            self.model.head.weight.data.copy_(self.fitted_head())
            self.model.begin_match(state["head"].float(), self.model.head.weight.data)
        self.average = Average(self.model.parameters(), self.config["average"])
        print(f"{len(taken)} of {len(own)} tensors from {path}")


    @torch.no_grad()
    def fitted_head(self, texts: int = 3000) -> Tensor:
        """The linear map from states to the teacher's vectors with the least squared error."""
        chosen = [self.sampler.next_text() for _ in range(texts)]
        states = self.model.states([self.sampler.encoder.option(self.vectors.texts[i]) for i in chosen])
        half = texts // 2
        states[:half] = self.model.states([self.sampler.encoder.question(self.vectors.texts[i]) for i in chosen[:half]])
        gram = states.t() @ states + 1e-3 * texts * torch.eye(states.shape[1], device=states.device)
        return torch.linalg.solve(gram, states.t() @ self.vectors.get(chosen).to(states.device)).t()


def cooled(progress: float, cooldown: float) -> float:
    """Constant, then falling in a line over the last part."""
    left = max(0.0, 1 - progress)
    return 1.0 if left > cooldown else max(0.02, left / cooldown)


def left_out_digests(data: Path, names: list[str]) -> set[int]:
    """Of every text of sets that the model is to know nothing of."""
    sets = read_sets(data, names)
    rows = [row for one in sets.values() for row in [*one.train, *one.held_out]]
    return {digest(row.input) for row in rows} | {digest(option) for row in rows for option in row.options}
