"""Predicts what a study will cost: seconds, memory and disk of each trial, from a few timed steps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from evenhand.data.dataset import Dataset
from evenhand.study.execution import pending
from evenhand.study.expansion import Trial
from evenhand.study.packs import group_into_packs
from evenhand.study.plan import Plan
from evenhand.study.progress import duration
from evenhand.study.selection import assume_longest_candidates
from evenhand.study.stated_costs import stated_costs
from evenhand.study.store import Chosen, Store
from evenhand.study.timing import MeasuredTimes, measure_times
from evenhand.study.timing_language import measure_language_times
from evenhand.study.trial_cost import Cost, disk_bytes
from evenhand.study.trial_work import work_of
from evenhand.tasks import packing
from evenhand.training.threads import kept_threads

IMAGES_IN_MEMORY = 2**30
"""Encoded images above this size are in a file."""


@dataclass(frozen=True)
class _ReadOnlyStore(Store):
    """A store opened for reading: the choices of timing are not saved."""

    def keep_chosen(self, what: Chosen, key: str, count: int) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Forecast:
    """Every trial of a study, with the predicted cost of those that are not complete.

    Attributes:
        rows: one for each use of a trial: setting, method, seed, `candidate` (None: a trial of the study), hash,
            examples, epochs, `stated`, `done`, and `seconds`, `peak_bytes`, `disk_bytes` (None: complete, not timed, or
            too large). Of a trial whose data or base model are stated, `parameters` and `parameters_total`, too, and no
            `seconds`; its hash is that of made-up contents.
        chosen: whether tuned methods have their hyperparameters; if not, their longest candidate stands for them.
        costs: by hash, for the trials that will run; None if nothing was timed.
        stated: sentences on what was stated instead of read.
    """

    rows: Sequence[dict[str, Any]]
    chosen: bool
    costs: Mapping[str, Cost | None] | None
    stated: Sequence[str] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the forecast as plain values, with the sums."""
        stated = {"stated": list(self.stated)} if self.stated else {}
        return {"trials": list(self.rows), "to_train": self.to_train, "chosen": self.chosen, **self._sums(), **stated}

    @property
    def to_train(self) -> int:
        """The number of trials that are not complete, each counted once."""
        return len({row["trial"] for row in self.rows if not row["done"]})

    def lines(self) -> list[str]:
        """Return the lines that a terminal shows: one for each trial, then the sums."""
        lines = [_line(row) for row in self.rows]
        lines.append(f"{len(self.rows)} trials, {self.to_train} to train")
        if not self.chosen:
            lines.append("Tuned methods are shown with their longest candidate, until one is chosen.")
        sums = self._sums()
        if sums["disk_bytes"] is not None:
            time = "Not timed:" if sums["seconds"] is None else f"About {duration(sums['seconds'])} on this machine,"
            lines.append(
                f"{time} {_size(sums['peak_bytes'])} of memory, and "
                f"{_size(sums['disk_bytes'])} of disk, besides the audit and the report"
            )
        large = sum(cost is None for cost in (self.costs or {}).values())
        if large:
            lines.append(f"{large} trials do not fit this machine's memory")
        return [*lines, *self.stated]

    def _sums(self) -> dict[str, Any]:
        """Return the sums over the trials whose cost is known; None without any."""
        known = [cost for cost in (self.costs or {}).values() if cost is not None]
        if not known:
            return dict.fromkeys(("seconds", "peak_bytes", "disk_bytes"))
        seconds = [cost.seconds for cost in known]
        return {
            "seconds": None if None in seconds else sum(filter(None, seconds)),
            "peak_bytes": max(cost.peak_bytes for cost in known),
            "disk_bytes": sum(cost.disk_bytes for cost in known),
        }


