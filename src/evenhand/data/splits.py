"""Splits a data set into training, validation and test examples, the same way for every method.

A split is a function of the data and a seed. Units are never split. Parts are stratified by label (a unit counts under
the most frequent label of its examples); a limit draws by label and then by group. Positions are sorted, because
batching determines the order of training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import Field, PositiveInt, field_validator, model_validator

from evenhand.data.dataset import Dataset
from evenhand.errors import InputError
from evenhand.seeds import generator
from evenhand.spec import Spec

SPLIT_PARTS = ("train", "validation", "test")

_OWN_NAMES = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


class SplitSpec(Spec):
    """Options of the split (`split:` in a study).

    Attributes:
        test: share of the examples that is tested.
        validation: share of the examples outside the test part; 0 for no validation.
        vary: whether every seed has a new split, or all seeds share one.
        seed: seed of the split if `vary` is false.
        column: use the data's own split: the name of a table's column, or true if the data set has a published split.
    """

    test: float = Field(default=0.2, gt=0, lt=1)
    validation: float = Field(default=0.1, ge=0, lt=1)
    vary: bool = True
    seed: int = 0
    column: str | bool | None = None

    def seed_for(self, trial_seed: int) -> int:
        """Return the seed that draws the split of a trial: the trial's own if splits vary, else `seed`."""
        return trial_seed if self.vary else self.seed

    @field_validator("column")
    @classmethod
    def _column(cls, value: str | bool | None) -> str | bool | None:
        """Treat false and an empty name as None."""
        return value or None


class LimitSpec(Spec):
    """Limits on the number of examples (`limit:` in a study); a bare number limits training.

    Examples are drawn by label and group.
    """

    train: PositiveInt | None = None
    test: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _bare(cls, value: Any) -> Any:
        """Read a bare number as the limit of training examples."""
        return {"train": value} if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(frozen=True, eq=False)
