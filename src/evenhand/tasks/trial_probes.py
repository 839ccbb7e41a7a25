"""Probes a trial's trained model, and an untrained one as baseline, and writes the table `probes`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evenhand import records
from evenhand.errors import InputError, TrainingError
from evenhand.tasks.probing import ProbeResults, Probing, probe, probes_table

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

    from evenhand.models.find import BaseModel
    from evenhand.tasks.work import Work

FILE = "probes.parquet"


def write_probes(work: Work, model: nn.Module, folder: Path) -> None:
    """Probe a trained model and write the table `probes` into its folder; does nothing without targets.

    The file also contains the key of the probing.

    Raises:
        TrainingError: a state of the model is not a number.
    """
    if work.probing is not None:
        records.write(probe_model(work, model), folder / FILE, "probes", {"split:test": work.probing.key})


def probe_model(work: Work, model: nn.Module) -> pl.DataFrame:
    """Return the table `probes` of a trained model.

    Args:
        work: the trial, with its `probing` and `trial`.
        model: the trained model; it is moved to the device.

    Raises:
        TrainingError: a state of the model is not a number.
    """
    from evenhand.models.load import device

    wanted = work.probing
    assert wanted is not None
    layers, results = _probe_trained(model.to(device()), work, wanted)
    frames = [probes_table(answers, work.trial, layers=layers) for answers in results]
    if wanted.untrained:
        layers, results = _probe_untrained(work.base, work.train.max_length, work.seed, wanted)
        frames += [probes_table(answers, work.trial, layers=layers, untrained=True) for answers in results]
    return pl.concat(frames)


@lru_cache(maxsize=2)
def _probe_untrained(
    base: BaseModel, max_length: int | None, seed: int, wanted: Probing
) -> tuple[tuple[int, ...], tuple[ProbeResults, ...]]:
    """Return the layers and probe results of an untrained model, which trials of one seed share."""
    from evenhand.models.load import device, shared_tokenizer
    from evenhand.tasks.representations import untrained

    model: Any = untrained(_architecture(base, wanted).float(), seed)
    return _probe_states(model.to(device()), shared_tokenizer(base), base, max_length, wanted)


def _probe_trained(model: Any, work: Work, wanted: Probing) -> tuple[tuple[int, ...], tuple[ProbeResults, ...]]:
    """Return the layers and probe results of a trained model."""
    from evenhand.models.load import shared_tokenizer

    tokenizer = shared_tokenizer(work.base)
    longest = min(work.train.max_length, tokenizer.model_max_length - work.method.virtual_tokens)
    return _probe_states(model, tokenizer, work.base, longest, wanted)


def _probe_states(
    model: Any, tokenizer: Any, base: BaseModel, max_length: int | None, wanted: Probing
) -> tuple[tuple[int, ...], tuple[ProbeResults, ...]]:
    """Return the layers that were probed, and each target's results."""
    from evenhand.models.load import device
    from evenhand.tasks.representations import representations
    from evenhand.training.loop import reproducible

    pooling = wanted.pooling
    if pooling == "auto":
        pooling = "last" if _reads_forward(base, wanted) else "mean"
    with reproducible(device()):
        states = representations(model, tokenizer, wanted.texts, pooling=pooling, max_length=max_length)
    if not np.isfinite(states).all():
        raise TrainingError("the trained weights give states that are not finite, so there is nothing to probe")
    layers = layer_numbers(wanted.layers, len(states))
    row_of = {example: row for row, example in enumerate(wanted.examples)}
    results = []
    for target in wanted.targets:
        rows = [row_of[example] for example in target.examples]
        seeds = range(wanted.controls)
        chosen = states[np.ix_(layers, rows)]
        results.append(probe(chosen, target, seeds, test=wanted.test, penalty=wanted.penalty))
    return layers, tuple(results)


def layer_numbers(layers: Sequence[int] | None, depth: int) -> tuple[int, ...]:
    """Return the layers to probe, numbered from 0 and ascending; the embeddings are always among them.

    Args:
        layers: negative ones count from the last; None: all.
        depth: number of states of a model, including the embeddings.

    Raises:
        InputError: a layer that the model does not have.
    """
    if layers is None:
        return tuple(range(depth))
    for layer in layers:
        if not -depth <= layer < depth:
            raise InputError(
                f"probing.layers: there is no layer {layer}; the model has 0 (its embeddings) to {depth - 1}, and "
                "negative numbers count from the last"
            )
    return tuple(sorted({0, *(layer % depth for layer in layers)}))


def _architecture(base: BaseModel, wanted: Probing) -> PreTrainedModel:
    """Return a trial's model on the meta device, without weights; a head of two classes stands for any other."""
    from evenhand.methods.fit import model_skeleton

    return model_skeleton(base, None if wanted.language else 2)


def _reads_forward(base: BaseModel, wanted: Probing) -> bool:
    """Return whether only the last token of a text has read the whole text."""
    from evenhand.models.last_token import reads_last_token

    return wanted.language or reads_last_token(_architecture(base, wanted))
