"""Reads from a study's folder which trials are done, failed, at work or missing, and their last losses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evenhand.study.claims import Held
from evenhand.study.expansion import Trial
from evenhand.study.session import RUN
from evenhand.study.store import Store

LISTED = 12
"""The most finished trials whose losses are listed; the latest come first."""

_TAIL = 4096
"""Bytes at the end of a trial's log, which hold its last whole row with a loss."""


@dataclass(frozen=True)
class TrialStates:
    """How far the trials of a study are.

    Attributes:
        planned: how many the study has; None while its plan is unknown.
        done, failed: how many are complete, and how many failed.
        at_work: those that some process works on: its name, the share that is done, and its last loss.
        finished: the latest that were done or failed, newest first, with their losses.
        active: whether some process works in the folder.
    """

    planned: int | None
    done: int
    failed: int
    at_work: tuple[Mapping[str, Any], ...]
    finished: tuple[Mapping[str, Any], ...]
    active: bool

    @property
    def missing(self) -> int | None:
        """How many are neither complete nor at work; None while the plan is unknown."""
        return None if self.planned is None else max(self.planned - self.done - self.failed - len(self.at_work), 0)

    def to_json(self) -> dict[str, Any]:
        """Return the numbers and rows as plain values."""
        counts = {"planned": self.planned, "done": self.done, "running": len(self.at_work), "failed": self.failed}
        return {
            "trials": {**counts, "missing": self.missing},
            "at_work": [dict(row) for row in self.at_work],
            "finished": [dict(row) for row in self.finished],
        }


@dataclass
class TrialReader:
    """Reads the states of a study's trials; what was found complete is looked at again only when its file changes.

    Attributes:
        store: of the study.
    """

    store: Store
    _complete: dict[str, int] = field(default_factory=dict)
    _facts: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)

    def complete(self, trial: Trial) -> bool:
        """Return whether a trial has all its records on disk, or failed; see `Store.complete`."""
        changed = self._changed(trial.hash)
        if changed is None:
            return False
        if self._complete.get(trial.hash) != changed:
            if not self.store.complete(trial):
                return False
            self._complete[trial.hash] = changed
        return True

    def read(self, trials: Iterable[Trial] | None) -> TrialStates:
        """Return the states of a study's trials.

        Args:
            trials: those of the plan; None while it is unknown: then all in the folder are counted.
        """
        held = self.store.claims.held()
        if trials is None:
            complete = {name: _name_of(self._read(name)) for name in self._names() if self._read(name)}
            labels: Mapping[str, str] = {}
        else:
            by_hash = {trial.hash: trial for trial in trials}
            labels = {name: trial.label for name, trial in by_hash.items()}
            complete = {name: labels[name] for name, trial in by_hash.items() if self.complete(trial)}
        rows = [_finished(label, self._read(name)) for name, label in complete.items()]
        rows.sort(key=lambda row: row["finished"] or "", reverse=True)
        failed = sum(row["failed"] is not None for row in rows)
        at_work = [
            self._at_work(labels.get(name, name[:8]), claim)
            for name, claim in sorted(held.items())
            if name not in complete and (name in labels or (trials is None and not name.startswith(RUN)))
        ]
        return TrialStates(
            planned=None if trials is None else len(labels),
            done=len(rows) - failed,
            failed=failed,
            at_work=tuple(at_work),
            finished=tuple(rows[:LISTED]),
            active=bool(held),
        )

    def _at_work(self, label: str, claim: Held) -> dict[str, Any]:
        return {"trial": label, "share": claim.share, "by": claim.owner, **self._last_loss(claim.name)}

    def _last_loss(self, trial: str) -> dict[str, Any]:
        """Return the last loss in the log of a trial that is being trained; its log is written in blocks."""
        logs = sorted((self.store.out / "trials").glob(f".{trial}.*/log.jsonl"))
        row: dict[str, Any] = {}
        if logs:
            try:
                with logs[-1].open("rb") as file:
                    file.seek(max(logs[-1].stat().st_size - _TAIL, 0))
                    lines = file.read().decode("utf-8", "replace").splitlines()
            except OSError:  # has its final name by now
                lines = []
            row = next((found for line in reversed(lines) if (found := _row(line)).get("loss") is not None), {})
        return {"step": row.get("step"), "loss": row.get("loss")}

    def _names(self) -> list[str]:
        return sorted(path.parent.name for path in self.store.out.glob("trials/[!.]*/trial.json"))

    def _changed(self, trial: str) -> int | None:
        """Return when a trial's facts were written; None without them."""
        try:
            return (self.store.folder(trial) / "trial.json").stat().st_mtime_ns
        except OSError:
            return None

    def _read(self, trial: str) -> dict[str, Any]:
        """Return a trial's facts, empty if there are none."""
        changed = self._changed(trial)
        if changed is None:
            return {}
        if trial not in self._facts or self._facts[trial][0] != changed:
            self._facts[trial] = changed, self.store.read(trial) or {}
        return self._facts[trial][1]


def _finished(label: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    failed = (facts.get("reason") or "no reason was recorded") if facts.get("status") == "failed" else None
    losses = {name: facts.get(name) for name in ("train_loss", "validation_loss", "seconds", "finished")}
    return {"trial": label, "failed": failed, **losses}


def _name_of(facts: Mapping[str, Any]) -> str:
    """Return a trial's name where the plan that names it is unknown: its kind of method and its seed."""
    identity = facts.get("identity") or {}
    return f"{(identity.get('method') or {}).get('kind', 'trial')} · seed {identity.get('seed')}"


def _row(line: str) -> dict[str, Any]:
    """Return a row of a log, empty if it was cut off."""
    try:
        row = json.loads(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def trials_in(folder: Path) -> int:
    """Return how many trials a folder holds, of whichever study."""
    return sum(1 for _ in folder.glob("trials/[!.]*/trial.json"))