class Split:
    """Positions of the training, validation and test examples, each sorted, without overlap.

    Attributes:
        train, validation, test: int64 arrays; validation may be empty.
        notes: notes on examples left out, with counts.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    notes: tuple[str, ...] = ()


def split(dataset: Dataset, spec: SplitSpec, limit: LimitSpec, seed: int) -> Split:
    """Split a data set.

    The number of examples in a part differs from its share by at most half of the largest unit, and the number of each
    label by at most one unit (and one example of rounding). With the data's own split, `validation` is drawn only if
    that split has no validation part. Copies of a validation or test unit in the training part are left out, so that
    the published test set stays whole.

    Args:
        dataset: the examples.
        spec, limit: the study's options.
        seed: seed of the trial; the split ignores it if `spec.vary` is false.

    Raises:
        InputError: fewer than two classes or a class without training examples, where labels are learned; a part
            without examples, or a data set without a split of its own if the study uses it.
    """
    present = np.unique(dataset.labels)
    if len(present) < (2 if dataset.learned else 1):
        only = f'"{dataset.classes[present[0]]}"' if len(present) else "missing: there are no examples"
        raise InputError(
            f"{dataset.name}: every label is {only}, so there is nothing to learn; two or more classes are needed"
        )
    split_seed = spec.seed_for(seed)
    units = Units.of(dataset)
    notes: list[str] = []
    if spec.column is None:
        parts = _by_share(dataset, units, spec, split_seed)
    else:
        parts, notes = _by_provided_split(dataset, units, spec, split_seed)
    for name, most in (("train", limit.train), ("test", limit.test)):
        have = len(parts[name])
        if most is not None and most < have:
            parts[name] = draw_limited(dataset, units, parts[name], most, generator(split_seed, "limit", name))
            notes.append(f"limit: {len(parts[name]):,} of {have:,} {name} examples, drawn by label and group")
    absent = np.setdiff1d(present, dataset.labels[parts["train"]])
    if len(absent) and dataset.learned:
        raise InputError(
            f'{dataset.name}: no training example has the label "{dataset.classes[absent[0]]}" '
            f"({len(parts['train'])} are trained on); use more examples or other shares in split:"
        )
    return Split(parts["train"], parts["validation"], parts["test"], tuple(notes))


def provided_split(values: Sequence[Any], where: str) -> np.ndarray:
    """Return the split that the data provide, per example, in the words `train`, `validation` and `test`.

    Args:
        values: the words in the data; `training`, `val`, `valid` and `dev` are understood, in upper or lower case.
        where: the column, for the error.

    Raises:
        InputError: another word, or a missing value.
    """
    named = [_OWN_NAMES.get(str(value).strip().lower()) for value in values]
    if None in named:
        unknown = values[named.index(None)]
        shown = "nothing" if unknown is None else f'"{unknown}"'
        raise InputError(f"{where} says {shown} in row {named.index(None)}; it may say train, validation or test")
    return np.array(named, dtype=object)


@dataclass(frozen=True, eq=False)
class Units:
    """Units, numbered in the order in which they first appear, so that names do not matter.

    Attributes:
        of_example: int [n], each example's unit.
        label: int [U], the most frequent label of a unit's examples; the lower code on a tie.
    """

    of_example: np.ndarray
    label: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> Units:
        """Number the units of a data set."""
        numbers: dict[str, int] = {}
        of_example = np.array([numbers.setdefault(unit, len(numbers)) for unit in dataset.unit], dtype=np.int64)
        counts = np.zeros((len(numbers), len(dataset.classes)), dtype=np.int64)
        np.add.at(counts, (of_example, dataset.labels), 1)
        return cls(of_example, counts.argmax(axis=1))


def _by_share(dataset: Dataset, units: Units, spec: SplitSpec, seed: int) -> dict[str, np.ndarray]:
    """Split by the shares of `split:`."""
    everything = np.arange(len(dataset))
    test = draw_share(units, everything, spec.test, generator(seed, "split"))
    rest = np.setdiff1d(everything, test)
    validation = _validation(units, rest, spec, seed)
    parts = {"train": np.setdiff1d(rest, validation), "validation": validation, "test": test}
    for name, share in (("test", spec.test), ("validation", spec.validation), ("train", 1.0)):
        if share > 0 and len(parts[name]) == 0:
            raise InputError(
                f"{dataset.name}: split: leaves no {name} examples of {len(dataset)} in "
                f"{len(units.label)} units (test: {spec.test}, validation: {spec.validation}); use other shares"
            )
    return parts


def _by_provided_split(
    dataset: Dataset, units: Units, spec: SplitSpec, seed: int
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Use the split that the data provide, and note which examples are left out."""
    if dataset.split is None:
        raise InputError(
            f"{dataset.name} provides no split, so split: column: {spec.column} cannot be used; name a column of "
            "a table, or give shares (test: 0.2)"
        )
    parts = {name: np.flatnonzero(dataset.split == name) for name in SPLIT_PARTS}
    notes = []
    for name, held_out in (("validation", ("test",)), ("train", ("test", "validation"))):
        taken = np.concatenate([units.of_example[parts[other]] for other in held_out])
        copies = np.isin(units.of_example[parts[name]], taken)
        if copies.any():
            notes.append(f"left out of {name}: {int(copies.sum()):,} whose unit is also in {' or '.join(held_out)}")
            parts[name] = parts[name][~copies]
    if len(parts["validation"]) == 0:
        parts["validation"] = _validation(units, parts["train"], spec, seed)
        parts["train"] = np.setdiff1d(parts["train"], parts["validation"])
    for name in ("train", "test"):
        if len(parts[name]) == 0:
            raise InputError(f"{dataset.name}: its own split has no {name} examples; give shares instead (test: 0.2)")
    return parts, notes


