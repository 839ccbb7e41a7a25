"""Cached features: what leaves a frozen prefix is computed once for an example, and every epoch, seed and method over
the same weights starts from there.

What is kept is found by contents alone: the prefix with its weights, the precision, and the example as a model is given
it. Where a model has no frozen prefix, starting there would change its logits, or there is no room, training goes the
ordinary way.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from evenhand.training.batches import Inputs, Wrapped, by_length
from evenhand.training.feature_cache import FeatureCache, raw
from evenhand.training.frozen_prefix import FEATURES, Cut, candidates, install, prefix_tensors, record
from evenhand.training.loop import reproducible
from evenhand.training.pack import PREDICT_BATCH, Pack, Single
from evenhand.training.replicas import Replicas

PROBED = 8
"""Examples, long and short, with which a model's cut is found."""


class Start(Protocol):
    """Gives what a replica trains or predicts from in place of some examples."""

    def __call__(self, place: int, inputs: Inputs, precision: str = "float32") -> Inputs:
        """The examples from the cut on, or as they are where there is none.

        Args:
            place: of the replica.
            inputs: as the whole model takes them.
            precision: in which the prefix is computed; what is predicted is so in float32.
        """
        ...


@dataclass(frozen=True, eq=False)
class Cached(Wrapped):
    """Examples as a model takes them that starts at a cut.

    Attributes:
        inputs: the examples as the whole model takes them.
        cut: where it starts.
        states: [n] what leaves the prefix, each [tokens, ...]; what a head reads counts as one token.
    """

    cut: Cut
    states: Sequence[torch.Tensor]

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """The arguments of the model's forward from the cut on, padded as the examples would be."""
        own = [self.states[row] for row in rows]
        if self.cut.block is None:
            batch = self.cut.batch(self.inputs.batch(rows[:1], device), len(rows))
            return {**batch, FEATURES: torch.cat(own).to(device, non_blocking=True)}
        longest = max(*(len(one) for one in own), length if self.lengths is not None else 0)
        features = own[0].new_zeros(len(own), longest, *own[0].shape[1:])
        for place, one in enumerate(own):
            features[place, : len(one)] = one
        batch = self.inputs.batch(rows, device, length)
        return {**batch, FEATURES: features.to(device, non_blocking=True)}


def start_from_features(
    pack: Pack, model_of: Callable[[int], nn.Module], bases: Sequence[str], folder: Path | None
) -> Start:
    """Let a pack train and predict from cached features, where that gives the same numbers.

    Private packs draw and clip examples in their own way, the base's own dropout has no fixed prefix, examples that are
    augmented have none either, and what is compiled is compiled whole: they are left as they are.

    Args:
        pack: not trained yet; its replicas' inputs are replaced.
        model_of: gives each replica as an ordinary model.
        bases: [K] fingerprints of the replicas' base models.
        folder: where features are kept; None: nowhere, and nothing changes.
    """
    if folder is None or type(pack) not in (Single, Replicas):
        return _unchanged
    if any(one.train.base_dropout or one.train.augment or one.train.compile for one in pack.replicas):
        return _unchanged
    limit = 1e9 * min(one.train.features for one in pack.replicas)
    if not limit:
        return _unchanged
    models = [model_of(place) for place in range(len(pack.replicas))]
    with reproducible(pack.device):
        cuts = [_cut(model, replica.inputs, pack) for model, replica in zip(models, pack.replicas, strict=True)]
    cut = cuts[0]
    if cut is None or any(other != cut for other in cuts):
        return _unchanged
    if isinstance(pack, Replicas):
        install(pack.module, cut)
    hashed = cache(_hashed)  # replicas share most of what they start from
    prefixes = [(base, _weights(model, cut, hashed)) for base, model in zip(bases, models, strict=True)]

    @lru_cache(maxsize=4)
    def found(place: int, inputs: Inputs, precision: str) -> Inputs:
        base, weights = prefixes[place]
        made = {
            "base": base,
            "weights": weights,
            "cut": [cut.block, cut.reads],
            "precision": precision,
            "device": pack.device.type,
            **{package: metadata.version(package) for package in ("torch", "transformers")},
        }
        name = hashlib.blake2b(json.dumps(made, sort_keys=True).encode(), digest_size=16).hexdigest()
        shelf, keys = FeatureCache(folder / name, limit), _keys(inputs)
        kept = shelf.read()
        missing = {key: row for row, key in enumerate(keys) if key not in kept}
        if missing:
            with reproducible(pack.device), torch.autocast(pack.device.type, torch.bfloat16, precision == "bfloat16"):
                if not _fill(shelf, models[place], cut, inputs, missing, pack.device):
                    return inputs
            kept = shelf.read()
        return Cached(inputs, cut, [kept[key] for key in keys])

    def start(place: int, inputs: Inputs, precision: str = "float32") -> Inputs:
        return found(prefixes.index(prefixes[place]), inputs, precision)

    for place, replica in enumerate(pack.replicas):
        if replica.epochs:
            replica.inputs = start(place, replica.inputs, replica.train.precision)
    return start


