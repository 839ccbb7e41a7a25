"""Defines data sets: examples with labels, overlapping groups as masks, and units that are never split."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from evenhand.errors import InputError, did_you_mean, shortened
from evenhand.seeds import generator
from evenhand.spec import Spec

Modality = Literal["text", "image"]

MISSING = "(missing)"
"""The group of examples whose group value is missing: counted and shown, never dropped."""


@dataclass(frozen=True, eq=False)
class Attribute:
    """The groups of one attribute, with the examples in each.

    Attributes:
        groups: names [G].
        masks: bool [n, G]; groups may overlap, and an example may be in none. A missing value is the group
            `(missing)`.
    """

    groups: tuple[str, ...]
    masks: np.ndarray

    @classmethod
    def from_values(cls, values: Sequence[str | None], none: str = MISSING) -> Attribute:
        """Make groups that do not overlap from one value per example; None becomes the group `none`."""
        named = np.array([none if value is None else str(value) for value in values], dtype=object)
        groups = tuple(sorted(set(named)))
        return cls(groups, np.stack([named == group for group in groups], axis=1).astype(bool))

    @classmethod
    def from_lists(cls, values: Sequence[Sequence[str] | None]) -> Attribute:
        """Make groups that may overlap from a list per example; None becomes `(missing)`, an empty list means no
        group."""
        lists = [[MISSING] if value is None else [str(group) for group in value] for value in values]
        groups = tuple(sorted({group for value in lists for group in value}))
        column = {group: index for index, group in enumerate(groups)}
        masks = np.zeros((len(lists), len(groups)), dtype=bool)
        for row, value in enumerate(lists):
            masks[row, [column[group] for group in value]] = True
        return cls(groups, masks)

    def lists(self) -> list[list[str]]:
        """Return the groups of each example, in the format of the `examples` record."""
        return [[self.groups[column] for column in np.flatnonzero(row)] for row in self.masks]

    def merged(self, groups: Collection[str], name: str) -> Attribute:
        """Return the attribute with these groups merged into one group, which comes last."""
        if not groups:
            return self
        chosen = np.array([group in groups for group in self.groups], dtype=bool)
        rest = tuple(group for group in self.groups if group not in groups)
        together = self.masks[:, chosen].any(axis=1, keepdims=True)
        return Attribute((*rest, name), np.hstack([self.masks[:, ~chosen], together]))

    def take(self, index: np.ndarray) -> Attribute:
        """Return the groups of the examples at these positions."""
        return Attribute(self.groups, self.masks[index])


class _LazySelection(Sequence[Any]):
    """A selection of inputs that are read on access, such as images in files."""

    def __init__(self, inputs: Sequence[Any], index: np.ndarray) -> None:
        """Select the positions `index` of `inputs`."""
        self._inputs, self._index = inputs, index

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return _LazySelection(self._inputs, self._index[position])
        return self._inputs[int(self._index[position])]


def pick(inputs: Sequence[Any], index: np.ndarray) -> Sequence[Any]:
    """Return the inputs at these positions: a list for a list, otherwise a lazy selection that reads nothing early."""
    return [inputs[int(i)] for i in index] if isinstance(inputs, list) else _LazySelection(inputs, index)


@dataclass(frozen=True, eq=False)
class Dataset:
    """The examples of one classification task.

    Attributes:
        name: name in messages.
        modality: type of the inputs.
        inputs: [n] texts (str) or images (uint8 [H, W, 3], or objects that `np.asarray` converts to it); indexable, not
            necessarily a list.
        labels: int64 [n], codes into `classes`.
        classes: names [C]; for two classes the second is the positive one.
        example: unique ids, str [n].
        attributes: by name; may be empty.
        unit: str [n]; examples of a unit are never split between training and test, and are resampled together.
        weight: float64 [n].
        split: the published split per example ("train", "validation", "test"), or None.
        strata: int64 [n]; within a label, a limit draws from these in proportion. None: the strata are the
            combinations of groups.
        notes: facts that a reader of the report must know: rows dropped, duplicates counted.
        stated: whether only the number of examples and their lengths are true, see `evenhand.data.stated`.
        learned: whether models learn the labels; else these mark kinds of examples, for the split.
    """

    name: str
    modality: Modality
    inputs: Sequence[Any] = field(repr=False)  # never in a log or a traceback: texts may be hateful, faces are people
    labels: np.ndarray
    classes: tuple[str, ...]
    example: np.ndarray
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    unit: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    weight: np.ndarray = field(default_factory=lambda: np.empty(0))
    split: np.ndarray | None = None
    strata: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    stated: bool = False
    learned: bool = True

    def __post_init__(self) -> None:
        """By default each example is a separate unit and has weight 1."""
        n = len(self.inputs)
        if self.unit.size == 0:
            object.__setattr__(self, "unit", self.example)
        if self.weight.size == 0:
            object.__setattr__(self, "weight", np.ones(n))

    def __len__(self) -> int:
        return len(self.inputs)

    def take(self, index: np.ndarray) -> Dataset:
        """Return the examples at these positions, in this order."""
        return replace(
            self,
            inputs=pick(self.inputs, index),
            labels=self.labels[index],
            example=self.example[index],
            attributes={name: attribute.take(index) for name, attribute in self.attributes.items()},
            unit=self.unit[index],
            weight=self.weight[index],
            split=None if self.split is None else self.split[index],
            strata=None if self.strata is None else self.strata[index],
        )

    def group_mask(self, attribute: str, group: str) -> np.ndarray:
        """Return which examples are in a group, bool [n]. Raises InputError for an unknown attribute or group."""
        if attribute not in self.attributes:
            raise InputError(f'{self.name} has no attribute "{attribute}"; it has: {", ".join(self.attributes)}')
        groups_of = self.attributes[attribute]
        if group not in groups_of.groups:
            raise InputError(
                f'{self.name}: attribute {attribute} has no group "{group}"; it has: {", ".join(groups_of.groups)}'
            )
        return groups_of.masks[:, groups_of.groups.index(group)]


@dataclass(frozen=True, eq=False)
class TrainingExamples:
    """The examples that a trial is trained on, as altered by `data:`. Test examples are never altered.

    Attributes:
        inputs: [n] texts or images.
        labels: int64 [n].
        attributes: the groups of the examples, by attribute.
    """

    inputs: Sequence[Any] = field(repr=False)
    labels: np.ndarray
    attributes: Mapping[str, Attribute] = field(default_factory=dict, repr=False, kw_only=True)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> TrainingExamples:
        """Return the examples at these positions, in this order."""
        return replace(
            self,
            inputs=pick(self.inputs, index),
            labels=self.labels[index],
            attributes={name: attribute.take(index) for name, attribute in self.attributes.items()},
        )


def content_hash(inputs: Sequence[Any], labels: np.ndarray) -> str:
    """Return a hash of each input's bytes and its label, in order; ids, groups and names do not count."""
    digest = hashlib.blake2b(digest_size=16)
    for value, label in zip(inputs, labels, strict=True):
        if isinstance(value, str):
            digest.update(b"t" + value.encode() + b"\0")
        else:
            array = np.ascontiguousarray(value)
            digest.update(b"i" + str(array.shape).encode() + array.tobytes())
        digest.update(int(label).to_bytes(4, "big"))
    return digest.hexdigest()