def _validation(units: Units, rest: np.ndarray, spec: SplitSpec, seed: int) -> np.ndarray:
    """Draw the validation examples."""
    return draw_share(units, rest, spec.validation, generator(seed, "split", "validation"))


def draw_share(
    units: Units, among: np.ndarray, share: float, rng: np.random.Generator, strata: np.ndarray | None = None
) -> np.ndarray:
    """Draw about `share` of the examples `among` as whole units from every stratum; sorted.

    Args:
        units: units of all examples.
        among: sorted positions.
        share: share of these positions to draw.
        rng: random numbers.
        strata: int, stratum of each of `among`; a unit has the stratum of its first example. None: the units' labels.
    """
    numbers, first, sizes = np.unique(units.of_example[among], return_index=True, return_counts=True)
    cells = units.label[numbers] if strata is None else strata[first]
    chosen = _stratified(cells, sizes, round(share * len(among)), rng)
    return among[np.isin(units.of_example[among], numbers[chosen])]


def draw_limited(dataset: Dataset, units: Units, part: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Draw about `most` examples of a part (to half a unit), in proportion to labels and, within labels, to strata."""
    numbers, first, sizes = np.unique(units.of_example[part], return_index=True, return_counts=True)
    labels = units.label[numbers]
    strata = strata_of(dataset, part[first])
    counts = np.bincount(labels, weights=sizes, minlength=len(dataset.classes))
    chosen = np.zeros(len(numbers), dtype=bool)
    for label, quota in enumerate(_quotas(counts, most, rng)):
        of_label = np.flatnonzero(labels == label)
        chosen[of_label] = _stratified(strata[of_label], sizes[of_label], int(quota), rng)
    return part[np.isin(units.of_example[part], numbers[chosen])]


def strata_of(dataset: Dataset, index: np.ndarray) -> np.ndarray:
    """Return the strata from which a limit draws within a label: the data's, or else the combinations of groups."""
    if dataset.strata is not None:
        return dataset.strata[index]
    if not dataset.attributes:
        return np.zeros(len(index), dtype=np.int64)
    return row_codes(np.hstack([attribute.masks[index] for attribute in dataset.attributes.values()]))


def row_codes(masks: np.ndarray) -> np.ndarray:
    """Return a code for each distinct row of bool [n, G], int64 [n], in the order of the rows' values."""
    return np.unique(masks, axis=0, return_inverse=True)[1].reshape(-1)


def _stratified(strata: np.ndarray, sizes: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Draw units whose sizes add up to about `total`, spread over strata in proportion.

    Args:
        strata: int [U].
        sizes: examples per unit [U].
        total: examples wanted.
        rng: draws the order of the units.

    Returns:
        bool [U].
    """
    chosen = np.zeros(len(strata), dtype=bool)
    names = np.unique(strata)
    counts = np.array([sizes[strata == name].sum() for name in names])
    owed = 0.0
    for name, quota in zip(names, _quotas(counts, total, rng), strict=True):
        order = rng.permutation(np.flatnonzero(strata == name))
        reached = np.cumsum(sizes[order])
        # If large units exceed or miss the number here, the next stratum makes up for it.
        owed += quota
        take = int(np.sum(reached - sizes[order] / 2 <= owed)) if owed > 0 else 0
        chosen[order[:take]] = True
        owed -= float(reached[take - 1]) if take else 0.0
    return chosen


def _quotas(counts: np.ndarray, total: int, rng: np.random.Generator) -> np.ndarray:
    """Divide `total` in proportion to `counts` into whole numbers, by largest remainder; ties fall at random."""
    if counts.sum() == 0:
        return np.zeros(len(counts), dtype=np.int64)
    exact = counts * (total / counts.sum())
    quotas = np.floor(exact + 1e-9).astype(np.int64)
    remainders = np.round(exact - quotas, 9)
    order = np.lexsort((rng.random(len(counts)), -remainders))
    quotas[order[: total - int(quotas.sum())]] += 1
    return quotas
