"""Defines the key `tuning:` of a study: the candidates for hyperparameters, and the rule that selects one.

Candidates are compared on the validation part of the training split; the test split decides nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from pydantic import Field, field_validator

from evenhand.data.splits import SplitSpec
from evenhand.errors import InputError, did_you_mean
from evenhand.methods import parse_method
from evenhand.methods.method import Method
from evenhand.spec import Spec, field_names
from evenhand.tasks import kind_of

_SUCH = "{lora: {lr: [1.0e-4, 3.0e-4], epochs: [2, 4]}}"

SEED = 1000
"""Default seed of candidates if one seed chooses for all: fixed, so that a growing study keeps its choice."""

SCORES = {"loss": "the lowest validation loss", "accuracy": "the highest validation accuracy"}
"""The scores by which candidates are compared, and which value is chosen."""

TIES = "of equals, the one with fewer epochs, then the one with the lower learning rate"

_FIXED = ("kind", "data", "resources", "thresholds")
"""Keys that a grid may not vary: another kind is another method, other examples are another question, and resources
change no result."""


class TuningSpec(Spec):
    """The hyperparameters to try (`tuning:` in a study).

    Attributes:
        grid: by method, the values to try of each of its keys; every combination is a candidate.
        score: the score by which candidates are compared, `loss` or `accuracy`, on the validation part.
        seeds: `one` chooses once, on `seed`, for all seeds of the study; `each` chooses for every seed, on its own
            validation part.
        seed: not a seed of the study; unused with `each`.
    """

    grid: dict[str, dict[str, tuple[Any, ...]]]
    score: Literal["loss", "accuracy"] = "loss"
    seeds: Literal["one", "each"] = "one"
    seed: int = Field(default=SEED, ge=0)

    @field_validator("grid", mode="before")
    @classmethod
    def _grid(cls, value: Any) -> Any:
        """Refuse a grid that is not a mapping from methods to lists of values."""
        if not isinstance(value, Mapping) or not value:
            raise InputError(f"tuning.grid should be a mapping from methods to values, such as {_SUCH}, not {value!r}")
        for name, options in value.items():
            if not isinstance(options, Mapping) or not options:
                raise InputError(
                    f"tuning.grid.{name} should be a mapping from keys to the values to try, not {options!r}"
                )
            for key, values in options.items():
                if isinstance(values, str) or not isinstance(values, Sequence) or not values:
                    raise InputError(f"tuning.grid.{name}.{key} should be a list of the values to try, not {values!r}")
        return value

    @field_validator("score", mode="before")
    @classmethod
    def _score(cls, value: Any) -> Any:
        """Refuse a score other than loss or accuracy."""
        if value not in SCORES:
            raise InputError(f"tuning.score should be loss or accuracy, both of the validation part, not {value!r}")
        return value

    def check(self, task: str, methods: Collection[str], seeds: Sequence[int], split: SplitSpec) -> None:
        """Raise InputError if the rest of a setting rules out tuning.

        Looks at the task's name, the names of the methods, the seeds and `split:`.
        """
        if self.score == "accuracy" and kind_of(task) != "classification":
            raise InputError(f"tuning.score: {task} has no accuracy to choose by; use loss")
        for name in self.grid:
            if name not in methods:
                raise InputError(f'tuning.grid: "{name}" is not a method; {did_you_mean(name, methods)}')
        if not split.validation and split.column is None:
            raise InputError(
                "tuning chooses on validation examples, and split.validation is 0: there are none; set it above 0, "
                "such as 0.1"
            )
        if self.seeds == "one" and self.seed in seeds:
            raise InputError(
                f"tuning.seed is {self.seed}, one of the study's seeds; choose another, so that no run of the study "
                "selects its own hyperparameters"
            )


@dataclass(frozen=True)
class Candidate:
    """One combination of hyperparameters that is tried for a method.

    Attributes:
        values: of the keys that the grid varies.
        method: the method with them, every default written out, as a setting holds it.
    """

    values: Mapping[str, Any]
    method: Mapping[str, Any]

    @property
    def json(self) -> str:
        """The values as the table `trials` holds them."""
        return json.dumps(dict(self.values), sort_keys=True)

    def __str__(self) -> str:
        """Return the values as people read them."""
        return hyperparameters_text(self.values)


class Choice(Spec):
    """The chosen hyperparameters of a method, as `study.yaml` keeps them.

    Attributes:
        setting, method: the setting and method of the choice.
        seed: the seed of the study; None if one choice serves all seeds.
        hyperparameters: the chosen values of the keys in the grid.
        score, value: the score by which candidates were compared, and the chosen candidate's value.
        candidates, failed: number of candidates tried, and of those that failed.
    """

    setting: str
    method: str
    seed: int | None
    hyperparameters: dict[str, Any]
    score: Literal["loss", "accuracy"]
    value: float = Field(allow_inf_nan=True)  # nan in a plan, before candidates are run
    candidates: int
    failed: int


def hyperparameters_text(values: Mapping[str, Any]) -> str:
    """Return hyperparameters as people read them: `lr 0.001, epochs 2`."""
    return ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}" for key, value in values.items()
    )


def candidates(name: str, method: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> tuple[Candidate, ...]:
    """Return every combination of a method's grid, in the grid's order, each once.

    A rank that is varied keeps the update's scale, alpha / rank, unless the grid varies alpha too.

    Args:
        name: of the method, for the error.
        method: as a setting holds it.
        grid: values by key.

    Raises:
        InputError: a key that the method lacks or a grid may not vary, or a value that cannot be used.
    """
    known = [key for key in field_names(type(parse_method(name, method))) if key not in _FIXED]
    for key in grid:
        if key in _FIXED:
            raise InputError(
                f"tuning.grid.{name}: {key} is not a hyperparameter; add another method to methods instead"
            )
        if key not in known:
            raise InputError(f'tuning.grid.{name}: a {method["kind"]} has no key "{key}"; {did_you_mean(key, known)}')
    by_values: dict[str, Candidate] = {}
    for values in product(*grid.values()):
        chosen = dict(zip(grid, values, strict=True))
        try:
            resolved = parse_method(name, {**method, **_scaled(method, chosen), **chosen})
        except InputError as error:
            raise InputError(f"tuning.grid: {error}") from None
        dumped = {"kind": resolved.kind, **resolved.model_dump(mode="json")}
        candidate = Candidate({key: dumped[key] for key in grid}, dumped)
        by_values[candidate.json] = candidate
    return tuple(by_values.values())


def best(scored: Sequence[tuple[Method, float | None]], score: Literal["loss", "accuracy"]) -> int | None:
    """Return the index of the candidate with the best score, with ties broken as in `TIES`; then the first.

    Args:
        scored: each candidate with its score; None: it failed or has no score, and is not chosen.
        score: kind of the score.

    Returns:
        None where no candidate can be chosen.
    """
    sign = 1.0 if score == "loss" else -1.0
    ranked = [
        (sign * value, method.epochs, method.lr, index)
        for index, (method, value) in enumerate(scored)
        if value is not None and math.isfinite(value)
    ]
    return min(ranked)[-1] if ranked else None


def _scaled(method: Mapping[str, Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return alpha in proportion to a varied rank; values that are not numbers are refused elsewhere."""
    rank = chosen.get("rank")
    if not isinstance(rank, int | float) or "alpha" not in method or "alpha" in chosen:
        return {}
    return {"alpha": method["alpha"] * max(rank, 1) / max(method["rank"], 1)}