class DataSpec(Spec):
    """Base class of data sets: the options of a task in a study, and how to load its examples.

    A data set is one subclass with `load`. To make it a task, register it in `evenhand.tasks.BUILT_IN`, or by an entry
    point of another package.
    """

    folder_name: ClassVar[str | None] = None
    """The folder of this data set below `--data DIR`; None: it needs none (synthetic, or a path is given)."""

    test_only: ClassVar[bool] = False
    """Whether it is made only for testing: a study may name it under `evaluate:`, but cannot train on it."""

    def load(self, folder: Path | None) -> Dataset:
        """Read or draw the examples.

        Args:
            folder: `DIR/<folder_name>` if `--data DIR` was given, else None.

        Raises:
            InputError: a missing file or column, labels of a single class, or an attribute without values.
        """
        raise InputError(f"{type(self).__name__} does not define load(), which reads its examples")

    def write_stand_in(self, folder: Path) -> None:
        """Write a small made-up data set in this data set's own file format, which `load(folder)` reads (`--tiny`).

        Data sets with a `folder_name` must define it; the others need no files.
        """
        raise InputError(f"--tiny: there is no stand-in for {self.folder_name}")

    def tested(self, dataset: Dataset, index: np.ndarray) -> np.ndarray:
        """Return the positions of a test part's examples that are tested: all, unless a data set overrides this."""
        return index

    def training_examples(
        self, dataset: Dataset, index: np.ndarray, options: Mapping[str, Any], seed: int
    ) -> TrainingExamples:
        """Return the training examples at `index`, altered by a method's `data:` options.

        Every classification data set understands `noise: {ATTRIBUTE=GROUP: share}`: that share of the group's
        training labels is redrawn among the other classes. Subclasses add keys of their own. (`repeat` works for
        all data sets and is applied last, see `repeated`.)

        Raises:
            InputError: an option that the data set does not know, or a group that it does not have.
        """
        unknown = [key for key in options if key != "noise"]
        if unknown:
            raise InputError(
                f'data: {dataset.name} has no option "{unknown[0]}"; {did_you_mean(unknown[0], ["noise", "repeat"])}'
            )
        labels = dataset.labels[index].copy()
        noise = options.get("noise", {})
        if not isinstance(noise, Mapping):
            raise InputError(f"data: noise is a mapping such as {{ATTRIBUTE=GROUP: 0.2}}, not {shortened(repr(noise))}")
        for group, share in noise.items():
            labels = _with_label_noise(dataset, index, labels, str(group), share, seed)
        return TrainingExamples(pick(dataset.inputs, index), labels)


