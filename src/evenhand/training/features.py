"""Trains and predicts from cached features: the activations that leave a model's frozen prefix.

They are computed once per example; every epoch, seed and method with the same frozen weights starts from them. The
cache key is the prefix with its weights, the precision, and the example as the model sees it. Without a frozen prefix,
if starting from features would change the logits, or if there is no disk space, training runs the whole model.
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

from evenhand.training.batches import Inputs, WrappedInputs, longest_first_batches
from evenhand.training.feature_cache import FeatureCache, tensor_bytes
from evenhand.training.frozen_prefix import (
    FEATURES,
    SplitPoint,
    install_split_point,
    possible_split_points,
    prefix_tensors,
    record_features,
)
from evenhand.training.loop import reproducible
from evenhand.training.pack import PREDICT_BATCH, Pack, Single
from evenhand.training.replicas import ReplicaPack

PROBE_EXAMPLES = 8
"""Examples, long and short, with which a model's split point is found."""


class FeatureLookup(Protocol):
    """Callable that replaces a replica's inputs by cached features."""

    def __call__(self, index: int, inputs: Inputs, precision: str = "float32") -> Inputs:
        """Return inputs that start at the replica's split point, or the inputs unchanged if it has none.

        Args:
            index: index of the replica.
            inputs: as the whole model takes them.
            precision: precision in which the prefix is computed; float32 for predictions.
        """
        ...


@dataclass(frozen=True, eq=False)
class CachedFeatures(WrappedInputs):
    """Inputs of a model that starts at a split point, from cached activations.

    Attributes:
        inputs: the examples as the whole model takes them.
        split_point: where the model starts.
        states: [n] the activations that leave the prefix, each [tokens, ...]; the input of a head counts as one token.
    """

    split_point: SplitPoint
    states: Sequence[torch.Tensor]

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return the arguments of the model's forward from the split point on, padded like the inputs."""
        states = [self.states[row] for row in rows]
        if self.split_point.block is None:
            batch = self.split_point.batch(self.inputs.batch(rows[:1], device), len(rows))
            return {**batch, FEATURES: torch.cat(states).to(device, non_blocking=True)}
        longest = max(*(len(tokens) for tokens in states), length if self.lengths is not None else 0)
        features = states[0].new_zeros(len(states), longest, *states[0].shape[1:])
        for index, tokens in enumerate(states):
            features[index, : len(tokens)] = tokens
        batch = self.inputs.batch(rows, device, length)
        return {**batch, FEATURES: features.to(device, non_blocking=True)}


def start_from_features(
    pack: Pack, model_of: Callable[[int], nn.Module], bases: Sequence[str], folder: Path | None
) -> FeatureLookup:
    """Let a pack train and predict from cached features, if that gives the same numbers.

    Some packs are left unchanged: private ones, which draw and clip examples in their own way; those with
    `base_dropout` or augmented examples, whose prefix gives other activations each time; and those that are compiled as
    a whole.

    Args:
        pack: not trained yet; its replicas' inputs are replaced.
        model_of: gives each replica as an ordinary model.
        bases: [K] fingerprints of the replicas' base models.
        folder: where features are kept; None: no features are used, and nothing changes.
    """
    if folder is None or type(pack) not in (Single, ReplicaPack):
        return _no_features
    if any(replica.train.base_dropout or replica.train.augment or replica.train.compile for replica in pack.replicas):
        return _no_features
    limit = 1e9 * min(replica.train.features for replica in pack.replicas)
    if not limit:
        return _no_features
    models = [model_of(index) for index in range(len(pack.replicas))]
    with reproducible(pack.device):
        split_points = [
            _find_split_point(model, replica.inputs, pack) for model, replica in zip(models, pack.replicas, strict=True)
        ]
    split_point = split_points[0]
    if split_point is None or any(other != split_point for other in split_points):
        return _no_features
    if isinstance(pack, ReplicaPack):
        install_split_point(pack.module, split_point)
    tensor_hash = cache(_tensor_hash)  # replicas share most of what they start from
    prefixes = [
        (base, _prefix_hash(model, split_point, tensor_hash)) for base, model in zip(bases, models, strict=True)
    ]

    @lru_cache(maxsize=4)
    def cached(index: int, inputs: Inputs, precision: str) -> Inputs:
        """Return a replica's cached inputs after computing those that are missing."""
        base, weights = prefixes[index]
        identity = {
            "base": base,
            "weights": weights,
            "cut": [split_point.block, split_point.reads],
            "precision": precision,
            "device": pack.device.type,
            **{package: metadata.version(package) for package in ("torch", "transformers")},
        }
        name = hashlib.blake2b(json.dumps(identity, sort_keys=True).encode(), digest_size=16).hexdigest()
        feature_cache, keys = FeatureCache(folder / name, limit), _content_keys(inputs)
        kept = feature_cache.read()
        missing = {key: row for row, key in enumerate(keys) if key not in kept}
        if missing:
            with reproducible(pack.device), torch.autocast(pack.device.type, torch.bfloat16, precision == "bfloat16"):
                if not _compute_missing(feature_cache, models[index], split_point, inputs, missing, pack.device):
                    return inputs
            kept = feature_cache.read()
        return CachedFeatures(inputs, split_point, [kept[key] for key in keys])

    def start(index: int, inputs: Inputs, precision: str = "float32") -> Inputs:
        """Return cached inputs; replicas with the same prefix share them."""
        return cached(prefixes.index(prefixes[index]), inputs, precision)

    for index, replica in enumerate(pack.replicas):
        if replica.epochs:
            replica.inputs = start(index, replica.inputs, replica.train.precision)
    return start


