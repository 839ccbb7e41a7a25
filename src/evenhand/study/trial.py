"""One trial: train it, or make what is missing from its kept weights, and leave its folder complete."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import Any, Literal

from evenhand.errors import TrainingError
from evenhand.study.plan import Trial
from evenhand.study.store import Store, write_text
from evenhand.tasks import classification

Progress = Callable[[float], None]
Done = Literal["kept", "predicted", "trained", "failed"]


def run(trial: Trial, store: Store, progress: Progress | None = None) -> Done:
    """Bring one trial's folder to what the study asks for.

    Returns:
        "kept" when nothing was missing, "predicted" when only predictions were made from kept weights, "trained",
        or "failed" when training cannot succeed (its reason is in `trial.json`; running again does not repeat it).
    """
    if store.complete(trial):
        return "kept"
    work = classification.Work(
        base=trial.setting.base,
        method=trial.spec,
        train=trial.train,
        seed=trial.seed,
        classes=trial.setting.dataset.classes,
        examples=trial.examples,
        validation=trial.validation,
    )
    if store.read(trial.hash) is not None:
        rows = classification.predict(work, store.folder(trial.hash), trial.evaluations)
        if rows is not None:
            store.write_predictions(store.folder(trial.hash), trial, rows)
            return "predicted"
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
            outcome, rows = classification.train(
                work, folder, trial.evaluations, keep=trial.setting.spec.keep, progress=progress
            )
        except TrainingError as error:
            kept |= {"status": "failed", "reason": str(error)}
        else:
            kept |= asdict(outcome)
            store.write_predictions(folder, trial, rows)
        kept["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(folder / "trial.json", json.dumps(kept, indent=1))
    return "failed" if kept["status"] == "failed" else "trained"


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
