"""Keeps a study in its folder: trial folders written aside and renamed, the study file, a lock, and claims."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evenhand import records
from evenhand.atomic_files import remove, write_text
from evenhand.audit.design import MarginChange
from evenhand.audit.results_folder import content_hash
from evenhand.errors import InputError
from evenhand.study.claims import Claims, process_number
from evenhand.study.expansion import Trial
from evenhand.study.folder_lock import clear_leftovers, locked_folder
from evenhand.study.membership_models import pool_of_setting
from evenhand.study.plan import Plan
from evenhand.study.setting import Setting
from evenhand.study.spec import Continuation, StudySpec
from evenhand.study.study_file import read_study_file
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
        aside = self.out / "trials" / f".{trial}.{process_number()}"
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

    @contextmanager
    def accepted(self, plan: Plan) -> Iterator[StudySpec]:
        """Check that this folder may hold the study, and write it out with the margins' history.

        If the study turns out to be unusable within the block, the earlier study file is restored, because the folder
        still contains that study.

        Yields:
            The study with `declared` as it now stands.

        Raises:
            InputError: a setting of the same name has another task or base model, or a pool of different examples; the
                earlier study cannot be read.
        """
        earlier = self._earlier()
        pools = self._pools(plan)
        declared: tuple[MarginChange, ...] = ()
        continued: tuple[Continuation, ...] = ()
        if earlier is not None:
            for name in plan.settings.keys() & earlier.settings.keys():
                self._check_same(earlier.settings[name], plan.settings[name].spec, name, plan)
            declared, continued = earlier.declared, earlier.continued
        study = plan.study
        before = [each.seeds for each in continued]
        continued = (*continued, *(each for each in study.continued if each.seeds not in before))
        if study.margins and (not declared or declared[-1].margins != study.margins):
            declared = (*declared, MarginChange(date=date.today().isoformat(), margins=study.margins))
        study = study.model_copy(update={"declared": declared, "continued": continued, "chosen": ()})
        written = {self.study_file: study.to_yaml()}
        if pools:
            written[self.pools_file] = json.dumps(pools, indent=1)
        texts = {path: path.read_text(encoding="utf-8") if path.is_file() else None for path in written}
        for path, text in written.items():
            write_text(path, text)
        try:
            yield study
        except InputError:
            for path, text in texts.items():
                if text is None:
                    path.unlink()
                else:
                    write_text(path, text)
            raise

    def write_study(self, study: StudySpec) -> None:
        """Write the study again, with the hyperparameters chosen since."""
        write_text(self.study_file, study.to_yaml())

    def _earlier(self) -> StudySpec | None:
        """Return the study that this folder holds; None if there is none."""
        if not self.study_file.is_file():
            return None
        try:
            return StudySpec(**read_study_file(self.study_file))
        except InputError as error:
            raise InputError(
                f"{self.study_file} is from an earlier run and no longer a readable study ({error}); choose "
                "another --out, or move that file away (the dates of its margins go with it)"
            ) from None

    def _pools(self, plan: Plan) -> dict[str, Any]:
        """Return the pools of this folder and of the plan, by setting: the number of examples and a fingerprint.

        Raises:
            InputError: a setting's pool in this folder consists of other examples.
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
                    f"{self.out} holds models of the pool of the setting {name}, whose examples or draw differ "
                    f"from this study's ({before['examples']:,} examples then, {now['examples']:,} now); models of two "
                    "pools cannot be compared: choose another --out, or give the setting another name"
                )
        return held

    def _check_same(self, before: Setting, now: Setting, name: str, plan: Plan) -> None:
        """Refuse a setting with another task or base model than the one of the same name in this folder.

        Only contents count: a moved file or another attribute does not change a setting's trials.
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
        """Return whether the plan has one of the setting's recorded trials, or none is recorded yet."""
        path = self.out / "trials.parquet"
        held = set(records.read(path, "trials").filter(setting=name)["trial"]) if path.is_file() else set()
        return not held or any(trial.hash in held for trial in plan.trials if trial.setting.name == name)


def hashes_of_weights(folder: Path) -> dict[str, str]:
    """Return the SHA-256 hash of each file of weights below a folder, by its path from there."""
    return {path.relative_to(folder).as_posix(): content_hash(path) for path in sorted(folder.rglob("*.safetensors"))}
