"""Continues a study of fixed seeds by as many seeds as its undecided verdicts need: `evenhand run --more`.

The numbers are those of the column `runs_needed`: of studies that go on from here, four in five are decided then. The
study looks at its verdicts, goes on, and looks again, which was not planned: each audit holds its level, and both
together hold twice that. The study file and the report say so; looks that are planned hold one level
(`study.look_by_look`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from itertools import count
from pathlib import Path

import polars as pl

from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.stats.runs_needed import MOST_RUNS
from evenhand.study.setting import Setting
from evenhand.study.spec import Continuation, StudySpec

MEASURE = "accuracy"
"""The measure whose verdicts are to be decided; where a study has none of it, those of all its measures are."""


def with_more_seeds(study: StudySpec, folder: Path, say: Callable[[str], None]) -> StudySpec:
    """Return a study with the seeds that its undecided verdicts need, by the results in its folder.

    Verdicts of accuracy count, on everyone and on gap changes, or on gaps where there is no reference; without accuracy
    those of every measure. Those on further test sets do not count. A setting gets the largest number that any of its
    verdicts needs.

    Args:
        study: of fixed seeds.
        folder: with the results of the study.
        say: receives what each setting needs, and what no number of seeds would decide.

    Raises:
        InputError: the study adds seeds by planned looks, or the folder holds no results of it.
    """
    if study.until_decided is not None:
        raise InputError("--more: a study until decided adds seeds by its planned looks; leave --more out")
    results = Results.load(folder)
    if results.design.looks is not None:
        raise InputError(f"--more: {folder} holds a study until decided, which adds seeds by its planned looks")
    settings, before = dict(study.settings), {}
    for name, setting in study.settings.items():
        made = results.trials.filter(setting=name, role="study")["seed"].unique().sort().to_list()
        if not made:
            raise InputError(f"--more: {folder} holds no results of the setting {name}; run the study without --more")
        rows = _waited_for(results.verdicts.filter(setting=name))
        undecided = rows.filter(verdict="inconclusive")
        needed = undecided.drop_nulls("runs_needed")
        for sentence in _sentences(name if len(study.settings) > 1 else "", len(made), undecided, needed):
            say(sentence)
        most = max(*needed["runs_needed"].to_list(), len(made), 0)
        settings[name] = setting.model_copy(update={"seeds": _seeds(setting, made, most)})
        if most > len(made):
            before[name] = len(made)
    if not before:
        return study.model_copy(update={"settings": settings})
    continued = (Continuation(date=date.today().isoformat(), seeds=before),)
    return study.model_copy(update={"settings": settings, "continued": continued})


def _waited_for(verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the verdicts that a study is continued for."""
    own = verdicts.filter(split="test")
    rows = own if len(own) else verdicts
    named = rows.filter(measure=MEASURE)
    rows = named if len(named) else rows
    between = "gap" if (rows["comparison"] == "gap").all() else "gap change"
    on_everyone = pl.col("attribute").is_null() & (pl.col("comparison") == "change")
    return rows.filter(on_everyone | (pl.col("group").is_not_null() & (pl.col("comparison") == between)))


def _sentences(setting: str, made: int, undecided: pl.DataFrame, needed: pl.DataFrame) -> Iterator[str]:
    """Yield what a setting needs, and what more seeds would not decide."""
    lead = f"{setting}: " if setting else ""
    if undecided.is_empty():
        yield f"{lead}no verdict is inconclusive, so no seeds are added to the {made}"
        return
    if len(needed):
        yield (
            f"{lead}{len(needed)} of {len(undecided)} inconclusive verdicts are likely to be decided with "
            f"{needed['runs_needed'].max()} seeds; there are {made}"
        )
    left = len(undecided) - len(needed)
    if left:
        yield f"{lead}{left} inconclusive verdicts would not be decided by up to {MOST_RUNS} seeds; their notes say why"


def _seeds(setting: Setting, made: Sequence[int], number: int) -> tuple[int, ...]:
    """Return the seeds that were run, followed by the smallest others, without that of tuning."""
    kept = [seed for seed in setting.seeds if seed in made] + [seed for seed in made if seed not in setting.seeds]
    taken = {*kept, *([] if setting.tuning is None or setting.tuning.seeds == "each" else [setting.tuning.seed])}
    others = (seed for seed in count() if seed not in taken)
    return (*kept, *(next(others) for _ in range(number - len(kept))))
