"""Refuses, before a launch of several processes begins, the trials that it cannot train.

The main process runs the study as if it were alone; the other processes join it in every training.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from evenhand.errors import InputError
from evenhand.methods.compression import Compression
from evenhand.methods.private import Private
from evenhand.methods.quantized import QLoRA
from evenhand.study.expansion import Trial
from evenhand.training import launch


def check_launch(trials: Sequence[Trial]) -> None:
    """Raise InputError for trials that the processes of this launch would train differently from one process.

    Raises:
        InputError: a trial, or the launch itself, is not supported.
    """
    for trial in trials:
        if reason := _reason_against(trial):
            raise InputError(
                f"{trial.label} {reason}; start this study without a launcher (this one started "
                f"{launch.this_process().processes} processes)"
            )
    from evenhand.training.distributed import accelerator, shards_weights

    accelerator()
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and not shards_weights():
        raise InputError(
            "the processes were asked to share the weights (FSDP2), which accelerate does on accelerators only, and "
            "this machine has none; leave out --use_fsdp, or resources.sharded, and each process holds all weights"
        )


def check_processes(trials: Sequence[Trial]) -> None:
    """Raise InputError for trials with `resources.processes` that several would train differently from one process.

    Raises:
        InputError: a trial is not supported, or asks for less than an accelerator for each of its processes.
    """
    for trial in trials:
        count = trial.resources.processes
        if count == 1:
            continue
        if reason := _reason_against(trial):
            raise InputError(f"{trial.label} {reason}; leave out its resources.processes, which is {count}")
        if trial.resources.gpus and trial.resources.gpus != count:
            raise InputError(
                f"{trial.label} has resources.gpus: {trial.resources.gpus:g} and processes: {count}; each process "
                "computes on an accelerator of its own, so that both should be the same number"
            )


def _reason_against(trial: Trial) -> str | None:
    """Return why several processes cannot train a trial as one does; None if they can."""
    if isinstance(trial.spec, Private):
        return "draws its batches and its noise for one process"
    if isinstance(trial.spec, QLoRA):
        return "rounds its base model to 4 bits, which has not been shown to work in several processes"
    if isinstance(trial.spec, Compression) and not trial.spec.epochs:
        return "compresses a model without training, which one process does"
    if trial.spec.loss is not None and trial.spec.loss.kind == "group_dro":
        return "has the loss group_dro, which weighs the groups of a whole step, and a process sees only a share of it"
    if trial.train.base_dropout:
        return "has train.base_dropout, noise that several processes would draw otherwise than one"
    if trial.train.replicas not in ("auto", 1):
        return f"has train.replicas: {trial.train.replicas}, and several processes train one trial at a time"
    if trial.resources.minutes is not None:
        return "has resources.minutes, and the other processes would wait for one that is ended"
    if trial.train.compile:
        return "has train.compile, which has not been shown to work in several processes"
    return None