def forecast(planned: Plan, out: Path, timed: bool, say: Callable[[str], None], stated: Sequence[str] = ()) -> Forecast:
    """Return the trials of a study and what those that are not complete will cost.

    Args:
        planned: of the study.
        out: its folder; nothing is written there.
        timed: whether to take a few steps of each method.
        say: called with a sentence on what is being timed.
        stated: sentences on what was stated instead of read. Trials of stated data or base models are not timed: their
            memory and disk follow from their sizes.
    """
    store = Store(out)
    planned, chosen = assume_longest_candidates(planned, store)
    todo = pending(planned, store)
    measured = [trial for trial in todo if not trial.setting.stated]
    cost_by_trial: dict[str, Cost | None] | None = costs(measured, out, say) if timed and measured else None
    if len(measured) < len(todo) and timed:
        cost_by_trial = {**(cost_by_trial or {}), **stated_costs(trial for trial in todo if trial.setting.stated)}
    waiting = {trial.hash for trial in todo}
    uses = [trial.source or trial for trial in (*planned.candidates, *planned.trials)]
    rows = [_row(trial, trial.hash not in waiting, cost_by_trial) for trial in uses]
    return Forecast(rows, chosen, cost_by_trial, stated)


def _row(trial: Trial, done: bool, cost_by_trial: Mapping[str, Cost | None] | None) -> dict[str, Any]:
    """Return a trial's row of a forecast."""
    cost = (cost_by_trial or {}).get(trial.hash)
    return {
        "setting": trial.setting.name,
        "method": trial.method,
        "seed": trial.seed,
        "candidate": None if trial.candidate is None else str(trial.candidate),
        "trial": trial.hash,
        "stated": trial.setting.stated,
        "train": len(trial.examples),
        "test": 0 if trial.candidate is not None else len(trial.sample.asked),
        "epochs": trial.spec.epochs,
        "done": done,
        **{key: None if cost is None else value for key, value in asdict(cost or Cost(0, 0, 0)).items()},
    }


def _line(row: Mapping[str, Any]) -> str:
    """Return a row as the line that a terminal shows."""
    state = "done" if row["done"] else "to train"
    if row["seconds"] is not None:
        state += f": {duration(row['seconds'])}, {_size(row['peak_bytes'])}, {_size(row['disk_bytes'])} on disk"
    elif row["parameters_total"] is not None:
        counts = f"{row['parameters']:,} of {row['parameters_total']:,} parameters"
        state += f": {counts}, {_size(row['peak_bytes'])}, {_size(row['disk_bytes'])} on disk"
    tried = f"  candidate {row['candidate']}" if row["candidate"] else ""
    trial = "stated" if row["stated"] else row["trial"][:12]
    tested = "validation only" if row["candidate"] else f"{row['test']} test examples"
    return (
        f"{row['setting']}  {row['method']}  seed {row['seed']}{tried}  {trial}  "
        f"{row['train']} training examples × {row['epochs']} epochs, {tested}  {state}"
    )


