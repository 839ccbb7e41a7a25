"""Runs trials: trains them, or makes the missing records from kept weights, and completes their folders."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from evenhand.atomic_files import write_text
from evenhand.errors import InputError, ShortageError, TrainingError
from evenhand.study.environment import training_environment
from evenhand.study.expansion import Trial
from evenhand.study.memory_retries import why_not_smaller, with_smaller_passes
from evenhand.study.selection import validation_accuracy
from evenhand.study.store import SHORTAGE, UNCOMPRESSED, WEIGHTS, Store, hashes_of_weights
from evenhand.study.time_limit import time_limit
from evenhand.study.trial_work import work_of
from evenhand.tasks import trainer
from evenhand.tasks.generations.trial import write_generations
from evenhand.tasks.trial_options import write_options
from evenhand.tasks.trial_probes import write_probes
from evenhand.tasks.trial_tokens import write_tokens
from evenhand.tasks.work import Job
from evenhand.tasks.workers import train_in_all_processes
from evenhand.training import launch
from evenhand.training.checkpoints import MatchTarget

if TYPE_CHECKING:
    from torch import nn

Progress = Callable[[float], None]


@dataclass(frozen=True)
class TrialOutcome:
    """The way in which a trial was completed.

    Attributes:
        status: `kept` if nothing was missing, `predicted` if only records were made from kept weights, `trained`,
            `elsewhere` if another run in the same folder completed it, or `failed` if training cannot succeed (running
            again does not repeat it), or lacked memory or time.
        reason: why training failed, or why it was repeated.
        seconds: the time of training and predicting, in a pack the trial's share; None if the caller measures it.
    """

    status: Literal["kept", "predicted", "trained", "elsewhere", "failed"]
    reason: str | None = None
    seconds: float | None = None


def run_trials(
    pack: Sequence[Trial], store: Store, progress: Progress | None = None
) -> Iterator[tuple[Trial, TrialOutcome]]:
    """Complete the folders of trials: keep, predict from kept weights, or train.

    Args:
        pack: one trial, or several that need training and can be trained together.
        store: where they are kept.
        progress: called with the share of the training that is done.

    Yields:
        Each trial when its folder is complete.
    """
    (first, *others) = pack
    if others:
        yield from _train_with_what_there_is(pack, store, progress, None)
        return
    if store.complete(first):
        yield first, TrialOutcome("kept")
        return
    why = None
    if store.read(first.hash) is not None and not store.compression_current(first):
        why = "the model that it compresses was trained again"
    elif store.read(first.hash) is not None:
        intact = store.weights_intact(first.hash)
        if intact and store.weights_there(first) and _complete_from_weights(first, store):
            store.completed(first.hash)
            yield first, TrialOutcome("predicted")
            return
        why = "its weights were not kept" if intact else "its weights are not those that were kept"
    yield from _train_with_what_there_is(pack, store, progress, why)


def _train_with_what_there_is(
    pack: Sequence[Trial], store: Store, progress: Progress | None, again: str | None
) -> Iterator[tuple[Trial, TrialOutcome]]:
    """Train a pack within its limit of time; where memory runs out, train its trials alone and in smaller passes.

    A trial that lacks memory even with one example in a pass fails with that reason, and the others go on.
    """
    from evenhand.training.memory import SHORT, free_memory, out_of_memory

    left = {trial.hash: trial for trial in pack}
    minutes = pack[0].resources.minutes
    shortage: str | None = None
    with closing(_train(pack, store, progress, again)) as trained:
        while left:
            try:
                with time_limit(None if minutes is None else minutes * len(pack)):
                    trial, outcome = next(trained)
            except ShortageError as error:
                shortage = str(error)
                break
            except SHORT as error:
                if not out_of_memory(error) or launch.this_process().shared:
                    raise
                break  # and out of this block, which holds the memory
            del left[trial.hash]
            yield trial, outcome
    if not left:
        return
    free_memory()
    smaller = with_smaller_passes(pack[0]) if len(pack) == 1 else None
    if shortage is None and len(pack) == 1 and smaller is None:
        shortage = why_not_smaller(pack[0])
    for trial in left.values():
        if shortage is not None:
            yield trial, fail_for_now(trial, store, shortage)
        elif smaller is None:
            yield from _train_with_what_there_is((trial,), store, progress, "the memory ran out for trials together")
        else:
            why = f"the memory ran out with {pack[0].passes} in a forward pass"
            yield from ((trial, done) for _, done in _train_with_what_there_is((smaller,), store, progress, why))


def fail_for_now(trial: Trial, store: Store, reason: str) -> TrialOutcome:
    """Keep the folder of a trial that lacked memory or time, and return its outcome.

    Raises:
        InputError: the trial has records that this would replace.
    """
    if (error := _loss(trial, store, reason)) is not None:
        raise error
    with store.writing(trial.hash) as folder:
        kept = {**_facts(trial, 1), "status": "failed", "reason": reason, SHORTAGE: True}
        write_text(folder / "trial.json", json.dumps(kept, indent=1))
    return TrialOutcome("failed", reason)


def _loss(trial: Trial, store: Store, reason: str) -> InputError | None:
    """Return the error of a failed training that would replace records; None where the trial has none."""
    kept = store.read(trial.hash)
    if kept is None or kept["status"] != "done":
        return None
    return InputError(
        f"{trial.label} was trained again for records that it lacks, and failed: {reason}; what it had is kept in "
        f"{store.folder(trial.hash)} (leave out of the study what it lacks, or delete that folder)"
    )


def _facts(trial: Trial, replicas: int) -> dict[str, Any]:
    """Return the keys of `trial.json` that every trial has."""
    import torch

    return {
        "trial": trial.hash,
        "identity": dict(trial.identity),
        "model": {"name": trial.setting.base.name, "commit": trial.setting.base.commit},
        "environment": training_environment(trial.spec),
        "replicas": replicas,
        "threads": torch.get_num_threads(),
        "batch_size": trial.train.batch_size,
        "tokens_per_pass": trial.train.tokens_per_pass,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "status": "done",
        "reason": None,
    }


def _score(trial: Trial, model: nn.Module, folder: Path, store: Store) -> None:
    """Score the trial's model on its benchmarks and write the scores into the folder."""
    from evenhand.models.load import device, load_tokenizer
    from evenhand.tasks.harness.scoring import score_benchmarks
    from evenhand.tasks.language import room_for_text

    assert trial.benchmarks is not None
    rows = store.harness_of_twin(trial)
    if rows is None:
        where, base, method = device(), trial.setting.base, trial.spec
        tokenizer = load_tokenizer(base)
        room = room_for_text(base, method, tokenizer) if method.virtual_tokens else None
        rows = score_benchmarks(model.to(where), tokenizer, trial.benchmarks, where, room)
    store.write_harness(folder, trial, rows)


