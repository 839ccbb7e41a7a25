"""Trains linear probes with control tasks, to separate what a representation encodes from what a probe memorizes.

A probe that predicts a label well may have found it in the representation, or memorized the label of each word. A
control task has the same words with random labels, fixed per word type. The accuracy of a probe there comes from
memorization, and the difference, the *selectivity*, comes from the representation. Hewitt and Liang (2019),
arXiv:1909.03368.

Probes are least squares on labels with a penalty (a ridge classifier). A layer's matrix is factorised once for the
label and all its controls, and there are no hyperparameters to tune and no random initialization.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from evenhand.errors import InputError
from evenhand.records import TABLES, validate
from evenhand.records.probes import UNTRAINED
from evenhand.seeds import generator

LEAST_CONTROLS = 5


@dataclass(frozen=True, eq=False)
class ProbeTarget:
    """The labels that a probe predicts, with the types and units that control labels and splits depend on.

    Attributes:
        name: name of the label.
        labels: int64 [n], from 0.
        types: object [n], the word type, occupation, text, ... for which a control label is fixed.
        units: object [n], units, which are never on both sides of a split.
        examples: ids [n].
    """

    name: str
    labels: np.ndarray
    types: np.ndarray
    units: np.ndarray
    examples: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse columns of different lengths and a single label."""
        if len({len(self.labels), len(self.types), len(self.units), len(self.examples)}) > 1:
            raise InputError(f"target {self.name}: labels, types, units and examples should be of one length")
        if len(np.unique(self.labels)) < 2:
            raise InputError(f"target {self.name}: every label is the same; a probe needs two or more")


@dataclass(frozen=True, eq=False)
class Probing:
    """The targets and options by which all models of one sample are probed.

    Attributes:
        texts: [n], in the form that the models receive.
        examples: ids [n].
        targets: each covers some of the examples, or all.
        layers: numbers of the layers, 0 being the embeddings and −1 the last layer; None: all.
        pooling: `last` token, `mean` of the tokens, or `auto`: the last token if the model reads from left to right,
            else the mean.
        controls: number of control tasks.
        test, penalty: see `probe`.
        untrained: whether an untrained model of the architecture is probed, too.
        language: whether the models are language models, else classifiers.
        key: identifies all of this.
    """

    texts: Sequence[str] = field(repr=False)
    examples: tuple[str, ...]
    targets: tuple[ProbeTarget, ...]
    layers: tuple[int, ...] | None
    pooling: Literal["auto", "last", "mean"]
    controls: int
    test: float
    penalty: float
    untrained: bool
    language: bool
    key: str


@dataclass(frozen=True, eq=False)
class ProbeResults:
    """The correctness of every layer's probes on each tested example.

    Attributes:
        target: the label's name.
        control_seeds: [S].
        examples: ids [m].
        correct: bool [L, 1 + S, m], for the label and for each control task.
    """

    target: str
    control_seeds: tuple[int, ...]
    examples: tuple[str, ...]
    correct: np.ndarray


def probe(
    states: np.ndarray,
    target: ProbeTarget,
    control_seeds: Sequence[int] = tuple(range(LEAST_CONTROLS)),
    *,
    test: float = 0.4,
    penalty: float = 0.01,
    seed: int = 0,
) -> ProbeResults:
    """Probe every layer for a label and for its control tasks, and test on units held out from training.

    There is one split rather than folds. With folds, every example is used both to train and to test, so errors are
    correlated, and 95% intervals of accuracy cover only .86 if there is nothing to find.

    Args:
        states: float [L, n, d], states of every layer.
        target: the label.
        control_seeds: seeds of the control tasks, at least 5.
        test: share of the examples, in whole units, that is tested.
        penalty: λ divided by the number of training examples, for features with mean 0 and standard deviation 1.
        seed: seed of the split.

    Raises:
        InputError: too few controls or units, an impossible share, or states of another length or not finite.
    """
    controls = tuple(control_seeds)
    if len(set(controls)) < max(LEAST_CONTROLS, len(controls)):
        raise InputError(
            f"a probe has {len(set(controls))} different control tasks; it needs {LEAST_CONTROLS} or more, all "
            "different"
        )
    if states.ndim != 3 or states.shape[1] != len(target.labels):
        raise InputError(
            f"states have the shape {states.shape}; they should be [layers, {len(target.labels)} examples, width]"
        )
    if not np.isfinite(states).all():
        raise InputError("a state is not finite, so there is nothing to probe; look at the model's weights")
    tested = held_out(target.units, test, seed)
    labels = np.stack([target.labels, *(control_labels(target, control) for control in controls)])
    classes = int(labels.max()) + 1
    correct = np.stack(
        [
            _predicted_labels(layer[~tested], labels[:, ~tested], layer[tested], classes, penalty) == labels[:, tested]
            for layer in states
        ]
    )
    examples = tuple(np.array(target.examples, dtype=object)[tested])
    return ProbeResults(target.name, controls, examples, correct)


