"""`evenhand.audit`: audit any table of labels and predictions, of values, or of membership scores."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

import polars as pl

from evenhand.audit.ingest.margin_history import with_earlier_margins
from evenhand.audit.ingest.table_records import TableRequest, records_from_table
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.plugins import versions
from evenhand.tables.files import read_file


def read_table(path: str | Path) -> pl.DataFrame:
    """The rows of a file; see `evenhand.tables.files.read_file`."""
    return read_file(Path(path).expanduser())


def audit(
    frame: Any,
    *,
    label: str | None = None,
    groups: str | Sequence[str] = (),
    prediction: str | None = None,
    probability: str | Sequence[str] | None = None,
    positive: object | None = None,
    favourable: Literal["positive", "negative"] | None = None,
    method: str | None = None,
    seed: str | None = None,
    reference: str | Sequence[str] | None = None,
    example: str | None = None,
    unit: str | None = None,
    weight: str | None = None,
    margins: Mapping[str, float] | None = None,
    measures: Sequence[str] | None = None,
    comparison: Literal["gap"] | None = None,
    against: str | Sequence[str] | None = None,
    thresholds: bool = False,
    split: Literal["fixed", "varying"] | None = None,
    test_share: float | None = None,
    member: str | None = None,
    score: str | None = None,
    task: Literal["classification", "regression"] = "classification",
    value: str | Sequence[str] | None = None,
    more_is: str | Mapping[str, str] | None = None,
    range: Sequence[float] | Mapping[str, Sequence[float]] | None = None,
    scale: str | Mapping[str, str] | None = None,
    subgroups: Mapping[str, Any] | None = None,
    source: str = "table",
    out: str | Path | None = None,
) -> Results:
    """Audit a table of predictions, values or membership scores; returns estimates and verdicts.

    The models may come from anywhere: only the table is read.

    Args:
        frame: any dataframe that narwhals reads (pandas ones need pyarrow beside them), or the path of a file, with a
            row per prediction, or per attacked example of a model.
        label: column of true classes: 0 and 1, false and true, words, or whole numbers; of true numbers where the task
            is regression. None: only values or membership are audited.
        groups: columns of groups. One value per row; a list per row (groups overlap); or `NAME=PREFIX_*`, columns of
            true and false that are each a group. A missing value is the group `(missing)`. For
            membership there may be none.
        prediction: column of predicted classes, or numbers. Without one the more probable class is the prediction (of
            two equal ones the first).
        probability: column of the positive class's probability; or one per class, whose names settle the class: see
            `class_columns.match`.
        positive: the positive one of two classes, when they are not 0 and 1, −1 and 1, or false and true.
        favourable: the prediction that people want, the `positive` (to be hired) or the `negative` one (not to be
            flagged), so that a lower or a higher selection rate is worse; else verdicts on it are two-sided.
        method: column that names the model of a row; without it all rows are of one method.
        seed: column that numbers the runs of a method (or names them: they are numbered in sorted order); else 0.
        reference: the method or methods that the others are compared with.
        example: column of ids that pairs rows of methods and seeds; without it see `audit.pairing`.
        unit: column of clusters of examples that are resampled together; else each example is its own.
        weight: column of examples' weights, above 0; else 1.
        margins: the largest contrast declared harmless, by measure; `default` serves measures on a 0–1 scale.
        measures: names of measures, `default` or `all`; the defaults unless given.
        comparison: `gap` gives each method's gaps between groups verdicts, too; without a reference they have them.
        against: whom each group is compared with: the `rest` (everybody else; the default), `overall` (everybody), or
            one group of its attribute, by name or as ATTRIBUTE=GROUP; several for several attributes. An attribute
            without that group is compared with the rest, and a note says so.
        thresholds: compute the rates of groups at every threshold on the probability of the positive class, too: the
            table `curves` and a section of the report.
        split: whether seeds share one test set; else inferred and noted.
        test_share: the share of the data that a seed's test set is; else inferred where it can be, and noted.
        member: column that says whether the row's model was trained on its example. Predictions are then audited on
            the others only.
        score: column of what a membership attack says of the row, on one scale for all models: more is more
            member-like.
        task: `regression` where label and prediction are numbers, such as a price or stars; else they are classes.
        value: column of a number for each row, such as a toxicity, a grade or an error; several are audited each by
            itself. A missing number is left out, and counted. The column is a measure of its own name. One that holds 0
            and 1 only is a share.
        more_is: what a larger value means, `worse`, `better` or `neither` (verdicts are then two-sided; the default);
            for all columns of values, or by column.
        range: the least and the largest possible value, for all columns, or by column; of a regression those of label
            and prediction. With it, gaps in skewed values have intervals that are promised to cover.
        scale: on which values are compared: `identity` (means of the values; the default), `log` (of their logarithms)
            or `rank` (how often a value of a group is larger than one of the rest); for all columns, or by column.
        subgroups: search the conjunctions of groups for those that fare worse: `depth`, the most groups of one (3),
            `support`, the fewest units of one (50), and `cuts`, by numeric attribute the number of classes or their
            upper ends (four of about equal size). An empty mapping takes the defaults.
        source: what the table is called in the report; the name of its file where a path is given.
        out: a folder for the tables and `report.html`; margins that differ from those of an earlier audit there are
            kept with their dates.

    Raises:
        InputError: the table cannot be audited as asked, or `out` holds a study.

    Example:
        >>> import evenhand
        >>> import polars as pl
        >>> columns = {"label": [1, 1, 0, 0] * 2, "guess": [1, 1, 0, 0, 1, 0, 0, 1], "group": ["a"] * 4 + ["b"] * 4}
        >>> results = evenhand.audit(pl.DataFrame(columns), label="label", prediction="guess", groups="group")
        >>> levels = results.estimates.filter(pl.col("comparison").is_null())
        >>> rows = levels.filter(measure="accuracy", seed=0).sort("group")
        >>> rows.select("group", "value").rows()
        [(None, 0.75), ('a', 1.0), ('b', 0.5)]
    """
    if isinstance(frame, str | Path):
        source = Path(frame).name if source == "table" else source
        frame = read_table(frame)
    request = TableRequest(
        label=label,
        prediction=prediction,
        probability=probability,
        groups=groups,
        positive=positive,
        favourable=favourable,
        method=method,
        seed=seed,
        reference=reference,
        example=example,
        unit=unit,
        weight=weight,
        margins=margins,
        measures=measures,
        comparison=comparison,
        against=against,
        thresholds=thresholds,
        split=split,
        test_share=test_share,
        member=member,
        score=score,
        task=task,
        value=value,
        more_is=more_is,
        range=range,
        scale=scale,
        subgroups=subgroups,
        source=source,
    )
    if out is not None and not str(out).strip():
        raise InputError(f"{source}: the folder (out) has no name; name one, or leave out away")
    if "://" in str(out):
        raise InputError(f"{source}: {out} is a URL; name a folder of this machine (out)")
    table = records_from_table(frame, request)
    del frame  # a table that nobody else holds takes no memory while its records are audited
    design = table.design if out is None else with_earlier_margins(table.design, Path(out))
    names = ("examples", "trials", "predictions", "values", "members", "scores")
    results = Results.of_valid({name: getattr(table, name) for name in names}, design, _provenance(request))
    if out is not None:
        results.save(out)
        results.report(Path(out) / "report.html")
    return results


def _provenance(request: TableRequest) -> dict[str, str]:
    import yaml

    keywords = {
        key: _written(value) for key, value in vars(request).items() if value is not None and value is not False
    }
    text = yaml.safe_dump({"audit": keywords}, sort_keys=False, allow_unicode=True)
    return {"study": text, "date": date.today().isoformat(), "environment": environment()}


@cache
def environment() -> str:
    """Versions and machine of an audit, as JSON; they do not change while a process runs."""
    packages = ("evenhand", "numpy", "polars", "scipy")
    return json.dumps(
        {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in packages},
            **versions("measures"),
            "machine": platform.machine(),
            "system": platform.system(),
        }
    )


def _written(value: Any) -> Any:
    """A keyword's value in types that YAML has."""
    if isinstance(value, Mapping):
        return {str(key): float(of) if isinstance(of, int | float) else _written(of) for key, of in value.items()}
    if isinstance(value, str | bool | int | float):
        return value
    return [str(entry) for entry in value] if isinstance(value, Sequence) else str(value)