def _complete_from_weights(trial: Trial, store: Store) -> bool:
    """Make a trial's missing records from its kept weights; return False if these were not kept."""
    work, folder, trains = work_of(trial, store), store.folder(trial.hash), trainer(trial.kind)
    if not store.predicted(trial):
        rows = trains.predict(work, folder, trial.evaluations, store.features)
        if rows is None:
            return False
        store.write_predictions(folder, trial, rows)
    # Continuations that an earlier run kept are scored without the model.
    continued = store.continued(trial) or write_generations(work, None, folder)
    scored, probed, questioned = store.scored(trial), store.probed(trial), store.questioned(trial)
    tokens = store.tokens_scored(trial)
    if scored and probed and questioned and tokens and continued:
        return True
    model = trains.kept_model(work, folder)
    if model is None:
        return False
    if not scored:
        _score(trial, model, folder, store)
    if not probed:
        write_probes(work, model, folder)
    if not questioned:
        write_options(work, model, folder)
    if not tokens:
        write_tokens(work, model, folder)
    return continued or write_generations(work, model, folder)


def matching_target(trial: Trial, store: Store) -> MatchTarget | None:
    """Return the value that a trial's checkpoint should match: the value that its reference reached.

    Raises:
        TrainingError: that trial failed.
    """
    match = trial.match
    if match is None:
        return None
    kept = store.read(match.trial)
    assert kept is not None, "a reference is trained first"
    if kept["status"] == "failed":
        raise TrainingError(f"the reference {match.method}, which this trial is matched to, failed: {kept['reason']}")
    by, every = match.spec.by, None if match.spec.every == "epoch" else match.spec.every
    if by == "validation_accuracy":
        return MatchTarget(by, validation_accuracy(match.trial, trial.evaluations["validation"], store), every)
    return MatchTarget(by, kept[by], every)


