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
from evenhand.models.load import load_classifier
from evenhand.training.batches import ProcessedImages
from evenhand.training.launch import this_process
from evenhand.training.loop import fit
from evenhand.training.memory_options import apply_memory_options
from evenhand.training.pack import Pack, Validation, single_pack
from small_models import CLASSES, base, encoded, examples_for, recipe

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

    def model(self) -> torch.nn.Module:
        model = parse_method("m", self.method).apply(load_classifier(base(self.model_type), CLASSES, SEED), SEED)
        return model.double() if self.double else model

    def inputs(self, first: int, last: int):
        found = encoded(examples_for(self.model_type, 100).take(np.arange(first, last)), self.model_type)
        return (
            ProcessedImages(found.pixels.astype(float)) if self.double and isinstance(found, ProcessedImages) else found
        )

    def pack(self) -> Pack:
        spec, labels = parse_method("m", self.method), examples_for(self.model_type, 100).labels[: self.examples]
        inputs = self.inputs(0, self.examples)
        pack = single_pack(
            self.model(), inputs, labels, seed=SEED, lr=spec.lr, epochs=spec.epochs, train=recipe(**self.train)
        )
        apply_memory_options(pack)
        return pack


FULL = {"kind": "full", "lr": 1e-3, "epochs": 2}
LORA = {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 2, "dropout": 0.2}
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
}

REFUSED = {
    "batch normalisation": Case({"kind": "full"}, "resnet"),
    "pruned, sharded": Case({"kind": "magnitude", "sparsity": 0.5}, sharded=True),
    "base dropout": Case(FULL, train={"base_dropout": 0.1}),
}


def trained(pack: Pack, case: Case) -> dict[str, Any]:
    """The losses, gradient norms and logits of a training."""
    rows: list[dict[str, Any]] = []
    labels = examples_for(case.model_type, 100).labels[80:91]
    fit(pack, [Validation(case.inputs(80, 91), labels)], lambda _, row: rows.append(row))
    return {
        "losses": [row["loss"] for row in rows if "loss" in row],
        "norms": [row["gradient_norm"] for row in rows if "loss" in row],
        "validation": [row["validation_loss"] for row in rows if "validation_loss" in row],
        "logits": pack.predict(0, case.inputs(80, 99)),
    }


def weights(model: torch.nn.Module) -> dict[str, np.ndarray]:
    return {f"weight {name}": tensor.detach().numpy() for name, tensor in model.state_dict().items()}


def main() -> None:
    from evenhand.training import distributed

    for name in sys.argv[2:]:
        base(
            {**CASES, **REFUSED}[name].model_type
        )  # before the launch is known: then transformers writes in one process only
    accelerator = distributed.accelerator()
    data_parallel = accelerator.distributed_type
    for name in sys.argv[2:]:
        case = {**CASES, **REFUSED}[name]
        if case.sharded:
            shard(accelerator)
        try:
            pack = distributed.distribute(case.pack(), case.model)
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
