"""Where a study is kept: trial folders written aside and renamed, one study file, one lock."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl

from evenhand import records
from evenhand.audit.design import MarginChange
from evenhand.errors import InputError
from evenhand.study.expansion import Trial
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.plan import Plan
from evenhand.study.setting import Setting
from evenhand.study.spec import StudySpec
from evenhand.study.study_file import read_study_file
from evenhand.tasks import TABLE

_ASIDE = re.compile(r"\.\w+\.(html|json|md|parquet|yaml)\.\d+")
"""The name under which a file is written before it is renamed."""

HARNESS = "harness"
"""The table of benchmarks."""
DOCUMENTS = "documents"
"""What it covers."""


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

    @property
    def pools_file(self) -> Path:
        """What the examples of each setting's pool are."""
        return self.out / "pools.json"

    @property
    def features(self) -> Path:
        """Where what leaves a frozen prefix, and images as they were resized, are kept while trials are trained."""
        return self.out / "features"

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
        try:
            (self.out / "trials").mkdir(parents=True, exist_ok=True)
            opened = (self.out / ".lock").open("w")
        except OSError as error:
            raise InputError(f"--out {self.out} cannot be written to: {error.strerror}") from None
        with opened as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    f"another process is running a study in {self.out}; wait for it or choose another --out"
                ) from None
            for left in (*(self.out / "trials").glob(".*"), *self.features.rglob(".*")):
                shutil.rmtree(left)
            for left in (*self.out.glob(".*"), *(self.out / "trials").glob("*/.*")):
                if _ASIDE.fullmatch(left.name):
                    left.unlink()
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
            # Moved away rather than deleted, so that the time without a whole trial is as short as can be.
            earlier = aside.with_name(f"{aside.name}.earlier")
            final.rename(earlier)
            aside.rename(final)
            shutil.rmtree(earlier)
        else:
            aside.rename(final)

    def read(self, trial: str) -> dict[str, Any] | None:
        """`trial.json` of a trial that is on disk, else None; also where a power failure cut the file off."""
        path = self.folder(trial) / "trial.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError:
            return None

    def covered(self, trial: str, table: str = "predictions") -> Mapping[str, str]:
        """The fingerprint of the examples that a trial's rows of a table cover, by split; empty when there are none."""
        path = self.folder(trial) / f"{table}.parquet"
        if not path.is_file():
            return {}
        try:
            kept = records.metadata(path)
        except pl.exceptions.PolarsError:  # cut off
            return {}
        return {key.removeprefix("split:"): value for key, value in kept.items() if key.startswith("split:")}

    def complete(self, trial: Trial) -> bool:
        """Whether the records on disk hold all that the study asks of a trial; one that failed for good is."""
        kept = self.read(trial.hash)
        if kept is None:
            return False
        if kept["status"] == "failed":
            return True
        return self.predicted(trial) and self.scored(trial) and self.probed(trial)

    def predicted(self, trial: Trial) -> bool:
        """Whether there is a row of its table for all that a trial is asked about."""
        covered = self.covered(trial.hash, TABLE[trial.kind])
        return all(covered.get(name) == value for name, value in trial.fingerprints.items())

    def scored(self, trial: Trial) -> bool:
        """Whether the benchmarks that a trial is to be scored by are on disk."""
        wanted = trial.benchmarks
        return wanted is None or self.covered(trial.hash, HARNESS).get(DOCUMENTS) == wanted.fingerprint

    def probed(self, trial: Trial) -> bool:
        """Whether a trial's representations were probed for what the study asks, if it asks for anything."""
        return trial.probing is None or self.covered(trial.hash, "probes").get("test") == trial.probing.key

    def replicas(self) -> dict[str, int]:
        """How many trials of a kind are trained together here, by what they share."""
        path = self.out / "replicas.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:  # cut off
            return {}

    def keep_replicas(self, key: str, count: int) -> None:
        """Remember it for the runs that continue this one."""
        write_text(self.out / "replicas.json", json.dumps({**self.replicas(), key: count}, indent=1))

    def write_predictions(self, folder: Path, trial: Trial, rows: pl.DataFrame) -> None:
        """Write the predictions, responses or options of one trial, whole, with the fingerprints of what they cover."""
        covered = {f"split:{name}": value for name, value in trial.fingerprints.items()}
        frame = rows.with_columns(trial=pl.lit(trial.hash))
        records.write(frame, folder / f"{TABLE[trial.kind]}.parquet", TABLE[trial.kind], covered)

    def write_harness(self, folder: Path, trial: Trial, rows: pl.DataFrame) -> None:
        """Write what benchmarks say of one trial, whole, with what identifies them and who scored them."""
        assert trial.benchmarks is not None
        kept = {f"split:{DOCUMENTS}": trial.benchmarks.fingerprint, "lm_eval": trial.benchmarks.version}
        records.write(rows.with_columns(trial=pl.lit(trial.hash)), folder / f"{HARNESS}.parquet", HARNESS, kept)

    def harness_of_twin(self, trial: Trial) -> pl.DataFrame | None:
        """What benchmarks say of the same model in another trial, without the column `trial`: a method that trains
        nothing leaves the base model as it is, whatever the seed. None where there is no such trial yet."""
        if trial.spec.kind != "base" or trial.benchmarks is None:
            return None
        for path in sorted(self.out.glob(f"trials/*/{HARNESS}.parquet")):
            kept = self.read(path.parent.name)
            same = kept is not None and all(kept["identity"][key] == trial.identity[key] for key in ("base", "method"))
            if same and self.covered(path.parent.name, HARNESS).get(DOCUMENTS) == trial.benchmarks.fingerprint:
                return records.read(path, HARNESS).drop("trial")
        return None

    def harness_version(self, trial: str) -> str:
        """Of the lm-evaluation-harness that scored a trial."""
        return records.metadata(self.folder(trial) / f"{HARNESS}.parquet")["lm_eval"]

    @contextmanager
    def accepted(self, plan: Plan) -> Iterator[StudySpec]:
        """Check that this folder may hold the study, and write it out with the margins' history.

        Where the study turns out to be unusable in the block, the earlier study file is put back: what the folder
        reports is still that study.

        Yields:
            The study with `declared` as it now stands.

        Raises:
            InputError: a setting of the same name has another task or base model, or a pool of other examples; the
                earlier study cannot be read.
        """
        earlier = self._earlier()
        pools = self._pools(plan)
        declared: tuple[MarginChange, ...] = ()
        if earlier is not None:
            for name in plan.settings.keys() & earlier.settings.keys():
                self._check_same(earlier.settings[name], plan.settings[name].spec, name, plan)
            declared = earlier.declared
        study = plan.study
        if study.margins and (not declared or declared[-1].margins != study.margins):
            declared = (*declared, MarginChange(date=date.today().isoformat(), margins=study.margins))
        study = study.model_copy(update={"declared": declared, "chosen": ()})
        written = {self.study_file: study.to_yaml()}
        if pools:
            written[self.pools_file] = json.dumps(pools, indent=1)
        before = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in written}
        for path, text in written.items():
            write_text(path, text)
        try:
            yield study
        except InputError:
            for path, text in before.items():
                if text is None:
                    path.unlink()
                else:
                    write_text(path, text)
            raise

    def write_study(self, study: StudySpec) -> None:
        """Write the study out again, with what it has chosen since."""
        write_text(self.study_file, study.to_yaml())

    def _earlier(self) -> StudySpec | None:
        if not self.study_file.is_file():
            return None
        try:
            return StudySpec(**read_study_file(self.study_file))
        except InputError as error:
            raise InputError(
                f"{self.study_file} is of an earlier run and cannot be read as a study any more ({error}); choose "
                "another --out, or move that file away (the dates of its margins go with it)"
            ) from None

    def _pools(self, plan: Plan) -> dict[str, Any]:
        """The pools that this folder holds with those of the plan, by setting: how many examples, and what they are.

        Raises:
            InputError: the pool of a setting that has one here is of other examples.
        """
        try:
            held = json.loads(self.pools_file.read_text(encoding="utf-8")) if self.pools_file.is_file() else {}
        except ValueError:  # cut off
            held = {}
        for name, prepared in plan.settings.items():
            pool = pool_of_setting(prepared)
            if pool is None:
                continue
            now = {"examples": len(pool.index), "fingerprint": pool.fingerprint}
            before = held.setdefault(name, now)
            if before != now:
                raise InputError(
                    f"{self.out} holds models of the pool of the setting {name}, which was drawn from other data or "
                    f"otherwise ({before['examples']:,} examples then, {now['examples']:,} now, another fingerprint); "
                    "models of two pools cannot be compared: choose another --out, or give the setting another name"
                )
        return held

    def _check_same(self, before: Setting, now: Setting, name: str, plan: Plan) -> None:
        """Refuse another task or base model under the name of one that this folder has results of.

        What counts is the contents: a moved file or another attribute leaves a setting's trials what they were.
        """
        differ = {key: [each.task.get(key) for each in (before, now)] for key in {**before.task, **now.task}}
        differ["model"] = [before.model, now.model]
        differ = {key: values for key, values in differ.items() if values[0] != values[1]}
        if not differ or self._shared(name, plan):
            return
        key, (held, given) = next(iter(differ.items()))
        task = f"task {before.task['name']}"
        what = {"name": f"{task}, not {given}", "model": f"base model {held}, not {given}"}
        raise InputError(
            f"{self.out} holds the setting {name} with the {what.get(key, f'{task} and {key}: {held}, not {given}')}; "
            "choose another --out, or give the setting another name"
        )

    def _shared(self, name: str, plan: Plan) -> bool:
        """Whether a setting's results are of some trial that the plan has too, or there are none yet."""
        path = self.out / "trials.parquet"
        held = set(records.read(path, "trials").filter(setting=name)["trial"]) if path.is_file() else set()
        return not held or any(trial.hash in held for trial in plan.trials if trial.setting.name == name)


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name and rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
