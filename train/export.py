"""A training checkpoint -> a folder in the published form: model.safetensors (f32), config.json, tokenizer.json.

The averaged weights are exported; the label heads and everything else that only served training are left behind.
Adds the chat template and card.json: train/card.json with the record of how the weights came to be. Quantisation is
`fathom convert`'s work.

usage: export.py RUN_DIR OUT_DIR [--command TEXT]
"""
from __future__ import annotations

import argparse
import hashlib
import json
import math
import shutil
from pathlib import Path

import torch

from model import NORM_EPS, ROPE_BASE, Config, Huginn, causal_mask
from tokenizer import BOS, EOS, PAD
from train import BACKPROP_ITERATIONS
from weights import load_published, published, read_safetensors, write_safetensors


def load_average(path: Path) -> tuple[Huginn, dict]:
    """The model with its averaged weights, ready for f32 evaluation, and the whole checkpoint."""
    checkpoint = torch.load(path)
    model = Huginn(Config(**checkpoint["config"])).eval()
    model.load_state_dict(checkpoint["average"])
    return model, checkpoint


def published_config(config: Config) -> dict:
    """config.json with the field names of the family."""
    return {
        "architectures": ["RavenForCausalLM"],
        "model_type": "huginn_raven",
        "torch_dtype": "float32",
        "architecture_class_name": "RecurrentGPT",
        "block_class_name": "SandwichBlock",
        "norm_class_name": "RMSNorm_llama",
        "norm_eps": NORM_EPS,
        "mlp_class_name": "GatedMLP",
        "nonlin_name": "SiLU",
        "bias": False,
        "qk_bias": True,
        "rope_base": int(ROPE_BASE),
        "block_size": config.positions,
        "vocab_size": config.vocabulary,
        "padding_multiple": 1,
        "tie_embeddings": True,
        "tie_word_embeddings": True,
        "n_embd": config.width,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.heads,
        "n_heads": config.heads,
        "head_dim": config.width // config.heads,
        "intermediate_size": config.mlp,
        "n_layers": config.prelude + config.core + config.coda,
        "n_layers_in_prelude": config.prelude,
        "n_layers_in_recurrent_block": config.core,
        "n_layers_in_coda": config.coda,
        "mean_recurrence": config.mean_recurrence,
        "mean_backprop_depth": BACKPROP_ITERATIONS,
        "sampling_scheme": "poisson-lognormal-filling",
        "effective_expected_depth": config.effective_depth,
        "injection_type": "linear",
        "state_init": "like-init",
        "init_strategy": "takase",
        "init_orthogonal": False,
        "init_values": {
            "std": config.std,
            "embedding": config.std,
            "out_proj": config.std / math.sqrt(2 * config.effective_depth),
            "embed_scale": math.sqrt(config.width),
        },
        "test_time_noise": 0,
        "test_time_noise_type": "fixed",
        "bos_token_id": BOS,
        "eos_token_id": EOS,
        "pad_token_id": PAD,
    }


def training_record(checkpoint: dict, weights: int, command: str) -> dict:
    args = checkpoint["args"]
    step, tokens, seconds, _ = checkpoint["counters"]
    return {
        "command": command,
        "seed": args["seed"],
        "steps": step,
        "tokens": tokens,
        "minutes": round(seconds / 60, 1),
        "weights": weights,
        "torch": torch.__version__,
        "forms": args["forms"],
        "shares": args["shares"],
        "trainedLevels": {name: checkpoint["mastery"][name]["level"] for name in args["forms"]},
    }


def file_list(folder: Path) -> dict:
    """SHA-256 and size of every file, for the card; large files in pieces, too (engine/model/file-list.ts)."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.name == "card.json" or not path.is_file():
            continue
        content = path.read_bytes()
        piece = 1 << 20
        while piece * 256 < len(content):
            piece *= 2
        files[path.name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        if len(content) > piece:
            pieces = [hashlib.sha256(content[at : at + piece]).hexdigest() for at in range(0, len(content), piece)]
            files[path.name]["pieces"] = {"bytes": piece, "sha256": pieces}
    return files


@torch.no_grad()
def check_round_trip(model: Huginn, path: Path) -> None:
    """The written file, read back, computes exactly what the model computes."""
    copy = Huginn(model.config).eval()
    load_published(copy, read_safetensors(path))
    ids = torch.arange(20)[None] % model.config.vocabulary
    context = model.context(causal_mask(20))
    embedded = model.embed(ids, context)
    state = model.initial_state(embedded)
    ours = model.logits(model.iterate(state, embedded, context), context)
    theirs = copy.logits(copy.iterate(state, copy.embed(ids, context), context), context)
    assert torch.equal(ours, theirs), "the exported file is not the model"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--command", default="", help="how the run was started, for the card")
    args = parser.parse_args()
    model, checkpoint = load_average(args.run / "checkpoint.pt")
    args.out.mkdir(parents=True, exist_ok=True)
    tensors = published(model)
    weights = sum(tensor.numel() for tensor in tensors.values())
    write_safetensors(args.out / "model.safetensors", tensors)
    check_round_trip(model, args.out / "model.safetensors")
    shutil.copy(args.run / "tokenizer.json", args.out)
    record = training_record(checkpoint, weights, args.command)
    here = Path(__file__).parent
    shutil.copy(here / "chat_template.jinja", args.out)
    (args.out / "config.json").write_text(json.dumps(published_config(model.config), indent=1) + "\n")
    card = {**json.loads((here / "card.json").read_text()), "training": record, "files": file_list(args.out)}
    (args.out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(f"{weights} weights at step {record['steps']}, {(args.out / 'model.safetensors').stat().st_size} bytes")


if __name__ == "__main__":
    main()
