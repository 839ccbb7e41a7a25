"""Says which earlier trials of a folder are no longer used, because data, a base model or the recipe changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from evenhand.study.plan import Plan
from evenhand.study.store import Store

_CHANGED = {
    "training": "training examples",
    "validation": "validation examples",
    "classes": "classes",
    "base": "base model",
    "recipe": "recipe of training in this version of Evenhand",
}
"""Parts of a trial's identity that can change while the study file stays the same, in words."""

_MOST = 3


def stale_sentences(plan: Plan, store: Store) -> list[str]:
    """Return sentences on the trials of a plan that are trained again, or predict again, and what changed.

    An earlier trial is recognised by its method, hyperparameters and seed. A folder whose trials are all complete, or
    that holds no other trials, gets no sentence.
    """
    wanted = {trial.hash: trial for trial in (*plan.tried, *plan.distinct)}
    missing = [trial for trial in wanted.values() if store.read(trial.hash) is None]
    earlier = defaultdict(list)
    for folder in (store.out / "trials").glob("[!.]*/") if missing else ():
        kept = None if folder.name in wanted else store.read(folder.name)
        if kept is not None:
            earlier[_unchanged(kept["identity"])].append(kept["identity"])
    changes: dict[str, list[str]] = defaultdict(list)
    for trial in missing:
        for identity in earlier[_unchanged(trial.identity)][-1:]:
            differs = [word for key, word in _CHANGED.items() if identity.get(key) != trial.identity.get(key)]
            changes[" and ".join(differs)].append(trial.label)
    sentences = [
        f"The {what} changed since an earlier run: {_counted(labels)} trained again, and the earlier trials stay in "
        f"{store.out / 'trials'}, unused"
        for what, labels in changes.items()
    ]
    again = [trial.label for trial in wanted.values() if store.predictions_changed(trial)]
    if again:
        sentences.append(f"The test examples changed since an earlier run: {_counted(again)} evaluated again")
    return sentences


def _unchanged(identity: Mapping[str, Any]) -> str:
    """Return what identifies a trial but for the parts in `_CHANGED`."""
    return repr(sorted((key, repr(value)) for key, value in identity.items() if key not in _CHANGED))


def _counted(labels: list[str]) -> str:
    """Return `3 trials (a, b, c) are`, with the first few labels."""
    more = f" and {len(labels) - _MOST} more" if len(labels) > _MOST else ""
    word = "trial" if len(labels) == 1 else "trials"
    return f"{len(labels)} {word} ({', '.join(labels[:_MOST])}{more}) {'is' if len(labels) == 1 else 'are'}"
