"""One trial: train it, or make what is missing from its kept weights, and leave its folder complete."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any, Literal

from evenhand.errors import TrainingError
from evenhand.study.plan import Trial
from evenhand.study.store import Store, write_text
from evenhand.tasks import classification

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Done:
    """What was done for a trial.

    Attributes:
        what: `kept` when nothing was missing, `predicted` when only predictions were made from kept weights, `trained`,
            or `failed` when training cannot succeed (running again does not repeat it).
        why: of a failure, or of training what had been trained before.
    """

    what: Literal["kept", "predicted", "trained", "failed"]
    why: str | None = None


def run(trial: Trial, store: Store, progress: Progress | None = None) -> Done:
    """Bring one trial's folder to what the study asks for."""
    if store.complete(trial):
        return Done("kept")
    work = classification.Work(
        base=trial.setting.base,
        method=trial.spec,
        train=trial.train,
        seed=trial.seed,
        classes=trial.setting.dataset.classes,
        examples=trial.examples,
        validation=trial.sample.validation,
    )
    trained_before = store.read(trial.hash) is not None
    if trained_before:
        rows = classification.predict(work, store.folder(trial.hash), trial.evaluations)
        if rows is not None:
            store.write_predictions(store.folder(trial.hash), trial, rows)
            return Done("predicted")
    return _train(trial, work, store, progress, "its weights were not kept" if trained_before else None)


def _train(trial: Trial, work: classification.Work, store: Store, progress: Progress | None, again: str | None) -> Done:
    from safetensors import SafetensorError

    with store.writing(trial.hash) as folder:
        kept: dict[str, Any] = {
            "trial": trial.hash,
            "identity": dict(trial.identity),
            "environment": environment(),
            "finished": "",
            "status": "done",
            "reason": None,
        }
        try:
            outcome, rows = classification.train(work, folder, trial.evaluations, keep=trial.keep, progress=progress)
        except TrainingError as error:
            kept |= {"status": "failed", "reason": str(error)}
        except SafetensorError as error:
            # What it has to say of a full disk is no OSError, which is what the command line explains.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(folder)) from None
        else:
            kept |= asdict(outcome)
            store.write_predictions(folder, trial, rows)
        kept["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(folder / "trial.json", json.dumps(kept, indent=1))
    return Done("failed", kept["reason"]) if kept["status"] == "failed" else Done("trained", again)


@cache
def environment() -> dict[str, str]:
    """Versions and machine, as provenance; no part of a trial's identity."""
    import torch

    from evenhand.models.load import device

    packages = ("evenhand", "torch", "transformers", "peft", "tokenizers", "numpy", "polars")
    where = device()
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else where.type,
        "machine": platform.machine(),
        "system": platform.system(),
        "threads": str(torch.get_num_threads()),
    }
