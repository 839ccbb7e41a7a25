"""What each process of a launch does in the tests of `evenhand.training.distributed`; the tests do it in one process.

torchrun --nproc-per-node 2 tests/several_processes.py FOLDER CASE ...
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from evenhand.errors import InputError
from evenhand.methods import parse_method
from evenhand.models.find import BaseModel, find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier, load_tokenizer
from evenhand.training.batches import Inputs, ProcessedImages
from evenhand.training.language import LanguagePack
from evenhand.training.launch import this_process
from evenhand.training.loop import fit
from evenhand.training.memory_options import apply_memory_options
from evenhand.training.pack import Pack, Validation, single_pack
from evenhand.training.prompted_texts import encode_prompted
from small_models import CLASSES, base, encoded, examples_for, posts, recipe

SEED = 3


@dataclass(frozen=True)
class Case:
    """A training, its last batches smaller than the others; one example of 65 is left to two processes."""

    method: dict[str, Any]
    model_type: str = "bert"
    double: bool = True
    sharded: bool = False
    examples: int = 65
    train: dict[str, Any] = field(default_factory=dict)

    def base(self) -> BaseModel:
        return base(self.model_type)

    def model(self) -> torch.nn.Module:
        model = parse_method("m", self.method).apply(load_classifier(self.base(), CLASSES, SEED), SEED)
        return model.double() if self.double else model

    def inputs(self, first: int, last: int) -> Inputs:
        found = encoded(examples_for(self.model_type, 100).take(np.arange(first, last)), self.model_type)
        return (
            ProcessedImages(found.pixels.astype(float)) if self.double and isinstance(found, ProcessedImages) else found
        )

    def pack(self) -> Pack:
        spec, labels = parse_method("m", self.method), self.labels(0, self.examples)
        inputs = self.inputs(0, self.examples)
        pack = single_pack(
            self.model(), inputs, labels, seed=SEED, lr=spec.lr, epochs=spec.epochs, train=recipe(**self.train)
        )
        apply_memory_options(pack)
        return pack

    def labels(self, first: int, last: int) -> np.ndarray:
        return examples_for(self.model_type, 100).labels[first:last]

    def predicted(self, pack: Pack) -> np.ndarray:
        return pack.predict(0, self.inputs(80, 99))


@dataclass(frozen=True)
class LanguageCase(Case):
    """A training of a language model that continues a post's first word."""

    model_type: str = "tiny-llama"

    def base(self) -> BaseModel:
        return find_model(self.model_type)

    def model(self) -> torch.nn.Module:
        model = parse_method("m", self.method).apply(load_language_model(self.base()), SEED)
        return model.double() if self.double else model

    def inputs(self, first: int, last: int) -> Inputs:
        texts = [text.partition(" ") for text in posts(100).inputs[first:last]]
        prompts, targets = [text[0] for text in texts], [text[2] for text in texts]
        return encode_prompted(load_tokenizer(self.base()), prompts, targets, 128)

    def pack(self) -> Pack:
        return LanguagePack.of(super().pack())

    def labels(self, first: int, last: int) -> np.ndarray:
        return np.zeros(last - first, dtype=np.int64)

    def predicted(self, pack: Pack) -> np.ndarray:
        return np.array(pack.evaluate(0, self.inputs(80, 99), self.labels(80, 99))[0])


