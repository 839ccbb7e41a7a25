"""Defines the schemas of all tables: columns, types, and the values that each column may have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

ATTRIBUTE = "attribute."
"""The prefix of the columns of `examples` with the groups of an attribute."""

LISTS = pl.List(pl.String)
LOGITS = pl.Array(pl.Float32, 1)
"""Stands for a fixed-size float32 array of any width."""
PROBABILITIES = pl.Array(pl.Float64, 1)
"""Stands for a fixed-size float64 array of any width."""


@dataclass(frozen=True)
class Table:
    """The schema of one table.

    Attributes:
        name: name in the documentation and of the file.
        columns: type by column, in order.
        nullable: columns that may hold nulls.
        key: columns that identify a row.
        words: allowed values of a column.
        attributes: whether `attribute.*` columns of lists may follow.
        older: columns that tables of an older version lack, with the value to assume for them.
    """

    name: str
    columns: Mapping[str, Any]
    nullable: frozenset[str] = frozenset()
    key: tuple[str, ...] = ()
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attributes: bool = False
    older: Mapping[str, pl.Expr] = field(default_factory=dict)

    def empty(self) -> pl.DataFrame:
        """An empty table with this schema."""
        return pl.DataFrame(schema=dict(self.columns))


COMPARISONS = ("change", "gap", "gap change")
THE_METHODS, ONE_AGAINST_SEVERAL = "the methods", "this model against the mean of N runs"
TWO_MODELS, ONE_MODEL = "these models", "this model"
SCOPES = (THE_METHODS, ONE_AGAINST_SEVERAL, TWO_MODELS, ONE_MODEL)
DISPARITIES = ("reversed", "widens", "narrows", "undecided")
VERDICTS = ("worse", "better", "different", "equivalent", "not worse", "inconclusive")
DECIDED, OPEN, FUTILE, TOO_FEW_RUNS, NOT_JUDGED = "decided", "open", "futile", "too few runs", "not judged"
LOOK_STATES = (DECIDED, OPEN, FUTILE, TOO_FEW_RUNS, NOT_JUDGED)
MAX_T, HALVES = "max T", "halves"
"""How the p-values of `findings` pay for a search."""
STATUS = ("done", "failed")
ROLES = ("study", "tuning", "pool")

_TEXT, _INT, _REAL, _FLAG = pl.String, pl.Int64, pl.Float64, pl.Boolean
_MEASURED = {
    "setting": _TEXT,
    "split": _TEXT,
    "measure": _TEXT,
    "class": _TEXT,
    "attribute": _TEXT,
    "group": _TEXT,
    "condition": _TEXT,
    "correction": _TEXT,
}
_SCOPE_OF_RUNS = (
    pl.when(pl.col("runs") == 1, pl.col("setting").is_not_null())
    .then(pl.lit(TWO_MODELS))
    .otherwise(pl.lit(THE_METHODS))
)
_PLACE = frozenset({"class", "attribute", "group", "condition", "correction"})


def _table(name: str, columns: dict[str, Any], nullable: str = "", key: str = "", **more: Any) -> Table:
    return Table(name, columns, frozenset(nullable.split()) | more.pop("null", frozenset()), tuple(key.split()), **more)


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "examples",
            {
                "setting": _TEXT,
                "example": _TEXT,
                "label": _INT,
                "weight": _REAL,
                "unit": _TEXT,
                "references": LISTS,
                "zlib_bytes": _INT,
            },
            nullable="label references zlib_bytes",
            key="setting example",
            attributes=True,
        ),
        _table(
            "trials",
            {
                "setting": _TEXT,
                "method": _TEXT,
                "seed": _INT,
                "role": _TEXT,
                "candidate": _TEXT,
                "score": _REAL,
                "chosen": _FLAG,
                "subset": _TEXT,
                "pair": _TEXT,
                "trial": _TEXT,
                "status": _TEXT,
                "reason": _TEXT,
                "train_loss": _REAL,
                "validation_loss": _REAL,
                "parameters": _INT,
                "parameters_total": _INT,
                "seconds": _REAL,
                "peak_bytes": _INT,
                "epsilon": _REAL,
                "step": _INT,
                "note": _TEXT,
                "environment": _TEXT,
            },
            nullable="candidate score chosen subset pair reason train_loss validation_loss parameters "
            "parameters_total seconds peak_bytes epsilon step note environment",
            key="setting method seed role candidate subset",
            words={"role": ROLES, "status": STATUS},
        ),
        _table(
            "predictions",
            {
                "trial": _TEXT,
                "split": _TEXT,
                "example": _TEXT,
                "step": _INT,
                "predicted": _INT,
                # Of trained models.
                "logits": LOGITS,
                # Of tables, as given.
                "probabilities": PROBABILITIES,
            },
            nullable="step predicted logits probabilities",
            key="trial split example step",
        ),
        _table(
            "responses",
            {"trial": _TEXT, "split": _TEXT, "example": _TEXT, "step": _INT, "text": _TEXT},
            nullable="step",
            key="trial split example step",
        ),
        _table(
            "options",
            {
                "trial": _TEXT,
                "step": _INT,
                "example": _TEXT,
                "prompt": _TEXT,
                "option": _TEXT,
                "identifier": _TEXT,
                "position": _INT,
                "log_prob": _REAL,
                "tokens": _INT,
                "bytes": _INT,
                "sequence_loss": _REAL,
            },
            nullable="step identifier position sequence_loss",
            key="trial step example prompt option identifier position",
        ),
        _table(
            "harness",
            {
                "trial": _TEXT,
                "task": _TEXT,
                "example": _TEXT,
                "metric": _TEXT,
                "value": _REAL,
                "unit": _TEXT,
                "groups": LISTS,
            },
            # Without an example: the total that the harness reports for all documents.
            nullable="example value unit groups",
            key="trial task example metric",
        ),
        _table(
            "tokens",
            {
                "trial": _TEXT,
                "split": _TEXT,
                "example": _TEXT,
                "step": _INT,
                "log_probs": pl.List(pl.Float32),
                "means": pl.List(pl.Float32),
                "deviations": pl.List(pl.Float32),
            },
            nullable="step",
            key="trial split example step",
        ),
        _table(
            "values",
            {"trial": _TEXT, "split": _TEXT, "example": _TEXT, "step": _INT, "name": _TEXT, "value": _REAL},
            nullable="step",
            key="trial split example step name",
        ),
        _table("members", {"trial": _TEXT, "example": _TEXT, "member": _FLAG}, key="trial example"),
        _table("scores", {"trial": _TEXT, "example": _TEXT, "score": _REAL}, key="trial example"),
        _table(
            "probes",
            {
                "trial": _TEXT,
                "layer": _INT,
                "target": _TEXT,
                "control_seed": _INT,
                "example": _TEXT,
                "correct": _FLAG,
            },
            nullable="control_seed",
            key="trial layer target control_seed example",
        ),
        _table(
            "estimates",
            {
                # Null: the level itself.
                "comparison": _TEXT,
                "against": _TEXT,
                **_MEASURED,
                "method": _TEXT,
                "seed": _INT,
                "value": _REAL,
                "low": _REAL,
                "high": _REAL,
                "n": _INT,
                "corrected": _REAL,
                "noise_floor": _REAL,
                "noise_high": _REAL,
                "note": _TEXT,
            },
            nullable="comparison against seed value low high n corrected noise_floor noise_high note",
            null=_PLACE,
            key="comparison against setting split measure class attribute group condition correction method seed",
            words={"comparison": COMPARISONS},
        ),
        _table(
            "verdicts",
            {
                "comparison": _TEXT,
                "scope": _TEXT,
                "disparity": _TEXT,
                **_MEASURED,
                "method": _TEXT,
                "reference": _TEXT,
                "against": _TEXT,
                "contrast": _REAL,
                "low": _REAL,
                "high": _REAL,
                "predict_low": _REAL,
                "predict_high": _REAL,
                "margin": _REAL,
                "verdict": _TEXT,
                "family": _TEXT,
                "p": _REAL,
                "p_adjusted": _REAL,
                "detectable": _REAL,
                "runs": _INT,
                "runs_needed": _INT,
                "note": _TEXT,
            },
            nullable="disparity setting reference against contrast low high predict_low predict_high margin verdict "
            "family p p_adjusted detectable runs runs_needed note",
            null=_PLACE,
            key="comparison against setting split measure class attribute group condition correction method reference",
            words={"comparison": COMPARISONS, "scope": SCOPES, "disparity": DISPARITIES, "verdict": VERDICTS},
            older={"comparison": pl.lit("change"), "scope": _SCOPE_OF_RUNS},
        ),
        _table(
            "curves",
            {
                "setting": _TEXT,
                "split": _TEXT,
                "measure": _TEXT,
                "attribute": _TEXT,
                "group": _TEXT,
                "method": _TEXT,
                "x": _REAL,
                "y": _REAL,
                "low": _REAL,
                "high": _REAL,
            },
            nullable="attribute group low high",
        ),
        _table(
            "findings",
            {
                # How the search is paid for: simultaneous over all that was searched, or a test on unseen units.
                "selection": _TEXT,
                "comparison": _TEXT,
                "against": _TEXT,
                "scope": _TEXT,
                "disparity": _TEXT,
                "setting": _TEXT,
                "split": _TEXT,
                "measure": _TEXT,
                "class": _TEXT,
                "condition": _TEXT,
                "correction": _TEXT,
                "subgroup": _TEXT,
                "parent": _TEXT,
                "drivers": LISTS,
                "method": _TEXT,
                "reference": _TEXT,
                "value": _REAL,
                "low": _REAL,
                "high": _REAL,
                # What the largest of all contrasts reaches by chance at this size.
                "noise_high": _REAL,
                "n": _INT,
                "searched": _INT,
                "p_adjusted": _REAL,
                "verdict": _TEXT,
                "note": _TEXT,
            },
            nullable="against disparity parent drivers reference value low high noise_high p_adjusted note",
            null=_PLACE - {"attribute", "group"},
            key="selection comparison against setting split measure class condition correction subgroup method "
            "reference",
            words={
                "selection": (MAX_T, HALVES),
                "comparison": COMPARISONS,
                "scope": SCOPES,
                "disparity": DISPARITIES,
                "verdict": ("worse", "different", "inconclusive"),
            },
        ),
        _table(
            "looks",
            {
                "look": _INT,
                "seeds": _INT,
                "level": _REAL,
                "comparison": _TEXT,
                **_MEASURED,
                "method": _TEXT,
                "reference": _TEXT,
                "against": _TEXT,
                "contrast": _REAL,
                "low": _REAL,
                "high": _REAL,
                "verdict": _TEXT,
                # The look at which it got its first verdict, which stands.
                "decided": _INT,
                "state": _TEXT,
                "chance": _REAL,
            },
            nullable="reference against contrast low high decided chance",
            null=_PLACE,
            key="look comparison against setting split measure class attribute group condition correction method "
            "reference",
            words={"comparison": COMPARISONS, "verdict": VERDICTS, "state": LOOK_STATES},
        ),
    )
}


def attributes(examples: pl.DataFrame) -> list[str]:
    """The names of the attributes in a table `examples`."""
    return [column.removeprefix(ATTRIBUTE) for column in examples.columns if column.startswith(ATTRIBUTE)]
