"""Sends training curves and results to experiment trackers, through accelerate (`trackers: [tensorboard]`).

Trials are sent by the process that runs the study, from their `log.jsonl`, when their folders are complete. So it does
not matter how or where they were trained, and a tracker cannot affect training: one that fails midway is left out.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evenhand.atomic_files import write_text
from evenhand.audit.results import Results
from evenhand.errors import InputError, first_line, shortened
from evenhand.report.card_metadata import model_index
from evenhand.report.wording import by_pair, claims, compared, counts, main_split, settings_of, single_part
from evenhand.study.expansion import Trial
from evenhand.study.spec import StudySpec
from evenhand.study.store import Store
from evenhand.study.trial_runner import TrialOutcome
from evenhand.study.watcher import Watcher
from evenhand.tasks.work import LOG

SENT = "trackers.json"
"""The file of a study that records which trials each tracker has been sent."""

POINTS = 500
"""The most steps of a trial that are sent; of longer ones, every second, third, …"""

_SECRET = re.compile(r"key|token|secret|passw|credential", re.IGNORECASE)
_IN_URL = re.compile(r"//[^/@\s]+@")


class Trackers:
    """The trackers of a run; those that failed are no longer among them."""

    def __init__(self, study: StudySpec, source: str, store: Store, watcher: Watcher) -> None:
        """Send what the study is, to learn before training whether every tracker works.

        Args:
            study: resolved.
            source: the study's name, under which trackers keep its runs; that of its folder unless given.
            store: the folder of the study, in which the files of TensorBoard and of W&B are.
            watcher: is told of trackers that failed.

        Raises:
            InputError: a tracker cannot start.
        """
        self.names = list(study.trackers)
        self.project, self.store, self.watcher = _plain(source or store.out.name), store, watcher
        facts = {
            name: f"{setting.model}: {', '.join(setting.methods)}; {len(setting.seeds)} seeds"
            for name, setting in study.settings.items()
        }
        for name in self.names:
            try:
                with self._run(name, "study") as tracker:
                    tracker.store_init_configuration(facts)
            except Exception as error:  # trackers raise anything
                raise InputError(
                    f"trackers: {name} could not start ({_quoted(error)}); set it up, or leave it out"
                ) from None

    def watching(self, watcher: Watcher) -> Watcher:
        """Return a watcher that sends trials, and tells the given one everything."""
        return _TrialSender(self, watcher) if self.names else watcher

    def send_trials(self, trials: Sequence[Trial]) -> None:
        """Send trials that are complete and that have not been sent, as those that an earlier run trained."""
        for trial in trials if self.names else ():
            lacking = self._not_sent(trial)
            rows = _log_rows(self.store.folder(trial.hash) / LOG) if lacking else []
            for name in lacking if rows else ():
                with self._or_without(name), self._run(name, _plain(f"{trial.label} {trial.hash[:8]}")) as tracker:
                    tracker.store_init_configuration(_facts_of(trial))
                    for step, values in _curves(rows):
                        tracker.log(values, step=step)

    def send_results(self, results: Results) -> None:
        """Send the counts of verdicts and the main estimates."""
        for name in list(self.names):
            with self._or_without(name), self._run(name, "results") as tracker:
                tracker.log(_summary(results), step=0)

    @contextmanager
    def _run(self, name: str, run: str) -> Iterator[Any]:
        """Context manager that yields accelerate's tracker for a run; what it prints goes to standard error."""
        from accelerate import PartialState
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS, GeneralTracker

        PartialState()  # which the trackers' logger needs
        out = self.store.out
        options: dict[str, dict[str, Any]] = {
            "tensorboard": {"run_name": run, "logging_dir": str(out / name)},
            "wandb": {"run_name": self.project, "name": run, "dir": str(out)},
            "mlflow": {"experiment_name": self.project, "run_name": run},
            "trackio": {"run_name": self.project, "name": run},
        }
        with redirect_stdout(sys.stderr):
            tracker = LOGGER_TYPE_TO_CLASS[name](**options[name])
            if hasattr(GeneralTracker, "start"):  # before accelerate 1.8, making a tracker starts it
                tracker.start()
            try:
                yield tracker
            finally:
                _finish(name, tracker)

    @contextmanager
    def _or_without(self, name: str) -> Iterator[None]:
        """Context manager in which the failure of a tracker is told, and it is left out from then on."""
        try:
            yield
        except Exception as error:  # trackers raise anything, and none of it is worth a trial
            self.names.remove(name)
            self.watcher.say(f"The tracker {name} failed ({_quoted(error)}); the study goes on without it")

    def _not_sent(self, trial: Trial) -> list[str]:
        """Return the trackers that lack a trial, and record that it is being sent, so that no other run sends it."""
        path = self.store.out / SENT
        with self.store.lock(self.watcher.say):
            sent = _read_sent(path)
            lacking = [name for name in self.names if trial.hash not in sent.get(name, [])]
            for name in lacking:
                sent.setdefault(name, []).append(trial.hash)
            if lacking:
                write_text(path, json.dumps(sent, indent=1))
        return lacking