FULL = {"kind": "full", "lr": 1e-3, "epochs": 2}
LORA = {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 2, "dropout": 0.2}
PROMPT = {"kind": "prompt", "tokens": 5, "lr": 1e-2, "epochs": 2}
STRICT = {"clip_norm": 0.1, "weight_decay": 0.1, "warmup": 0.2}
CASES = {
    "full": Case(FULL, train=STRICT),
    "full, float32": Case({**FULL, "lr": 1e-4}, double=False),
    "full of llama": Case(FULL, "llama", examples=70),
    "lora with dropout": Case(LORA, train={"accumulate": 2, "batch_size": 8, **STRICT}),
    "lora, float32": Case({**LORA, "lr": 1e-3}, double=False),
    "lora of windows": Case({**LORA, "targets": ["query"]}, "swinv2"),
    "head": Case({"kind": "head", "lr": 5e-3, "epochs": 2}),
    "nothing": Case({"kind": "base"}),
    "full, sharded": Case(FULL, sharded=True, train={"accumulate": 2, "batch_size": 8, **STRICT}),
    "lora, sharded": Case(LORA, sharded=True, train=STRICT),
    "full, checkpointed": Case(FULL, train={"checkpointing": True}),
    "lora of llama, sharded and checkpointed": Case(LORA, "llama", sharded=True, train={"checkpointing": True}),
    "language": LanguageCase(FULL, train=STRICT),
    "language, lora with dropout": LanguageCase(LORA, train={"accumulate": 2, "batch_size": 8, **STRICT}),
    "language, packed": LanguageCase(FULL, train={"packing": True, **STRICT}),
    "language, few tokens": LanguageCase(FULL, "tiny-mistral", train={"tokens_per_pass": 64, **STRICT}),
    "language, sharded": LanguageCase(FULL, sharded=True, train={"accumulate": 2, "batch_size": 8, **STRICT}),
    "language, packed and sharded": LanguageCase(FULL, sharded=True, train={"packing": True}),
    "language, lora, sharded": LanguageCase(LORA, "tiny-mistral", sharded=True, train=STRICT),
    "language, prompt": LanguageCase(PROMPT, train={"accumulate": 2, "batch_size": 8, **STRICT}),
    "language, prompt, sharded": LanguageCase(PROMPT, "tiny-mistral", sharded=True, train=STRICT),
    "language, prefix, sharded": LanguageCase({**PROMPT, "kind": "prefix"}, sharded=True, train=STRICT),
    "language, p-tuning, sharded": LanguageCase({**PROMPT, "kind": "p_tuning"}, sharded=True, train=STRICT),
    "language, float32": LanguageCase({**LORA, "lr": 1e-3}, double=False),
}

REFUSED = {
    "batch normalisation": Case({"kind": "full"}, "resnet"),
    "pruned, sharded": Case({"kind": "magnitude", "sparsity": 0.5}, sharded=True),
    "base dropout": Case(FULL, train={"base_dropout": 0.1}),
}


def trained(pack: Pack, case: Case) -> dict[str, Any]:
    """The losses, gradient norms and logits of a training."""
    rows: list[dict[str, Any]] = []
    fit(pack, [Validation(case.inputs(80, 91), case.labels(80, 91))], lambda _, row: rows.append(row))
    return {
        "losses": [row["loss"] for row in rows if "loss" in row],
        "norms": [row["gradient_norm"] for row in rows if "loss" in row],
        "validation": [row["validation_loss"] for row in rows if "validation_loss" in row],
        "logits": case.predicted(pack),
    }


def weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {f"weight {name}": tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def main() -> None:
    from evenhand.training import distributed
    from evenhand.training.distributed_language import DistributedLanguagePack

    for name in sys.argv[2:]:
        {**CASES, **REFUSED}[name].base()  # before the launch is known: then transformers writes in one process only
    accelerator = distributed.accelerator()
    data_parallel = accelerator.distributed_type
    for name in sys.argv[2:]:
        case = {**CASES, **REFUSED}[name]
        if case.sharded:
            shard(accelerator)
        distributed.shards_weights.cache_clear()  # it is asked once for each launch, which is of one kind
        try:
            kind = DistributedLanguagePack if isinstance(case, LanguageCase) else distributed.DistributedPack
            pack = distributed.distribute(case.pack(), case.model, kind)
        except InputError as error:
            found, model = {"refused": str(error)}, torch.nn.Module()
        else:
            found, model = trained(pack, case), pack.full_model(0)
        if this_process().main:
            found |= weights(model)
        np.savez(Path(sys.argv[1]) / f"{name} {this_process().rank}.npz", **found)
        accelerator.state.distributed_type = data_parallel
        accelerator.free_memory()


def shard(accelerator: Any) -> None:
    """What a launch with --use_fsdp --fsdp_version 2 sets on GPUs, and only there."""
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=True
    )


if __name__ == "__main__":
    main()