def repeat_groups(examples: TrainingExamples, dataset: Dataset, index: np.ndarray, times: Any) -> TrainingExamples:
    """Return training examples in which those of some groups are repeated, like duplicates in careless collections.

    Args:
        examples: of the data set's examples at `index`.
        dataset, index: see `DataSpec.training_examples`.
        times: `data: {repeat: {ATTRIBUTE=GROUP: K}}`: each of the group's examples occurs K times. An example of
            several of these groups gets the largest of their numbers.

    Raises:
        InputError: not a mapping, an unknown group, or a number that is not a whole number of 1 or more.
    """
    if not isinstance(times, Mapping):
        raise InputError(f"data: repeat is a mapping such as {{ATTRIBUTE=GROUP: 3}}, not {shortened(repr(times))}")
    counts = np.ones(len(index), dtype=np.int64)
    for name, count in times.items():
        attribute, separator, group = str(name).partition("=")
        if not separator:
            raise InputError(f'data: repeat names groups as ATTRIBUTE=GROUP, not "{name}"')
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise InputError(f"data: repeat of {name} is a whole number of 1 or more, not {shortened(repr(count))}")
        mask = dataset.group_mask(attribute, group)[index]
        counts[mask] = np.maximum(counts[mask], count)
    rows = np.repeat(np.arange(len(index)), counts)
    return examples.take(rows)


def _with_label_noise(
    dataset: Dataset, index: np.ndarray, labels: np.ndarray, group: str, share: Any, seed: int
) -> np.ndarray:
    """Return labels in which a share of one group's labels is redrawn among the other classes."""
    attribute, separator, value = group.partition("=")
    if not separator:
        raise InputError(f'data: noise names groups as ATTRIBUTE=GROUP, not "{group}"')
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise InputError(f"data: noise of {group} is a share between 0 and 1, not {shortened(repr(share))}")
    rng = generator(seed, "noise", group)
    members = np.flatnonzero(dataset.group_mask(attribute, value)[index])
    chosen = rng.permutation(members)[: round(share * len(members))]
    shift = rng.integers(1, len(dataset.classes), size=len(chosen))
    labels[chosen] = (labels[chosen] + shift) % len(dataset.classes)
    return labels
