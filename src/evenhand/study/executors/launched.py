"""Refuses, before a launch of several processes begins, the trials that it cannot train.

The main process runs the study as if it were alone; the other processes join it in every training.
"""

from __future__ import annotations

from collections.abc import Sequence

from evenhand.errors import InputError
from evenhand.methods.private import Private
from evenhand.methods.quantized import QLoRA
from evenhand.study.expansion import Trial
from evenhand.training import launch


def check_launch(trials: Sequence[Trial]) -> None:
    """Raise InputError for trials that several processes would train differently from one process.

    Raises:
        InputError: a trial, or the launch itself, is not supported.
    """
    for trial in trials:
        if isinstance(trial.spec, Private):
            reason = "draws its batches and its noise for one process"
        elif isinstance(trial.spec, QLoRA):
            reason = "rounds its base model to 4 bits, which has not been shown to work in several processes"
        elif trial.train.base_dropout:
            reason = "has train.base_dropout, noise that several processes would draw otherwise than one"
        elif trial.train.replicas not in ("auto", 1):
            reason = f"has train.replicas: {trial.train.replicas}, and several processes train one trial at a time"
        elif trial.resources.minutes is not None:
            reason = "has resources.minutes, and the other processes would wait for one that is ended"
        elif trial.train.compile:
            reason = "has train.compile, which has not been shown to work in several processes"
        else:
            continue
        raise InputError(
            f"{trial.label} {reason}; start this study without a launcher (this one started "
            f"{launch.this_process().processes} processes)"
        )
    from evenhand.training.distributed import accelerator

    accelerator()
