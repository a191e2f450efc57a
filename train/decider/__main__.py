"""Trains a model that decides.

usage: python3 train/decider texts|held-out|few|depth-rows|teach|begin|train|read|mean|ablate|evaluate|baselines|export|tiny ... (README.md)
"""
from __future__ import annotations

import argparse
import shutil
import sys
import tomllib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def texts(args: argparse.Namespace) -> None:
    from decider.texts import write_texts

    print(write_texts(args.data, args.corpus, args.out, args.most_words, args.seed), "texts")


def held_out(args: argparse.Namespace) -> None:
    from decider.texts import write_held_out

    write_held_out(args.data, args.sets.split(","), args.out, args.count, args.seed)


def few(args: argparse.Namespace) -> None:
    from decider.texts import write_few

    write_few(args.data, args.sets.split(","), args.out, args.shots, args.seed)


def depth_rows(args: argparse.Namespace) -> None:
    from decider.depth_rows import write_depth_rows

    write_depth_rows(args.tokenizer, args.out, [int(k) for k in args.hops.split(",")], args.count, args.seed)


def teach(args: argparse.Namespace) -> None:
    from decider.teacher import teach as run

    run(args.vectors, args.teacher)


def begin(args: argparse.Namespace) -> None:
    from decider.begin import begin as run

    print(run(tomllib.loads(args.config.read_text()), args.tokenizer, args.teacher, args.out), "tokens of the teacher's")


def train(args: argparse.Namespace) -> None:
    import torch

    from decider import together
    from decider.trainer import Trainer

    together.join(args.device)
    torch.set_num_threads(args.threads)
    config = tomllib.loads(args.config.read_text())
    args.out.mkdir(parents=True, exist_ok=True)
    if not (args.out / "tokenizer.json").exists():
        shutil.copy(args.tokenizer, args.out / "tokenizer.json")
    trainer = Trainer(config, *(Path(path) if path else None for path in (args.data, args.vectors)), args.out, args.device)
    if (args.out / "checkpoint.pt").exists():
        trainer.load(args.out / "checkpoint.pt")
    elif args.start:
        trainer.begin_from(Path(args.start))
    trainer.train()


def read(args: argparse.Namespace) -> None:
    import torch

    from decider import together
    from decider.evaluate import load, predicate_accuracy
    from decider.rows import Encoder
    from decider.sets import read_sets
    from decider.statements import ReadStage, train_reader

    torch.set_num_threads(args.threads)
    together.join("cpu")
    config = tomllib.loads(args.config.read_text())["read"]
    names = config.pop("sets")
    sets = read_sets(args.data, names)
    model, encoder = load(args.checkpoint), Encoder(args.tokenizer)
    together.agree(model)
    with open(args.out.with_suffix(f".log{together.RANK or ''}"), "a", buffering=1) as log:
        stage = ReadStage(**{key: tuple(value) if isinstance(value, list) else value for key, value in config.items()})
        train_reader(model, encoder, sets, stage, args.seed, log)
        if together.RANK:
            return
        state = torch.load(args.checkpoint, map_location="cpu", weights_only=False)
        state["average"] = {name: parameter.detach() for name, parameter in model.named_parameters()}
        torch.save({**state, "model": model.state_dict(), "read": names}, args.out)
        for name, one in sets.items():
            log.write(f"{name} {predicate_accuracy(model, encoder, one.held_out[:500])}\n")


def mean(args: argparse.Namespace) -> None:
    from decider.mean import write_mean

    write_mean(args.first, args.second, args.share, args.out)


def ablate(args: argparse.Namespace) -> None:
    import torch

    from decider.ablation import ablate as run

    torch.set_num_threads(args.threads)
    print(run(tomllib.loads(args.config.read_text()), args.tokenizer, args.out))


def evaluate(args: argparse.Namespace) -> None:
    import torch

    from decider.evaluate import report

    torch.set_num_threads(args.threads)
    report(args.checkpoint, args.tokenizer, args.data, args.sets.split(","), [int(k) for k in args.shots.split(",") if k], args.count)


def baselines(args: argparse.Namespace) -> None:
    from decider.baselines import report

    shots = [int(count) for count in args.shots.split(",") if count]
    report(args.rows, Path(args.held_out) if args.held_out else None, args.base, args.use, shots, args.draws)


def export(args: argparse.Namespace) -> None:
    from decider.export import export as run

    run(args.checkpoint, args.tokenizer, args.card, args.out, args.id, args.note)


def tiny(args: argparse.Namespace) -> None:
    from decider.tiny import tiny as run

    run(args.tokenizer, args.card, args.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(run, *options: tuple) -> None:
        own = commands.add_parser(run.__name__.replace("_", "-"))
        own.set_defaults(run=run)
        for name, kind, default in options:
            own.add_argument(f"--{name}", type=kind, default=default, required=default is None)

    command(texts, ("data", Path, None), ("corpus", Path, None), ("out", Path, None), ("most-words", int, 22), ("seed", int, 1))
    command(held_out, ("data", Path, None), ("sets", str, None), ("out", Path, None), ("count", int, 1000000), ("seed", int, 0))
    command(few, ("data", Path, None), ("sets", str, None), ("out", Path, None), ("shots", int, None), ("seed", int, 0))
    command(
        depth_rows, ("tokenizer", Path, None), ("out", Path, None), ("hops", str, "1,2,4,8,12"), ("count", int, 200), ("seed", int, 1),
    )  # fmt: skip
    command(teach, ("vectors", Path, None), ("teacher", Path, None))
    command(begin, ("config", Path, None), ("tokenizer", Path, None), ("teacher", Path, None), ("out", Path, None))
    command(
        train, ("config", Path, None), ("data", str, ""), ("vectors", str, ""), ("out", Path, None),
        ("tokenizer", Path, None), ("start", str, ""), ("device", str, "cpu"), ("threads", int, 1),
    )  # fmt: skip
    command(
        read, ("config", Path, None), ("checkpoint", Path, None), ("tokenizer", Path, None), ("data", Path, None), ("out", Path, None),
        ("seed", int, 0), ("threads", int, 1),
    )  # fmt: skip
    command(
        evaluate, ("checkpoint", Path, None), ("tokenizer", Path, None), ("data", Path, None), ("count", int, 600),
        ("sets", str, "clinc150,banking77,hwu64,snips"), ("shots", str, ""), ("threads", int, 1),
    )  # fmt: skip
    command(
        export, ("checkpoint", Path, None), ("tokenizer", Path, None), ("card", Path, None), ("out", Path, None),
        ("id", str, "decider"), ("note", str, ""),
    )  # fmt: skip
    command(mean, ("first", Path, None), ("second", Path, None), ("share", float, 0.5), ("out", Path, None))
    command(
        ablate, ("config", Path, None), ("out", Path, None), ("tokenizer", Path, Path("models/chains/tokenizer.json")), ("threads", int, 1),
    )  # fmt: skip
    command(
        baselines, ("rows", Path, None), ("held-out", str, ""), ("base", Path, Path("models/decider")), ("use", Path, Path()),
        ("shots", str, "1,3,5,10"), ("draws", int, 3),
    )  # fmt: skip
    command(tiny, ("tokenizer", Path, None), ("card", Path, None), ("out", Path, None))
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()
