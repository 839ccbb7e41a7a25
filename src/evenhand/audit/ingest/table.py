"""Audit what somebody else made: any table of labels and predictions, or of membership scores, becomes records."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from evenhand import records
from evenhand.audit.design import Design, MarginChange, SettingDesign
from evenhand.audit.ingest.attributes import attributes
from evenhand.audit.ingest.columns import Columns, first_row, read_file
from evenhand.audit.ingest.membership_scores import Scored, scored, scored_tables
from evenhand.audit.ingest.pairing import pair
from evenhand.audit.ingest.predictions import Outcomes, outcomes
from evenhand.audit.ingest.trials import references, runs, trials_of
from evenhand.audit.measures import check_margins, select
from evenhand.audit.results import Results
from evenhand.errors import InputError

SETTING = "table"


@dataclass(frozen=True, eq=False)
class Audited:
    """A table as records: one setting, `table`; a trial is a hash of (method, seed)."""

    examples: pl.DataFrame
    trials: pl.DataFrame
    predictions: pl.DataFrame
    members: pl.DataFrame
    scores: pl.DataFrame
    design: Design


def read_table(path: str | Path) -> pl.DataFrame:
    """The rows of a CSV, TSV, Parquet, JSON or JSONL (NDJSON) file, by its suffix.

    Raises:
        InputError: the file is missing, of an unknown kind, or cannot be read.
    """
    return read_file(Path(path).expanduser())


def audit(
    frame: Any,
    *,
    label: str | None = None,
    groups: str | Sequence[str] = (),
    prediction: str | None = None,
    probability: str | Sequence[str] | None = None,
    positive: object | None = None,
    method: str | None = None,
    seed: str | None = None,
    reference: str | Sequence[str] | None = None,
    example: str | None = None,
    unit: str | None = None,
    weight: str | None = None,
    margins: Mapping[str, float] | None = None,
    measures: Sequence[str] | None = None,
    split: Literal["fixed", "varying"] | None = None,
    test_share: float | None = None,
    member: str | None = None,
    score: str | None = None,
    source: str = "table",
    out: str | Path | None = None,
) -> Results:
    """Audit a table of predictions or membership scores of models that anybody trained: estimates, and verdicts where a
    reference is named.

    Args:
        frame: any dataframe that narwhals reads (pandas ones need pyarrow beside them).
        label, prediction, probability, groups, positive, method, seed, reference, example, unit, weight, margins,
            measures, split, test_share, member, score, source: see `records_from_table`.
        out: a folder for the tables and `report.html`; margins that differ from those of an earlier audit there are
            kept with their dates.

    Raises:
        InputError: the table cannot be audited as asked, or `out` holds a study.
    """
    asked = {
        "label": label,
        "prediction": prediction,
        "probability": probability,
        "groups": groups,
        "positive": positive,
        "method": method,
        "seed": seed,
        "reference": reference,
        "example": example,
        "unit": unit,
        "weight": weight,
        "margins": margins,
        "measures": measures,
        "split": split,
        "test_share": test_share,
        "member": member,
        "score": score,
        "source": source,
    }
    found = records_from_table(frame, **asked)  # pyright: ignore[reportArgumentType]
    design = found.design if out is None else _declared(found.design, Path(out))
    results = Results.compute(
        found.examples,
        found.trials,
        found.predictions,
        design,
        _provenance(asked),
        members=found.members,
        scores=found.scores,
    )
    if out is not None:
        results.save(out)
        results.report(Path(out) / "report.html")
    return results


def records_from_table(
    frame: Any,
    *,
    label: str | None = None,
    groups: str | Sequence[str] = (),
    prediction: str | None = None,
    probability: str | Sequence[str] | None = None,
    positive: object | None = None,
    method: str | None = None,
    seed: str | None = None,
    reference: str | Sequence[str] | None = None,
    example: str | None = None,
    unit: str | None = None,
    weight: str | None = None,
    margins: Mapping[str, float] | None = None,
    measures: Sequence[str] | None = None,
    split: Literal["fixed", "varying"] | None = None,
    test_share: float | None = None,
    member: str | None = None,
    score: str | None = None,
    source: str = "table",
) -> Audited:
    """The records of a table with a row per prediction, or per attacked example of a model, and the design.

    Args:
        frame: any dataframe that narwhals reads.
        label: column of true classes: 0 and 1, false and true, words, or whole numbers. None: only membership
            is audited.
        groups: columns of groups. One value per row; a list per row (groups overlap); or `NAME=PREFIX_*`, columns of
            true and false that are each a group. A missing value is the group `(missing)`. For
            membership there may be none.
        prediction: column of predicted classes. Without one the likelier class is the prediction (of two equal ones
            the first).
        probability: column of the positive class's probability; or one per class, found by name (`p_high` is of the
            class high), else in the sorted order of the classes.
        positive: the positive one of two classes, when they are not 0 and 1, −1 and 1, or false and true.
        method: column that names the model of a row; without it all rows are of one method.
        seed: column that numbers the runs of a method (or names them: they are numbered in sorted order); else 0.
        reference: the method or methods that the others are compared with.
        example: column of ids that pairs rows of methods and seeds; without it see `audit.pairing`.
        unit: column of clusters of examples that are resampled together; else each example is its own.
        weight: column of examples' weights, above 0; else 1.
        margins: the largest contrast declared harmless, by measure; `default` serves measures on a 0–1 scale.
        measures: names of measures; all unless given.
        split: whether seeds share one test set; else inferred and noted.
        test_share: the share of the data that a seed's test set is; else inferred where it can be, and noted.
        member: column that says whether the row's model was trained on its example. Predictions are then audited on
            the others only.
        score: column of what a membership attack says of the row, on one scale for all models: more is more
            member-like.
        source: what the table is called in the report.

    Returns:
        One setting, `table`, whose predictions are of the split `test`, those of members of the split `train`.

    Raises:
        InputError: one sentence about the first thing that does not fit.
    """
    columns = Columns.of(frame, source)
    margins = _margins(margins or {})
    measures = _measures(_several(measures))
    attacked = scored(columns, member, score)
    found = _outcomes(columns, label, prediction, _several(probability), positive, attacked)
    if attacked is not None and weight is not None:
        raise InputError(f"{source}: weights ({weight}) play no part in an audit of membership; leave weight out")
    lists = attributes(columns, _several(groups)) if _several(groups) or attacked is None else {}
    rows, notes = runs(columns, method, seed)
    facts = {"label": pl.Series(found.label) if found else pl.repeat(None, len(rows), dtype=pl.Int64, eager=True)}
    facts |= {f"group of {name}": values.list.join("\x1f") for name, values in lists.items()}
    if unit is not None:
        facts["unit"] = columns.words(unit, "unit")
    if weight is not None:
        facts["weight"] = pl.Series(_weights(columns, weight))
    named = _named(found) if found else pl.repeat("", len(rows), eager=True)
    pairing = pair(columns, rows.with_columns(**{**facts, "label": named}), list(facts), example, split, test_share)
    methods = rows["method"].unique(maintain_order=True).to_list()
    chosen = references(_several(reference), methods, method)
    setting = SettingDesign(
        references=chosen,
        methods=(*chosen, *(name for name in methods if name not in chosen)),
        classes=found.classes if found else (),
        vary=pairing.vary or (attacked is not None and attacked.varies(pairing.example)),
        test_share=pairing.test_share,
        task="" if found else "membership scores as given",
        notes=(*pairing.notes, *notes, *(f"{note[0].upper()}{note[1:]}." for note in (found.notes if found else ()))),
    )
    design = Design(
        settings={SETTING: setting},
        measures=measures,
        margins=margins,
        margin_history=(MarginChange(date=date.today().isoformat(), margins=margins),) if margins else (),
        paired=pairing.paired,
        source=source,
    )
    attribute_columns = {records.ATTRIBUTE + name: values for name, values in lists.items()}
    examples = pl.DataFrame(
        {
            "setting": pl.repeat(SETTING, len(rows), eager=True),
            "example": pairing.example,
            "label": facts["label"],
            "weight": facts.get("weight", pl.repeat(1.0, len(rows), eager=True)),
            "unit": facts.get("unit", pairing.example),
            **attribute_columns,
        }
    ).unique("example", keep="first", maintain_order=True)
    members, scores = scored_tables(rows["trial"], pairing.example, attacked)
    predicted = records.TABLES["predictions"].empty()
    if found is not None:
        predicted = _predictions(rows, pairing.example, found, attacked)
    return Audited(records.validate(examples, "examples"), trials_of(rows, SETTING), predicted, members, scores, design)


def _outcomes(
    columns: Columns,
    label: str | None,
    prediction: str | None,
    probability: tuple[str, ...],
    positive: object | None,
    attacked: Scored | None,
) -> Outcomes | None:
    """Labels and predictions; None where only membership is audited."""
    if label is not None:
        return outcomes(columns, label, prediction, probability, positive)
    if attacked is None:
        raise InputError(
            f"{columns.source}: name the column of labels (label), or those of membership and of an attack's scores "
            "(member and score)"
        )
    if prediction is not None or probability:
        raise InputError(f"{columns.source}: predictions are named and labels are not; name the column of labels too")
    return None


def _measures(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one.name for one in (*select(names, "predictions"), *select(names, "membership"))) if names else ()


def _weights(columns: Columns, name: str) -> np.ndarray:
    weights = columns.numbers(name, "weight")
    if not (weights > 0).all():
        row = first_row(weights <= 0)
        raise InputError(f"{columns.place(name, 'weight')} is {weights[row]:g} in row {row}; weights are above 0")
    return weights


def _margins(margins: Mapping[str, float]) -> dict[str, float]:
    for name, margin in margins.items():
        check_margins([name])
        if not (math.isfinite(margin) and margin > 0):
            raise InputError(f"the margin of {name} is a number above 0, not {margin}")
    return {name: float(margin) for name, margin in margins.items()}


def _named(found: Outcomes) -> pl.Series:
    """Labels as the names of their classes, for messages."""
    return pl.Series(found.label).replace_strict(dict(enumerate(found.classes)), return_dtype=pl.String)


def _predictions(rows: pl.DataFrame, example: pl.Series, found: Outcomes, attacked: Scored | None) -> pl.DataFrame:
    """The table `predictions`; nobody is judged on what its model was trained on."""
    trained = np.zeros(len(rows), dtype=bool) if attacked is None else attacked.member
    split = pl.Series(np.where(trained, "train", "test"))
    frame = rows.select("trial", split=split, example=example, predicted=pl.Series(found.predicted))
    if found.logits is not None:
        logits = pl.Series(found.logits, dtype=pl.Array(pl.Float32, found.logits.shape[1]))
        frame = frame.with_columns(logits=logits)
    return records.validate(frame, "predictions")


def _declared(design: Design, out: Path) -> Design:
    """The design with the margins that earlier audits in this folder declared before."""
    if (out / "study.yaml").exists():
        raise InputError(f"{out} holds a study; choose another folder for the audit")
    if not (out / "design.json").is_file():
        return design
    history = Results.load(out).design.margin_history
    if history and design.margin_history and history[-1].margins == design.margins:
        return design.model_copy(update={"margin_history": history})
    return design.model_copy(update={"margin_history": (*history, *design.margin_history)})


def _provenance(asked: Mapping[str, Any]) -> dict[str, str]:
    import yaml

    given = {key: _plain(value) for key, value in asked.items() if value is not None}
    text = yaml.safe_dump({"audit": given}, sort_keys=False, allow_unicode=True)
    return {"study": text, "date": date.today().isoformat(), "environment": json.dumps(environment())}


def environment() -> dict[str, str]:
    """Versions and machine of an audit, as provenance."""
    packages = ("evenhand", "numpy", "polars", "scipy")
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _plain(value: Any) -> Any:
    """A keyword as YAML can say it."""
    if isinstance(value, Mapping):
        return {str(key): float(number) for key, number in value.items()}
    if isinstance(value, str | bool | int | float):
        return value
    return [str(one) for one in value] if isinstance(value, Sequence) else str(value)


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    return () if names is None else (names,) if isinstance(names, str) else tuple(names)
