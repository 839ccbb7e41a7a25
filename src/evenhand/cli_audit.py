"""Defines `evenhand audit`, the command that audits somebody else's records; it needs no torch."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from evenhand.cli_options import Json, JudgedComparison, Prediction, SplitDesign, margins_of, subgroups_of
from evenhand.cli_output import show


def audit(
    table: Annotated[
        Path, typer.Argument(metavar="TABLE", help="CSV, TSV, Parquet, JSON or JSONL: a row per prediction")
    ],
    label: Annotated[str | None, typer.Option(metavar="COL", help="the true class")] = None,
    group: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="attribute, or NAME=PREFIX_* for boolean columns")
    ] = None,
    prediction: Annotated[str | None, typer.Option(metavar="COL", help="the predicted class")] = None,
    probability: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="probability of the positive class, or one column for each class"),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="VALUE", help="the positive class, when labels are words")
    ] = None,
    favourable: Annotated[
        Prediction | None, typer.Option(help="the prediction that people want; else selection has two-sided verdicts")
    ] = None,
    method: Annotated[
        str | None, typer.Option(metavar="COL", help="the method whose model made the prediction")
    ] = None,
    seed: Annotated[str | None, typer.Option(metavar="COL", help="the training run of the method")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="method that the others are compared with")
    ] = None,
    example: Annotated[
        str | None, typer.Option(metavar="COL", help="id that pairs the rows of methods and seeds")
    ] = None,
    unit: Annotated[str | None, typer.Option(metavar="COL", help="cluster of examples that is resampled whole")] = None,
    weight: Annotated[str | None, typer.Option(metavar="COL", help="weight of an example")] = None,
    margin: Annotated[
        list[str] | None, typer.Option(metavar="MEASURE=X", help="largest contrast declared harmless")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="measures to compute: names, default, or all")
    ] = None,
    comparison: Annotated[
        JudgedComparison | None, typer.Option(help="gap: verdicts on each method's gaps between groups, too")
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="rest|overall|GROUP",
            help="whom groups are compared with: the rest (the default), everybody, or a group (White, race=White)",
        ),
    ] = None,
    split: Annotated[SplitDesign | None, typer.Option(help="one test set for all seeds, or a new one per seed")] = None,
    test_share: Annotated[float | None, typer.Option(help="share of the data in each seed's test set")] = None,
    member: Annotated[
        str | None, typer.Option(metavar="COL", help="whether the row's model was trained on its example")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COL", help="score of a membership attack; higher means more likely a member")
    ] = None,
    subgroups: Annotated[
        str | None,
        typer.Option(
            metavar="depth=N,support=N",
            help="search conjunctions of up to N groups and of at least N units for those that fare worse; cuts of "
            "numeric attributes may follow: age=25:45:65, or age=4 for four classes",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and report.html")] = None,
    as_json: Json = False,
) -> None:
    """Audit a table of predictions, or of membership scores; needs no torch."""
    gc.set_threshold(50_000)  # what imports and tables make is no garbage; looking for some there takes 3% of the time
    from evenhand.audit.ingest.table import audit as audit_table
    from evenhand.audit.ingest.table import read_table

    results = audit_table(
        read_table(table),
        label=label,
        prediction=prediction,
        probability=probability or None,
        groups=group or (),
        positive=positive,
        favourable=None if favourable is None else favourable.value,
        method=method,
        seed=seed,
        reference=reference or None,
        example=example,
        unit=unit,
        weight=weight,
        margins=margins_of(margin or []),
        measures=measure or None,
        comparison=None if comparison is None else comparison.value,
        against=against or None,
        split=None if split is None else split.value,
        test_share=test_share,
        member=member,
        score=score,
        subgroups=subgroups_of(subgroups),
        source=table.name,
    )
    if out is not None:
        results.save(out)
        results.report(out / "report.html")
    show(results, out, as_json)