def control_labels(target: ProbeTarget, control_seed: int) -> np.ndarray:
    """Return random labels, int64 [n], the same for all examples of a type.

    Labels are assigned to types so that each label keeps its share of the examples. If labels were drawn independently,
    as in the source, the most frequent label of a control task would be more frequent than that of the target and
    easier to guess, and selectivity would be below 0 if there is nothing to find.
    """
    names, type_of = np.unique(target.types.astype(str), return_inverse=True)
    sizes, left = np.bincount(type_of.reshape(-1)), np.bincount(target.labels).astype(float)
    labels = np.empty(len(names), dtype=np.int64)
    for name in generator(control_seed, "control", target.name).permutation(len(names)):
        labels[name] = int(left.argmax())
        left[labels[name]] -= sizes[name]
    return labels[type_of.reshape(-1)]


def held_out(units: np.ndarray, test: float, seed: int) -> np.ndarray:
    """Return the tested examples, bool [n]: whole units in random order, until their share is reached.

    Raises:
        InputError: a share that leaves nothing to train on or to test.
    """
    names, unit_of = np.unique(units.astype(str), return_inverse=True)
    order = generator(seed, "probe", "split").permutation(len(names))
    sizes = np.bincount(unit_of.reshape(-1))[order]
    before = np.cumsum(sizes) - sizes
    chosen = np.zeros(len(names), dtype=bool)
    chosen[order[before + sizes / 2 <= test * sizes.sum()]] = True
    if chosen.all() or not chosen.any():
        raise InputError(
            f"of {len(names)} units a test share of {test} leaves none to {'train on' if chosen.all() else 'test'}"
        )
    return chosen[unit_of.reshape(-1)]


def probes_table(
    answers: ProbeResults, trial: str, *, untrained: bool = False, layers: Sequence[int] | None = None
) -> pl.DataFrame:
    """Return probe results as rows of the table `probes`.

    Args:
        answers: results of `probe`.
        trial: hash of the trial.
        untrained: whether the states were those of an untrained model.
        layers: [L], numbers of the probed layers; None: all, from 0.
    """
    _, tasks, m = answers.correct.shape
    numbers = range(len(answers.correct)) if layers is None else layers
    columns = {
        "trial": [trial] * answers.correct.size,
        "layer": np.repeat(np.array(numbers, dtype=np.int64), tasks * m),
        "target": [f"{answers.target}/{UNTRAINED}" if untrained else answers.target] * answers.correct.size,
        "control_seed": [control for control in (None, *answers.control_seeds) for _ in range(m)] * len(numbers),
        "example": list(answers.examples) * (len(numbers) * tasks),
        "correct": answers.correct.reshape(-1),
    }
    return validate(pl.DataFrame(columns, schema=dict(TABLES["probes"].columns)), "probes")


def _predicted_labels(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, classes: int, penalty: float
) -> np.ndarray:
    """Return the predicted labels of the test part, int [tasks, m], from the training part's labels [tasks, k]."""
    from scipy.linalg import cho_factor, cho_solve

    mean, spread = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    kept = spread > 1e-12 * max(spread.max(), 1e-300)
    learnt, asked = ((part[:, kept] - mean[kept]) / spread[kept] for part in (train, test))
    wanted = (labels.T[:, :, None] == np.arange(classes)).reshape(len(train), -1).astype(np.float64)
    middle = wanted.mean(axis=0)
    ridge = penalty * len(train)
    # The cheaper of two equivalent forms: over features, or over examples.
    if learnt.shape[1] <= len(learnt):
        gram = learnt.T @ learnt + ridge * np.eye(learnt.shape[1])
        scores = asked @ cho_solve(cho_factor(gram), learnt.T @ (wanted - middle))
    else:
        gram = learnt @ learnt.T + ridge * np.eye(len(learnt))
        scores = asked @ (learnt.T @ cho_solve(cho_factor(gram), wanted - middle))
    return (scores + middle).reshape(len(test), len(labels), classes).argmax(axis=2).T