def _read_sent(path: Path) -> dict[str, list[str]]:
    """Return the trials that each tracker has been sent; none where the file is not there, or cannot be read."""
    try:
        sent = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return sent if isinstance(sent, dict) else {}


def _finish(name: str, tracker: Any) -> None:
    """End a run. That of trackio would, ended by accelerate, end and print once more when the process ends."""
    if name == "trackio":
        import trackio  # pyright: ignore[reportMissingImports]

        trackio.finish()
    else:
        tracker.finish()


@dataclass(frozen=True)
class _TrialSender:
    """A watcher that sends each trial to trackers when it was trained."""

    trackers: Trackers
    watcher: Watcher

    def start(self, todo: int, kept: int) -> None:
        self.watcher.start(todo, kept)

    def share(self, pack: Sequence[Trial], share: float) -> None:
        self.watcher.share(pack, share)

    def finish(self, trial: Trial, outcome: TrialOutcome, seconds: float) -> None:
        self.watcher.finish(trial, outcome, seconds)
        if outcome.status in ("trained", "failed"):
            self.trackers.send_trials([trial])

    def say(self, text: str) -> None:
        self.watcher.say(text)


def _log_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a trial's log; none where nothing was trained, or the log was cut off."""
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError:
        return []


def _curves(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield steps with their values: at most `POINTS` of single steps, and those at the end of every epoch."""
    steps = [row for row in rows if "loss" in row]
    every = -(-len(steps) // POINTS)
    kept = {id(row) for row in steps[:: every or 1]}
    for row in rows:
        if "loss" not in row or id(row) in kept:
            values = {name: value for name, value in row.items() if name != "step" and value is not None}
            if values:
                yield int(row["step"]), values


def _facts_of(trial: Trial) -> dict[str, Any]:
    """Return where a study uses a trial, and its hyperparameters."""
    facts = {"setting": trial.setting.name, "method": trial.method, "seed": trial.seed, "role": trial.role}
    return {**facts, "trial": trial.hash, **_flat({key: trial.identity[key] for key in ("method", "train")})}


def _flat(values: Mapping[str, Any], lead: str = "") -> dict[str, Any]:
    """Return the numbers and texts of nested mappings, by the dotted path of each."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{lead}{key}.")
        elif isinstance(value, bool | int | float | str):
            flat[f"{lead}{key}"] = value
    return flat


def _summary(results: Results) -> dict[str, float]:
    """Return the counts of verdicts by comparison, and the main estimates, under names that every tracker accepts."""
    values: dict[str, float] = {}
    split = main_split(results.verdicts["split"]) or ""
    judged = claims(results.verdicts).filter(~single_part(results.design), split=split).drop_nulls("verdict")
    settings = settings_of(judged, results.design)
    for setting in settings:
        for method, reference, rows in by_pair(judged.filter(setting=setting), results.design, setting):
            pair = compared(method, reference) + (f" {setting}" if len(settings) > 1 else "")
            values |= {f"verdicts/{_plain(pair)}/{_plain(verdict)}": n for verdict, n in counts(rows).items()}
    for entry in model_index(results):
        for metric in (metric for result in entry["results"] for metric in result["metrics"]):
            values[f"estimates/{_plain(entry['name'])}/{_plain(metric['name'])}"] = metric["value"]
    return values


def _plain(text: str) -> str:
    """Return a name with characters that every tracker and every file system accepts."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "unnamed"


def _quoted(error: Exception) -> str:
    """Return what an error says, without keys, tokens, and the names and passwords in addresses."""
    text = _IN_URL.sub("//…@", f"{type(error).__name__}: {first_line(error)}")
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) > 3:
            text = text.replace(value, "…")
    return shortened(text, 300)
