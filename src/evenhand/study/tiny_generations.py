"""Cuts `generations:` down for `--tiny`: few tokens, and a tiny classifier in place of each one that scores."""

from __future__ import annotations

from pathlib import Path

from evenhand.models.find import find_model
from evenhand.study.generations_spec import GenerationsSpec

MAX_NEW_TOKENS = 8
MAX_SAMPLES = 2
STAND_IN = "tiny-bert"


def small_generations(
    name: str, generations: GenerationsSpec | None, folder: Path, notes: list[str]
) -> GenerationsSpec | None:
    """Return the same prompts with few tokens, scored by untrained stand-ins of the classifiers.

    Args:
        name: of the setting.
        generations: its key.
        folder: of stand-in data; the classifiers are written to one beside it, which does not count as `--data`.
        notes: a sentence on what was changed is added.
    """
    if generations is None:
        return None
    scorers = {}
    for scorer, spec in generations.scorers.items():
        if spec.model is not None and spec.label is not None:
            own = folder.with_name(f"{folder.name}-scorers") / scorer
            _write_stand_in(own, spec.label)
            notes.append(f"{name}: an untrained {STAND_IN} stands in for {spec.model}; its scores mean nothing")
            spec = spec.model_copy(update={"model": str(own)})
        scorers[scorer] = spec
    changed = {
        "scorers": scorers,
        "new_tokens": min(generations.new_tokens, MAX_NEW_TOKENS),
        "samples": None if generations.samples is None else min(generations.samples, MAX_SAMPLES),
    }
    return generations.model_copy(update=changed)


def _write_stand_in(folder: Path, label: str) -> None:
    """Write a classifier with a head that is drawn and not trained, whose second class has the wanted name."""
    from evenhand.models.load import load_classifier, load_tokenizer

    base = find_model(STAND_IN)
    load_classifier(base, (f"not {label}", label), seed=0).save_pretrained(folder)
    load_tokenizer(base).save_pretrained(folder)
