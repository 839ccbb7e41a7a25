"""Turns a trial of a study into the inputs of its training."""

from __future__ import annotations

from evenhand.study.expansion import Trial
from evenhand.study.store import Store
from evenhand.tasks.work import KeptTrial, Work


def work_of(trial: Trial, store: Store | None = None) -> Work:
    """Return the inputs of a trial's training, as the training wing takes them.

    Args:
        trial: of a study.
        store: where the model is that the trial compresses; None: the base model takes its place, which costs as much.
    """
    asked, of = trial.setting.spec.prompts, trial.uncompressed
    return Work(
        base=trial.setting.base,
        method=trial.spec,
        train=trial.train,
        seed=trial.seed,
        classes=trial.setting.dataset.classes,
        examples=trial.examples,
        validation=trial.sample.validation,
        prompts=trial.setting.prompts,
        sequence_loss=asked is not None and asked.sequence_loss,
        content_free=() if asked is None else asked.content_free,
        questioning=trial.questioning,
        generations=trial.generations,
        probing=trial.probing,
        scoring=trial.scoring,
        trial=trial.hash,
        uncompressed=None if of is None or store is None else KeptTrial(work_of(of), store.folder(of.hash)),
    )
