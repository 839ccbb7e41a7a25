"""Defines what another process is asked to do: some trials of a study, named by what that process can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evenhand.study.executors.round import Round
from evenhand.study.expansion import Trial


@dataclass(frozen=True)
class Request:
    """Trials that another process completes, named by what that process can read itself.

    Attributes:
        study: the resolved study as YAML, with the hyperparameters that were chosen so far.
        data: the folder of `--data`, or None.
        out: the folder of the study, or its URL.
        working: the working folder of the process that asks, to which the study's paths may be relative.
        run: the run that asks.
        trials: hashes of the trials.
        tried: whether they are candidates of tuning.
    """

    study: str
    data: str | None
    out: str
    working: str
    run: str
    trials: tuple[str, ...]
    tried: bool = False


def request_for(this: Round, trials: Sequence[Trial]) -> Request:
    """Return the request to complete some trials of a round."""
    return Request(
        study=this.study.to_yaml(),
        data=None if this.data is None else str(this.data.absolute()),
        out=this.store.address,
        working=str(Path.cwd()),
        run=this.store.run,
        trials=tuple(trial.hash for trial in trials),
        tried=this.tried,
    )
