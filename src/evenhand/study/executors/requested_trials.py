"""The trials that a request names, from what this machine reads of the study."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import yaml

from evenhand.errors import InputError
from evenhand.study.executors.request import Request
from evenhand.study.expansion import Trial
from evenhand.study.plan import make_plan
from evenhand.study.spec import StudySpec


def trials_of(request: Request) -> list[Trial]:
    """Return the trials of a request as this machine's data and base models give them."""
    if Path(request.working).is_dir():
        os.chdir(request.working)
    known = _plan_by_hash(request.study, request.data, request.tried)
    for name in request.trials:
        if name not in known:
            raise InputError(
                f"the trial {name[:12]} does not follow from the study on this machine, so that its data or base model "
                "differ from those of the machine that started the run; give all machines the same files"
            )
    return [known[name] for name in request.trials]


@lru_cache(maxsize=2)  # a process completes many requests of one study
def _plan_by_hash(study: str, data: str | None, tried: bool) -> dict[str, Trial]:
    """Return the trials of a study by hash."""
    spec = StudySpec(**yaml.safe_load(study))
    plan = make_plan(spec, None if data is None else Path(data))
    if spec.chosen:
        plan = plan.decided(spec.chosen)
    return {trial.hash: trial for trial in (plan.tried if tried else plan.distinct)}
