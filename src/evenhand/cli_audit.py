"""Defines `evenhand audit`, the command that audits somebody else's records; it needs no torch."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Annotated

import typer

from evenhand.cli_logs import OF_BOTH, OF_LOGS, audit_logs, one_table, refuse_others
from evenhand.cli_options import (
    Json,
    JudgedComparison,
    Prediction,
    SplitDesign,
    Task,
    Tool,
    named_folder,
    named_path,
)
from evenhand.cli_output import show
from evenhand.cli_values import margins_of, subgroups_of, words_of
from evenhand.errors import InputError


def audit(
    context: typer.Context,
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE|[NAME=]LOG…",
            parser=named_folder,
            help="a CSV, TSV, Parquet, Arrow, JSON or JSONL file with a row per prediction or value; with --from, logs "
            "or folders of logs, each of a method",
        ),
    ],
    tool: Annotated[
        Tool | None, typer.Option("--from", help="audit the logs of lm-evaluation-harness or of Inspect")
    ] = None,
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
    thresholds: Annotated[
        bool, typer.Option("--thresholds", help="rates of groups at every threshold on the probability, too")
    ] = False,
    split: Annotated[SplitDesign | None, typer.Option(help="one test set for all seeds, or a new one per seed")] = None,
    test_share: Annotated[float | None, typer.Option(help="share of the data in each seed's test set")] = None,
    member: Annotated[
        str | None, typer.Option(metavar="COL", help="whether the row's model was trained on its example")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COL", help="score of a membership attack; higher means more likely a member")
    ] = None,
    benchmark: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="of logs: which tasks; all unless given")
    ] = None,
    task: Annotated[Task, typer.Option(help="regression: label and prediction are numbers")] = Task.classification,
    value: Annotated[
        list[str] | None, typer.Option(metavar="COL", help="a number for each row, such as a toxicity or a grade")
    ] = None,
    more_is: Annotated[
        list[str] | None,
        typer.Option(metavar="[COL=]worse|better", help="what a larger value means; else verdicts are two-sided"),
    ] = None,
    range_: Annotated[
        tuple[float, float] | None,
        typer.Option("--range", metavar="LO HI", help="the least and the largest possible value, label and prediction"),
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(metavar="[COL=]log|rank", help="compare logarithms of values, or their ranks; else their means"),
    ] = None,
    subgroups: Annotated[
        str | None,
        typer.Option(
            metavar="depth=N,support=N",
            help="search conjunctions of up to N groups and of at least N units for those that fare worse; cuts of "
            "numeric attributes may follow: age=25:45:65, or age=4 for four classes",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", parser=named_path, help="folder for the tables and report.html")
    ] = None,
    as_json: Json = False,
) -> None:
    """Audit a table of predictions, values or membership scores, or logs of an evaluation harness; needs no torch."""
    gc.set_threshold(50_000)  # what imports and tables make is no garbage; looking for some there takes 3% of the time
    if tool is not None:
        refuse_others(context, OF_BOTH | OF_LOGS, f"is an option for tables; it means nothing with --from {tool.value}")
        return audit_logs(
            tool,
            paths,
            group=group or (),
            unit=unit,
            reference=reference or (),
            benchmark=benchmark or (),
            more_is=more_is or (),
            range=range_,
            margin=margin or (),
            measure=measure or (),
            comparison=None if comparison is None else comparison.value,
            out=out,
            as_json=as_json,
        )
    if benchmark:
        raise InputError("--benchmark is an option for logs; say with --from which tool wrote them")
    table = one_table(paths)
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
        thresholds=thresholds,
        split=None if split is None else split.value,
        test_share=test_share,
        member=member,
        score=score,
        task=task.value,
        value=value or None,
        more_is=words_of(more_is or []),
        range=range_,
        scale=words_of(scale or []),
        subgroups=subgroups_of(subgroups),
        source=table.name,
        out=out,
    )
    show(results, out, as_json)
    return None