def _no_features(index: int, inputs: Inputs, precision: str = "float32") -> Inputs:
    """Return the inputs unchanged: the `FeatureLookup` of packs without cached features."""
    return inputs


def _find_split_point(model: nn.Module, inputs: Inputs, pack: Pack) -> SplitPoint | None:
    """Find the end of a model's frozen prefix and let the model start there; None if it has none."""
    order = np.concatenate(longest_first_batches(len(inputs), inputs.lengths, PREDICT_BATCH))
    batch = inputs.batch(order[np.linspace(0, len(order) - 1, PROBE_EXAMPLES).astype(int)], pack.device)
    possible = possible_split_points(model.eval(), batch)
    if not possible:
        return None
    install_split_point(model, possible[0])
    return next(
        (split_point for split_point in possible if record_features(model, split_point, batch) is not None), None
    )


def _prefix_hash(model: nn.Module, split_point: SplitPoint, tensor_hash: Callable[[torch.Tensor], str]) -> str:
    """Return a hash of the prefix's weights, which a method may have changed or a seed drawn."""
    parts = [f"{name} {tensor_hash(tensor)}" for name, tensor in prefix_tensors(model, split_point)]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _tensor_hash(tensor: torch.Tensor) -> str:
    """Return a hash of a tensor's dtype, shape and values."""
    digest = hashlib.blake2b(f"{tensor.dtype} {tuple(tensor.shape)}".encode(), digest_size=16)
    digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def _content_keys(inputs: Inputs) -> list[str]:
    """Return the cache key of each example."""
    return [hashlib.blake2b(inputs.content_bytes(row), digest_size=16).hexdigest() for row in range(len(inputs))]


def _compute_missing(
    feature_cache: FeatureCache,
    model: nn.Module,
    split_point: SplitPoint,
    inputs: Inputs,
    missing: dict[str, int],
    device: torch.device,
) -> bool:
    """Compute and store the features of the missing examples; return whether all were stored."""
    keys, positions = list(missing), np.array(list(missing.values()))
    lengths = None if inputs.lengths is None else inputs.lengths[positions]
    model.eval()
    with feature_cache.writing() as writer:
        for chosen in longest_first_batches(len(keys), lengths, PREDICT_BATCH):
            features = record_features(model, split_point, inputs.batch(positions[chosen], device))
            if features is None:
                return False
            states = _without_padding(features, split_point, None if lengths is None else lengths[chosen])
            if writer.sample is None:
                tokens = (
                    len(keys) * len(states[0]) if split_point.block is None or lengths is None else int(lengths.sum())
                )
                size = tokens * states[0][0].nbytes
                if not feature_cache.has_room(size):
                    _warn_once(
                        f"the features of a frozen prefix would take {size / 1e9:.3g} GB more, and no more than "
                        f"{feature_cache.limit / 1e9:.3g} GB or half of the free disk may be taken: they are computed "
                        "anew in every epoch"
                    )
                    return False
            writer.add([keys[row] for row in chosen], states)
        writer.commit()
    return True


def _without_padding(features: torch.Tensor, split_point: SplitPoint, lengths: np.ndarray | None) -> list[torch.Tensor]:
    """Split a batch's features into [tokens, ...] per example, without padding."""
    if split_point.block is None:
        return list(features[:, None].unbind())
    if lengths is None:
        return list(features.unbind())
    return [tokens[: int(length)] for tokens, length in zip(features, lengths, strict=True)]


@cache
def _warn_once(text: str) -> None:
    """Log a warning, once per text."""
    logging.getLogger("evenhand").warning(text)
