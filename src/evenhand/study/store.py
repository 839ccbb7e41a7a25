"""Where a study is kept: trial folders written aside and renamed, one study file, one lock."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from evenhand import records
from evenhand.audit.design import MarginChange
from evenhand.errors import InputError
from evenhand.study.plan import Plan, Trial
from evenhand.study.spec import Study


@dataclass(frozen=True)
class Store:
    """The folder of a study.

    Attributes:
        out: the folder; made when the first thing is written.
    """

    out: Path

    @property
    def study_file(self) -> Path:
        return self.out / "study.yaml"

    def folder(self, trial: str) -> Path:
        """The folder of a trained trial (or of one that failed for good)."""
        return self.out / "trials" / trial

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder alone, and clear what a process that was killed left half-written.

        Raises:
            InputError: another process is running a study in this folder, or the path is a file.
        """
        if self.out.exists() and not self.out.is_dir():
            raise InputError(f"--out {self.out} is a file; it should be a folder")
        (self.out / "trials").mkdir(parents=True, exist_ok=True)
        with (self.out / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"another process is running a study in {self.out}; wait for it or choose another --out"
                ) from None
            for left in (self.out / "trials").glob(".*"):
                shutil.rmtree(left)
            yield

    @contextmanager
    def writing(self, trial: str) -> Iterator[Path]:
        """A folder to write a trial into; it takes its final name when the block ends, and vanishes on an error."""
        aside = self.out / "trials" / f".{trial}.{os.getpid()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        final = self.folder(trial)
        if final.exists():
            shutil.rmtree(final)
        aside.rename(final)

    def read(self, trial: str) -> dict[str, Any] | None:
        """`trial.json` of a trial that is on disk, else None."""
        path = self.folder(trial) / "trial.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def covered(self, trial: str) -> Mapping[str, str]:
        """The fingerprint of the examples that a trial's predictions cover, by split; empty when there are none."""
        path = self.folder(trial) / "predictions.parquet"
        if not path.is_file():
            return {}
        kept = records.metadata(path)
        return {key.removeprefix("split:"): value for key, value in kept.items() if key.startswith("split:")}

    def complete(self, trial: Trial) -> bool:
        """Whether the records on disk hold all that the study asks of a trial; one that failed for good is."""
        kept = self.read(trial.hash)
        if kept is None:
            return False
        if kept["status"] == "failed":
            return True
        covered = self.covered(trial.hash)
        return all(covered.get(name) == value for name, value in trial.fingerprints.items())

    def write_predictions(self, folder: Path, trial: Trial, rows: pl.DataFrame) -> None:
        """Write the predictions of one trial, whole, with the fingerprints of what they cover."""
        covered = {f"split:{name}": value for name, value in trial.fingerprints.items()}
        frame = rows.with_columns(trial=pl.lit(trial.hash))
        records.write(frame, folder / "predictions.parquet", "predictions", covered)

    def accept(self, plan: Plan) -> Study:
        """Check that this folder may hold the study, and write it out with the margins' history.

        Returns:
            The study with `declared` as it now stands.

        Raises:
            InputError: a setting of the same name has another task or base model.
        """
        earlier = self._earlier()
        declared: tuple[MarginChange, ...] = ()
        if earlier is not None:
            for name in plan.settings:
                if name in earlier.settings:
                    self._check_same(name, earlier, plan)
            declared = earlier.declared
        study = plan.study
        if study.margins and (not declared or declared[-1].margins != study.margins):
            declared = (*declared, MarginChange(date=date.today().isoformat(), margins=study.margins))
        study = study.model_copy(update={"declared": declared})
        write_text(self.study_file, study.to_yaml())
        return study

    def _earlier(self) -> Study | None:
        if not self.study_file.is_file():
            return None
        return Study(**yaml.safe_load(self.study_file.read_text(encoding="utf-8")))

    def _check_same(self, name: str, earlier: Study, plan: Plan) -> None:
        before, now = earlier.settings[name], plan.settings[name]
        advice = "choose another --out, or give the setting another name"
        tasks = [setting.task["name"] for setting in (before, now.spec)]
        if tasks[0] != tasks[1]:
            raise InputError(f"{self.out} holds the setting {name} with the task {tasks[0]}, not {tasks[1]}; {advice}")
        if before.model != now.spec.model and self._base_of(name) not in (None, now.base.fingerprint):
            held = f"{self.out} holds the setting {name} with the base model"
            raise InputError(f"{held} {before.model}, not {now.spec.model}; {advice}")

    def _base_of(self, setting: str) -> str | None:
        """The fingerprint of the base that a setting's trials were trained from; None before the first one."""
        path = self.out / "trials.parquet"
        if not path.is_file():
            return None
        for trial in records.read(path, "trials").filter(pl.col("setting") == setting)["trial"]:
            kept = self.read(trial)
            if kept is not None:
                return str(kept["identity"]["base"])
        return None


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
