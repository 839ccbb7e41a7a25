"""What an audit of a table is asked for: the keywords of `evenhand.audit`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SETTING = "table"
"""The one setting of a table."""


@dataclass(frozen=True, kw_only=True)
class TableRequest:
    """The keywords of `evenhand.audit.ingest.table.audit`, which describes them, in types of Python's own."""

    label: str | None = None
    prediction: str | None = None
    probability: str | Sequence[str] | None = None
    groups: str | Sequence[str] = ()
    positive: object | None = None
    favourable: Literal["positive", "negative"] | None = None
    method: str | None = None
    seed: str | None = None
    reference: str | Sequence[str] | None = None
    example: str | None = None
    unit: str | None = None
    weight: str | None = None
    margins: Mapping[str, float] | None = None
    measures: Sequence[str] | None = None
    comparison: Literal["gap"] | None = None
    against: str | Sequence[str] | None = None
    thresholds: bool = False
    split: Literal["fixed", "varying"] | None = None
    test_share: float | None = None
    member: str | None = None
    score: str | None = None
    task: Literal["classification", "regression"] = "classification"
    value: str | Sequence[str] | None = None
    more_is: str | Mapping[str, str] | None = None
    range: Sequence[float] | Mapping[str, Sequence[float]] | None = None
    scale: str | Mapping[str, str] | None = None
    subgroups: Mapping[str, Any] | None = None
    source: str = "table"

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            object.__setattr__(self, name, plain(value))


def plain(value: Any) -> Any:
    """A keyword's value without the types of NumPy and pandas, and of enumerations of texts.

    Example:
        >>> import numpy as np
        >>> from evenhand.audit.ingest.request import plain
        >>> plain(np.array(["sex", "race"])), plain(np.float64(0.2)), plain({np.str_("default"): 0.02})
        (['sex', 'race'], 0.2, {'default': 0.02})
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return [plain(each) for each in value] if isinstance(value, Iterable) else value


def several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names as texts, from none, one or several."""
    if names is None:
        return ()
    return tuple(map(str, names)) if isinstance(names, Sequence) and not isinstance(names, str) else (str(names),)
