"""Groups of examples as masks, and values by group. Groups may overlap, and an example may be in none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from evenhand.errors import InputError
from evenhand.metrics.labels import array_of, is_missing, weights_of

MISSING = "(missing)"
"""The group of examples whose group value is missing: counted and shown, never dropped."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of examples, with their names.

    Attributes:
        names: names of the groups [G].
        masks: bool [n, G].

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import Groups
        >>> groups = Groups(("old", "all"), np.array([[True, True], [False, True]]))
        >>> groups.masks.sum(axis=0).tolist()
        [1, 2]
    """

    names: tuple[str, ...]
    masks: np.ndarray


@dataclass(frozen=True, eq=False)
class ByGroup:
    """One value per group.

    Attributes:
        names: names of the groups [G].
        values: float [..., G]; nan where undefined.
        support: int [..., G], number of examples behind each value: those in the rate's denominator.

    Example:
        >>> import numpy as np
        >>> from evenhand.metrics import ByGroup
        >>> ByGroup(("a", "b"), np.array([0.5, 1.0]), np.array([2, 2])).as_dict()
        {'a': 0.5, 'b': 1.0}
    """

    names: tuple[str, ...]
    values: np.ndarray
    support: np.ndarray

    def as_dict(self) -> dict[str, float]:
        """The values of one run by name."""
        if self.values.ndim != 1:
            raise InputError(f"values have shape {self.values.shape}, those of several runs; take one run first")
        return dict(zip(self.names, self.values.tolist(), strict=True))


def groups_from_masks(masks: Any, names: Sequence[str]) -> Groups:
    """Name the columns of masks, bool [n, G]. Raises InputError unless there is one name per column.

    Example:
        >>> from evenhand.metrics import groups_from_masks
        >>> groups_from_masks([[True, True], [False, True]], ["old", "all"]).names
        ('old', 'all')
    """
    found = np.asarray(masks)
    if found.ndim != 2 or found.dtype != bool or found.shape[1] != len(names) or len(set(names)) != len(names):
        raise InputError(
            f"masks have shape {found.shape} and type {found.dtype}, for {len(set(names))} different names; bool "
            "(n, G) with one name per column is needed"
        )
    return Groups(tuple(map(str, names)), found)


def intersections(attributes: Mapping[str, Any]) -> Groups:
    """Every conjunction of one group per attribute that has an example, named like `Black & female`.

    Args:
        attributes: by name, in any format that `groups_of` takes.

    Raises:
        InputError: no attribute, or attributes that do not fit each other.

    Source: fairlearn's several sensitive features; it lists conjunctions without examples, too.

    Example:
        >>> from evenhand.metrics import intersections
        >>> intersections({"race": ["Black", "Black", "white"], "gender": ["female", "male", "male"]}).names
        ('Black & female', 'Black & male', 'white & male')
    """
    if not attributes:
        raise InputError("no attribute is given; name at least one")
    first = next(iter(attributes.values()))
    n = len(first.masks) if isinstance(first, Groups) else len(np.asarray(first))
    return reduce(_cross, (groups_of(values, n, name) for name, values in attributes.items()))


def groups_of(features: Any, n: int, name: str = "sensitive_features") -> Groups:
    """Groups from labels, masks, or a mapping of attributes.

    Args:
        features: one label per example [n] (a missing one is the group `(missing)`); masks, bool [n, G]; a mapping of
            attributes to any of these, for their intersections; or `Groups`.
        n: the number of examples.
        name: name in messages.

    Returns:
        Groups sorted by name; masks keep their order and are named `0`, `1`, … .

    Raises:
        InputError: another shape, or a number of examples that is not n.
    """
    if isinstance(features, Groups):
        found = features
    elif isinstance(features, Mapping):
        found = intersections(features)
    else:
        values = array_of(features, name)
        if values.ndim == 2 and values.dtype == bool:
            found = Groups(tuple(map(str, range(values.shape[1]))), values)
        elif values.ndim == 1:
            found = _from_labels(values)
        else:
            raise InputError(
                f"{name} has shape {values.shape} and type {values.dtype}; give one label per example, masks as bool "
                "(n, G), or a mapping of attributes to labels for intersections"
            )
    if len(found.masks) != n:
        raise InputError(f"{name} has {len(found.masks)} examples and y_true {n}; they must be of the same n")
    if not found.names:
        raise InputError(f"{name} names no group; at least one is needed")
    return found


def by_group(
    metric: Callable[..., float], y_true: Any, y_pred: Any, *, groups: Any, sample_weight: Any = None, **options: Any
) -> ByGroup:
    """Compute any metric of one run within each group, or within each stratum of a control feature.

    Args:
        metric: a metric with a `sample_weight`, such as `expected_calibration_error` or
            `demographic_parity_difference`.
        y_true, y_pred: labels [n], and the metric's second argument.
        groups: labels [n], masks bool [n, G], a mapping of attributes for their intersections, or `Groups`.
        sample_weight: float [n]. Examples outside the group have weight 0, so that every group has all the classes.
        options: options of the metric, such as `sensitive_features`.

    Returns:
        Values [G], nan where the metric is nan; support [G] counts the examples of each group.

    Raises:
        InputError: as the metric does, or groups that cannot be used.

    Source: fairlearn's `MetricFrame`, for one metric and one attribute.

    Example:
        >>> from evenhand.metrics import accuracy, by_group
        >>> by_group(accuracy, [1, 0, 1, 1], [1, 1, 1, 1], groups=["a", "a", "b", "b"]).as_dict()
        {'a': 0.5, 'b': 1.0}
    """
    n = len(y_true)
    found, weight = groups_of(groups, n, "groups"), weights_of(sample_weight, n)
    weight = np.ones(n) if weight is None else weight
    values = [metric(y_true, y_pred, sample_weight=weight * mask, **options) for mask in found.masks.T]
    return ByGroup(found.names, np.array(values), found.masks.sum(axis=0))


def _from_labels(values: np.ndarray) -> Groups:
    if values.dtype == object:
        distinct = list(dict.fromkeys(map(_word, values.tolist())))
        number = {word: place for place, word in enumerate(distinct)}
        codes = np.array([number[_word(value)] for value in values.tolist()], dtype=np.int64)
        words = distinct
    else:
        found, codes = np.unique(values, return_inverse=True)
        words = [_word(value) for value in found.tolist()]
    names = sorted(set(words))
    place = np.array([names.index(word) for word in words], dtype=np.int64)
    return Groups(tuple(names), place[codes][:, None] == np.arange(len(names)))


def _word(value: Any) -> str:
    if is_missing(value):
        return MISSING
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))  # whole numbers beside a missing value become floats
    return str(value)


def _cross(ours: Groups, theirs: Groups) -> Groups:
    if len(ours.masks) != len(theirs.masks):
        raise InputError(f"attributes have {len(ours.masks)} and {len(theirs.masks)} examples; they must have the same")
    masks = (ours.masks[:, :, None] & theirs.masks[:, None, :]).reshape(len(ours.masks), -1)
    names = [f"{first} & {second}" for first in ours.names for second in theirs.names]
    some = np.flatnonzero(masks.any(axis=0))
    return Groups(tuple(names[place] for place in some), masks[:, some])
