"""Keeps a study in its folder: trial folders written aside and renamed, the study file, a lock, and claims."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evenhand import records
from evenhand.atomic_files import remove, write_text
from evenhand.audit.results_folder import content_hash
from evenhand.processes import temporary_name
from evenhand.study.claims import Claims
from evenhand.study.expansion import Trial
from evenhand.study.folder_lock import clear_leftovers, locked_folder
from evenhand.study.spec import StudySpec
from evenhand.tasks import TABLE
from evenhand.tasks.generations.trial import VALUES, beside_scores
from evenhand.tasks.trial_tokens import TOKENS

WRITTEN = frozenset({"identity", "environment", "status", "reason"})
"""Keys that `trial.json` has for every trial."""
STATUSES = ("done", "failed")
SHORTAGE = "shortage"
"""Key of `trial.json` of a failed trial that lacked memory or time, so that it may succeed another time."""
WEIGHTS = "weights"
"""Key of `trial.json`: by file, the hash of the weights that were kept."""

UNCOMPRESSED = "uncompressed_weights"
"""Key of `trial.json` of a compressed model: `WEIGHTS` of the trial that trained it."""

Chosen = Literal["replicas", "threads"]
"""Files of the choices that timing makes at the first run of a study; both change results by rounding."""

ASIDE = "damaged"
"""The folder of a study that damaged trials are moved to."""

HARNESS = "harness"
"""The table of benchmarks."""
DOCUMENTS = "documents"
"""What it covers."""


@dataclass(frozen=True)
class Store:
    """The folder of a study.

    Attributes:
        out: the folder; made when the first thing is written.
        run: the run on whose behalf this process works in it; the processes of an executor share theirs.
    """

    out: Path
    run: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def study_file(self) -> Path:
        """The file of the resolved study."""
        return self.out / "study.yaml"

    @property
    def pools_file(self) -> Path:
        """The file that records which examples form each setting's pool."""
        return self.out / "pools.json"

    @property
    def features(self) -> Path:
        """The folder of cached features and resized images, which exists while trials are trained."""
        return self.out / "features"

    def folder(self, trial: str) -> Path:
        """Return the folder of a trial that was trained, or that failed for good."""
        return self.out / "trials" / trial

    @property
    def address(self) -> str:
        """The absolute path, by which other machines find the study."""
        return str(self.out.absolute())

    @cached_property
    def claims(self) -> Claims:
        """The claims of this study's runs and trials."""
        from fsspec.implementations.local import LocalFileSystem

        return Claims(LocalFileSystem(), str(self.out.absolute() / "claims"), self.run)

    def lock(self, say: Callable[[str], None] = lambda text: None) -> AbstractContextManager[None]:
        """Return the context manager that locks the folder for this process, for a short time; see `locked_folder`."""
        return locked_folder(self.out, say)

    def clear_leftovers(self) -> None:
        """Remove what killed processes left; nobody else may be writing to the folder. See `clear_leftovers`."""
        clear_leftovers(self.out)

    @contextmanager
    def writing(self, trial: str) -> Iterator[Path]:
        """Yield a folder to write a trial into; it gets its final name at the end, and vanishes on an error."""
        aside = self.out / "trials" / f".{trial}.{temporary_name()}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            yield aside
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        final = self.folder(trial)
        if os.path.lexists(final):
            # Moved away rather than deleted, to keep the time without a complete trial as short as possible.
            earlier = aside.with_name(f"{aside.name}.earlier")
            final.rename(earlier)
            aside.rename(final)
            remove(earlier)
        else:
            aside.rename(final)

    def completed(self, trial: str) -> None:
        """Called when records were added to the folder of a trial."""

    def set_aside(self, trial: str) -> Path:
        """Move a trial's folder to those that are set aside, and return where it is now."""
        aside = self.out / ASIDE / trial
        number = 1
        while aside.exists():
            number += 1
            aside = self.out / ASIDE / f"{trial}-{number}"
        aside.parent.mkdir(exist_ok=True)
        self.folder(trial).rename(aside)
        return aside

    def read(self, trial: str) -> dict[str, Any] | None:
        """Return `trial.json` of a trial; None if it is missing, was cut off by a power failure, or lacks a key."""
        path = self.folder(trial) / "trial.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError:
            return None
        return kept if isinstance(kept, dict) and kept.keys() >= WRITTEN and kept["status"] in STATUSES else None

    def covered(self, trial: str, table: str = "predictions") -> Mapping[str, str]:
        """Return the fingerprints of the examples that a trial's table covers, by split; empty without a table."""
        path = self.folder(trial) / f"{table}.parquet"
        if not path.is_file():
            return {}
        try:
            kept = records.metadata(path)
        except records.UNREADABLE:  # cut off
            return {}
        return {key.removeprefix("split:"): value for key, value in kept.items() if key.startswith("split:")}

    def weights_intact(self, trial: str) -> bool:
        """Return whether a trial's kept weights are those that were written; trials without hashes are believed."""
        kept = self.read(trial) or {}
        return kept.get(WEIGHTS) in (None, hashes_of_weights(self.folder(trial)))

    def complete(self, trial: Trial) -> bool:
        """Return whether a trial failed for good or has all records that the study requires on disk."""
        kept = self.read(trial.hash)
        if kept is None:
            return False
        if kept["status"] == "failed":
            return True
        wanted = (
            self.weights_there,
            self.compression_current,
            self.predicted,
            self.scored,
            self.probed,
            self.questioned,
            self.continued,
            self.tokens_scored,
        )
        return all(is_there(trial) for is_there in wanted)

    def weights_there(self, trial: Trial) -> bool:
        """Return whether a trial's weights were kept, if another trial compresses its model."""
        return not trial.is_compressed or trial.spec.kept(self.folder(trial.hash))

    def compression_current(self, trial: Trial) -> bool:
        """Return whether a trial was made from the present weights of the model that it compresses, if it does."""
        if trial.uncompressed is None:
            return True
        kept, trained = (self.read(each.hash) or {} for each in (trial, trial.uncompressed))
        return kept.get(UNCOMPRESSED) == trained.get(WEIGHTS)

    def predicted(self, trial: Trial) -> bool:
        """Return whether the trial's table has rows for all examples that the study requires."""
        covered = self.covered(trial.hash, TABLE[trial.kind])
        return all(covered.get(name) == value for name, value in trial.fingerprints.items())

    def predictions_changed(self, trial: Trial) -> bool:
        """Return whether the trial's table covers other examples of a split that the study requires."""
        covered = self.covered(trial.hash, TABLE[trial.kind])
        return any(covered.get(name, value) != value for name, value in trial.fingerprints.items())

    def scored(self, trial: Trial) -> bool:
        """Return whether the benchmarks that score a trial are on disk."""
        wanted = trial.benchmarks
        return wanted is None or self.covered(trial.hash, HARNESS).get(DOCUMENTS) == wanted.fingerprint

    def probed(self, trial: Trial) -> bool:
        """Return whether a trial's probes are on disk, if the study asks for any."""
        return trial.probing is None or self.covered(trial.hash, "probes").get("test") == trial.probing.key

    def questioned(self, trial: Trial) -> bool:
        """Return whether the answers of a trial of pairs to prompts are on disk, if the study asks any."""
        wanted = trial.questioning
        return wanted is None or self.covered(trial.hash, "options").get("test") == wanted.key

    def continued(self, trial: Trial) -> bool:
        """Return whether the scores of a trial's continuations are on disk, if the study asks for any."""
        if trial.generations is None:
            return True
        covered = self.covered(trial.hash, VALUES)
        return all(covered.get(name) == key for name, key in trial.generations.keys.items())

    def tokens_scored(self, trial: Trial) -> bool:
        """Return whether the scores of tokens are on disk for all texts that the study requires, if it needs any."""
        covered = {} if trial.scoring is None else self.covered(trial.hash, TOKENS)
        return trial.scoring is None or all(covered.get(name) == key for name, key in trial.scoring.keys.items())

    def chosen(self, what: Chosen) -> dict[str, int]:
        """Return the pack sizes, or the numbers of threads, that timing chose here, by the key that trials share."""
        path = self.out / f"{what}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        except ValueError:  # cut off
            return {}

    def keep_chosen(self, what: Chosen, key: str, count: int) -> None:
        """Remember a pack size or a number of threads for the runs that continue this one."""
        with self.lock():
            write_text(self.out / f"{what}.json", json.dumps({**self.chosen(what), key: count}, indent=1))

    def write_predictions(self, folder: Path, trial: Trial, rows: pl.DataFrame) -> None:
        """Write a trial's predictions, responses, options or values, with the fingerprints of their examples.

        Scores of continuations, which are values, too, stay in the table.
        """
        covered = {f"split:{name}": value for name, value in trial.fingerprints.items()}
        frame = rows.with_columns(trial=pl.lit(trial.hash))
        if TABLE[trial.kind] == VALUES:
            frame, covered = beside_scores(folder, frame, covered)
        records.write(frame, folder / f"{TABLE[trial.kind]}.parquet", TABLE[trial.kind], covered)

    def write_harness(self, folder: Path, trial: Trial, rows: pl.DataFrame) -> None:
        """Write a trial's benchmark scores, with the benchmarks' fingerprint and the harness's version."""
        assert trial.benchmarks is not None
        kept = {f"split:{DOCUMENTS}": trial.benchmarks.fingerprint, "lm_eval": trial.benchmarks.version}
        records.write(rows.with_columns(trial=pl.lit(trial.hash)), folder / f"{HARNESS}.parquet", HARNESS, kept)

    def harness_of_twin(self, trial: Trial) -> pl.DataFrame | None:
        """Return the benchmark scores of an untrained base model from another trial; None if there are none yet.

        A method that trains nothing leaves the base model as it is, whatever the seed. The column `trial` is left out.
        """
        if trial.spec.kind != "base" or trial.benchmarks is None:
            return None
        for path in sorted(self.out.glob(f"trials/*/{HARNESS}.parquet")):
            kept = self.read(path.parent.name)
            same = kept is not None and all(kept["identity"][key] == trial.identity[key] for key in ("base", "method"))
            if same and self.covered(path.parent.name, HARNESS).get(DOCUMENTS) == trial.benchmarks.fingerprint:
                return records.read(path, HARNESS).drop("trial")
        return None

    def harness_version(self, trial: str) -> str:
        """Return the version of lm-evaluation-harness that scored a trial."""
        return records.metadata(self.folder(trial) / f"{HARNESS}.parquet")["lm_eval"]

    def write_study(self, study: StudySpec) -> None:
        """Write the study again, with the hyperparameters chosen since."""
        write_text(self.study_file, study.to_yaml())


def hashes_of_weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 hash of each file of weights below a folder, by its path from there."""
    return {path.relative_to(folder).as_posix(): content_hash(path) for path in sorted(folder.rglob("*.safetensors"))}