def _size(count: int) -> str:
    """Return bytes as people read them: `12 kB`, `3.4 MB`, `1.2 GB`."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"


@kept_threads()
def costs(todo: Sequence[Trial], out: Path, say: Callable[[str], None]) -> dict[str, Cost | None]:
    """Return the cost of each trial by its hash; None where this machine's memory does not hold it.

    One pack of each kind takes a few steps. The costs of packs that differ only in learning rate, epochs, seed and
    number of examples are calculated from these. Features of a frozen prefix count for the first trial that needs
    them.

    Args:
        todo: trials that are not complete, in the order in which they will run.
        out: the folder of the study; nothing is written there.
        say: called with a sentence on what is being timed.
    """
    known: dict[str, MeasuredTimes | None] = {}
    cached: dict[str, set[str]] = {}
    cost_by_trial: dict[str, Cost | None] = {}
    held = 0
    for pack in group_into_packs(todo, _ReadOnlyStore(out), say):
        kind = _kind(pack)
        if kind not in known:
            say(f"Timing a few steps of {pack[0].method}" + (f", {len(pack)} trials at a time" * (len(pack) > 1)))
            known[kind] = _timed(pack)
        rates = known[kind]
        if rates is None:
            cost_by_trial |= dict.fromkeys(trial.hash for trial in pack)
            continue
        # Features that are needed in training are made for the whole pack, before any of its trials is tested.
        shared = sum(_newly_cached(_trained_examples(trial), trial, rates, cached) for trial in pack) / len(pack)
        for trial in pack:
            new = shared + _newly_cached(_tested_examples(trial), trial, rates, cached)
            cost = _cost(trial, len(pack), rates, new)
            held = max(held, cost.peak_bytes) if rates.of_process else cost.peak_bytes
            cost_by_trial[trial.hash] = replace(cost, peak_bytes=held)
    return cost_by_trial


def _timed(pack: Sequence[Trial]) -> MeasuredTimes | None:
    """Time a few steps of a pack; None where the memory does not hold it."""
    works, tested = [work_of(trial) for trial in pack], next(iter(pack[0].evaluations.values()))
    if pack[0].kind == "classification":
        return measure_times(works, tested)
    return measure_language_times(works[0], tested, pack[0].kind)


def _cost(trial: Trial, together: int, rates: MeasuredTimes, new: float) -> Cost:
    """Return the cost of one trial, calculated from the measured times of its pack."""
    sizes = {name: len(data) for name, data in trial.evaluations.items()}
    validated = 0 if trial.sample.validation is None else len(trial.sample.validation)
    learned, epochs = len(trial.examples), trial.spec.epochs
    steps = epochs * -(-round(learned * rates.sequences) // (trial.train.batch_size * trial.train.accumulate))
    encoded = learned + sum(sizes.values())  # the validation part is one of them
    validations = validated * rates.sequences * (max(epochs, 1) + _validation_looks(trial, steps))
    written, size = rates.kept[trial.keep]
    seconds = (rates.start + rates.step * steps + rates.encode * encoded) / together
    seconds += rates.continuation * sum(map(len, () if trial.generations is None else trial.generations.prompts))
    seconds += rates.fill * new + rates.predict * sum(sizes.values()) + written
    seconds += (rates.predict if rates.validate is None else rates.validate) * validations
    # Encoded images are all there at once; texts are small.
    images = 0 if trial.setting.base.modality == "text" else min(rates.example_bytes * encoded, IMAGES_IN_MEMORY)
    return Cost(seconds, rates.peak_bytes + images, disk_bytes(trial, steps, size))


def _validation_looks(trial: Trial, steps: int) -> int:
    """Return how often a matched trial predicts the validation examples to find its checkpoint."""
    if trial.match is None:
        return 0
    every = trial.match.spec.every
    looks = trial.spec.epochs if every == "epoch" else -(-steps // every)
    return 1 + (looks if trial.match.spec.by != "train_loss" else 0)


def _kind(pack: Sequence[Trial]) -> str:
    """Return a key that packs share if equal work takes them equal time."""
    first = pack[0]
    rest = {key: value for key, value in first.spec.hyperparameters().items() if key not in ("lr", "epochs")}
    # `replicas` is the pack's length. Other keys that change only rounding exist for speed or memory, so they count.
    train = first.train.model_dump(mode="json", exclude={"schedule", "warmup", "replicas"})
    shared = [len(pack), first.setting.base.fingerprint, first.setting.dataset.name, first.spec.epochs > 0, train]
    written = [] if first.generations is None else [sorted(first.generations.keys.items())]
    return json.dumps([*shared, *written, rest if len(pack) == 1 else packing.pack_key(work_of(first))], sort_keys=True)


def _trained_examples(trial: Trial) -> set[str]:
    """Return the names of the examples that are read in training."""
    seen = trial.sample.validation
    validated = set() if seen is None else _names(seen, np.arange(len(seen)))
    return validated | (_names(trial.setting.dataset, trial.parts.train) if trial.spec.epochs else set())


def _tested_examples(trial: Trial) -> set[str]:
    """Return the names of the examples that are predicted."""
    return set().union(*(_names(data, np.arange(len(data))) for data in trial.evaluations.values()))


def _names(data: Dataset, index: np.ndarray) -> set[str]:
    """Return names of examples that are unique across data sets."""
    return {f"{data.name} {example}" for example in data.example[index]}


def _newly_cached(needed: set[str], trial: Trial, rates: MeasuredTimes, cached: dict[str, set[str]]) -> int:
    """Return the number of examples whose cached features this trial is the first to need."""
    if rates.prefix is None:
        return 0
    before = cached.setdefault(f"{rates.prefix} {trial.train.max_length}", set())
    new = len(needed - before)
    before |= needed
    return new