def _train_pack_or_fail(
    pack: Sequence[Trial], jobs: Sequence[Job], store: Store, progress: Progress | None
) -> Iterator[Any]:
    """Train a pack, or yield the error of its failed reference, or of the failed training of what it compresses."""
    of = pack[0].uncompressed
    trained = None if of is None else store.read(of.hash)
    if of is not None and trained is not None and trained["status"] == "failed":
        yield TrainingError(f"{of.method}, whose model this trial compresses, failed: {trained['reason']}")
        return
    try:
        target = matching_target(pack[0], store)
    except TrainingError as error:
        yield error
        return
    jobs = [replace(job, work=replace(job.work, target=target)) for job in jobs]
    yield from train_in_all_processes(pack[0].kind, jobs, progress, store.features)


def _job(trial: Trial, folder: Path, store: Store, unscored: list[InputError]) -> Job:
    """Return the job of a trial, with all that follows its training: benchmarks, probes, prompts, texts and scores.

    The error of a scorer of continuations is added to `unscored`, so that the trial is completed before it is raised.
    """
    work = work_of(trial, store)

    def afterwards(model: nn.Module) -> None:
        """Score, probe and question the trained model, let it continue prompts, and score the tokens of texts."""
        if trial.benchmarks is not None:
            _score(trial, model, folder, store)
        write_probes(work, model, folder)
        write_options(work, model, folder)
        write_tokens(work, model, folder)
        try:
            write_generations(work, model, folder)
        except InputError as error:
            unscored.append(error)

    return Job(work, folder, trial.evaluations, trial.keep, afterwards)


def _train(
    pack: Sequence[Trial], store: Store, progress: Progress | None, again: str | None
) -> Generator[tuple[Trial, TrialOutcome]]:
    """Train a pack and complete the folder of each of its trials."""
    from safetensors import SafetensorError

    with ExitStack() as unfinished:
        # A folder gets its final name as soon as its trial is done; on an error, unfinished folders vanish.
        folders = [unfinished.enter_context(ExitStack()) for _ in pack]
        unscored: list[InputError] = []
        lost: list[InputError] = []
        jobs = [
            _job(trial, folder.enter_context(store.writing(trial.hash)), store, unscored)
            for trial, folder in zip(pack, folders, strict=True)
        ]
        try:
            trained = _train_pack_or_fail(pack, jobs, store, progress)
            for trial, job, folder, result in zip(pack, jobs, folders, trained, strict=True):
                kept = _facts(trial, len(pack))
                if isinstance(result, TrainingError):
                    if (error := _loss(trial, store, str(result))) is not None:
                        lost.append(error)
                        with suppress(InputError), folder:  # whose new content vanishes
                            raise error
                        continue
                    kept |= {"status": "failed", "reason": str(result)}
                    outcome_of_trial = TrialOutcome("failed", kept["reason"])
                else:
                    outcome, rows = result
                    kept |= asdict(outcome) | {WEIGHTS: hashes_of_weights(job.folder)}
                    if trial.uncompressed is not None:
                        kept[UNCOMPRESSED] = (store.read(trial.uncompressed.hash) or {}).get(WEIGHTS)
                    store.write_predictions(job.folder, trial, rows)
                    outcome_of_trial = TrialOutcome("trained", again, outcome.seconds)
                write_text(job.folder / "trial.json", json.dumps(kept, indent=1))
                folder.close()
                if unscored:
                    raise InputError(
                        f"{unscored[0]}; the trial {trial.label} is trained and kept with what it wrote, so a run with "
                        "a corrected scorer does not train it again"
                    ) from unscored[0].__cause__
                yield trial, outcome_of_trial
            if lost:
                raise lost[0]
        except SafetensorError as error:
            # Its error on a full disk is not an OSError, the only kind that the command line explains.
            number = re.search(r"os error (\d+)", str(error))
            if number is None:
                raise
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(store.out)) from None