def _unchanged(place: int, inputs: Inputs, precision: str = "float32") -> Inputs:
    return inputs


def _cut(model: nn.Module, inputs: Inputs, pack: Pack) -> Cut | None:
    """Where a model's frozen prefix ends; the model can start there afterwards. None where there is no such place."""
    order = np.concatenate(by_length(len(inputs), inputs.lengths, PREDICT_BATCH))
    batch = inputs.batch(order[np.linspace(0, len(order) - 1, PROBED).astype(int)], pack.device)
    possible = candidates(model.eval(), batch)
    if not possible:
        return None
    install(model, possible[0])
    return next((cut for cut in possible if record(model, cut, batch) is not None), None)


def _weights(model: nn.Module, cut: Cut, hashed: Callable[[torch.Tensor], str]) -> str:
    """A hash of all that the prefix computes with: a method may have altered it, or a seed drawn some of it."""
    parts = [f"{name} {hashed(tensor)}" for name, tensor in prefix_tensors(model, cut)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _hashed(tensor: torch.Tensor) -> str:
    found = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), digest_size=16)
    found.update(raw(tensor))
    return found.hexdigest()


def _keys(inputs: Inputs) -> list[str]:
    return [hashlib.blake2b(inputs.contents(row), digest_size=16).hexdigest() for row in range(len(inputs))]


def _fill(
    shelf: FeatureCache, model: nn.Module, cut: Cut, inputs: Inputs, missing: dict[str, int], device: torch.device
) -> bool:
    """Compute and keep what is missing, rows of the inputs by key; whether all of it is kept."""
    keys, positions = list(missing), np.array(list(missing.values()))
    lengths = None if inputs.lengths is None else inputs.lengths[positions]
    model.eval()
    with shelf.writing() as part:
        for chosen in by_length(len(keys), lengths, PREDICT_BATCH):
            found = record(model, cut, inputs.batch(positions[chosen], device))
            if found is None:
                return False
            states = _by_example(found, cut, None if lengths is None else lengths[chosen])
            if part.like is None:
                tokens = len(keys) * len(states[0]) if cut.block is None or lengths is None else int(lengths.sum())
                size = tokens * states[0][0].nbytes
                if not shelf.has_room(size):
                    _say(
                        f"the features of a frozen prefix would take {size / 1e9:.3g} GB more, and no more than "
                        f"{shelf.limit / 1e9:.3g} GB or half of the free disk may be taken: they are computed anew in "
                        "every epoch"
                    )
                    return False
            part.add([keys[row] for row in chosen], states)
        part.keep()
    return True


def _by_example(found: torch.Tensor, cut: Cut, lengths: np.ndarray | None) -> list[torch.Tensor]:
    """[tokens, ...] of each example, without padding."""
    if cut.block is None:
        return list(found[:, None].unbind())
    if lengths is None:
        return list(found.unbind())
    return [one[: int(length)] for one, length in zip(found, lengths, strict=True)]


@cache
def _say(text: str) -> None:
    logging.getLogger("evenhand").warning(text)
