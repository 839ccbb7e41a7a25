"""The command line: one command per verb, no logic of its own. Heavy rooms are imported inside the commands."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from evenhand.cli_options import (
    Data,
    Executor,
    Folder,
    Format,
    Json,
    Listing,
    Out,
    Set,
    SplitDesign,
    Study_,
    Tiny,
    listed,
    margins_of,
    study_of,
)
from evenhand.errors import InputError
from evenhand.training.launch import place

app = typer.Typer(
    name="evenhand",
    help="Does this way of fine-tuning treat some people worse than that way, and would this study have noticed?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
"""What a machine refuses, rather than what is wrong in the program."""

_TRAINING = (
    "accelerate",
    "datasets",
    "huggingface_hub",
    "peft",
    "PIL",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)
"""What the extra `train` brings, and an install for audits lacks."""


@app.command()
def demo(out: Out = Path("runs/demo"), as_json: Json = False) -> None:
    """Run the built-in study on drawn faces, on the CPU."""
    if not place().main:
        return _follow()
    from evenhand.study.presets import read_preset
    from evenhand.study.spec import StudySpec

    return _run(StudySpec(**read_preset("demo")), out or Path("runs/demo"), None, "serial", as_json, "demo")


@app.command()
def run(
    study: Study_,
    out: Out = None,
    data: Data = None,
    changes: Set = None,
    tiny: Tiny = False,
    replicas: Annotated[
        str | None, typer.Option(metavar="auto|K", help="trials trained together in one process")
    ] = None,
    executor: Annotated[Executor, typer.Option(help="who runs the trials")] = Executor.serial,
    as_json: Json = False,
) -> None:
    """Train what is missing, audit, write the report.

    Running the same command again continues: complete trials are kept."""
    if not place().main:
        return _follow()
    changes = [*(changes or []), *([] if replicas is None else [f"train.replicas={replicas}"])]
    spec, name, out, data = study_of(study, changes, tiny, data, out)
    return _run(spec, out, data, executor.value, as_json, name)


@app.command()
def plan(
    study: Study_,
    out: Out = None,
    data: Data = None,
    changes: Set = None,
    tiny: Tiny = False,
    accuracy: Annotated[
        float, typer.Option(min=0.01, max=0.99, help="expected, for the smallest harm that could be detected")
    ] = 0.8,
    calibrate: Annotated[
        bool, typer.Option(help="take a few steps of each method, to predict seconds, memory and disk")
    ] = True,
    as_json: Json = False,
) -> None:
    """List the trials of a study, what they will cost, and the smallest harm that it could detect.

    Nothing is trained: the few steps that are timed are thrown away."""
    from evenhand.study.cost import forecast
    from evenhand.study.foresight import foresee, foresee_leaks, told, told_of_leaks
    from evenhand.study.plan import plan as expand

    spec, _, out, data = study_of(study, changes or [], tiny, data, out)
    planned = expand(spec, data)
    expected = forecast(planned, out, calibrate, lambda text: print(text, file=sys.stderr))
    foreseen, leaks = foresee(planned, accuracy), foresee_leaks(planned)
    if as_json:
        harms = {"detectable": [vars(one) for one in foreseen], "detectable_leaks": [vars(one) for one in leaks]}
        return _print_json({**expected.to_json(), "accuracy": accuracy, **harms})
    print("\n".join([*expected.lines(), *told(foreseen, accuracy), *told_of_leaks(leaks)]))
    return None


@app.command()
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
        list[str] | None, typer.Option(metavar="COL", help="of the positive class, or one per class")
    ] = None,
    positive: Annotated[
        str | None, typer.Option(metavar="VALUE", help="the positive class, when labels are words")
    ] = None,
    method: Annotated[str | None, typer.Option(metavar="COL", help="which model made the prediction")] = None,
    seed: Annotated[str | None, typer.Option(metavar="COL", help="which run of the method made it")] = None,
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
    measure: Annotated[list[str] | None, typer.Option(metavar="NAME", help="measures to compute; default: all")] = None,
    split: Annotated[SplitDesign | None, typer.Option(help="one test set for all seeds, or a new one per seed")] = None,
    test_share: Annotated[float | None, typer.Option(help="share of the data that each seed's test set is")] = None,
    member: Annotated[
        str | None, typer.Option(metavar="COL", help="whether the row's model was trained on its example")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COL", help="what a membership attack says; more is more member-like")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the tables and report.html")] = None,
    as_json: Json = False,
) -> None:
    """Audit a table of predictions, or of membership scores; needs no torch."""
    from evenhand.audit.ingest.table import audit as audit_table
    from evenhand.audit.ingest.table import read_table

    results = audit_table(
        read_table(table),
        label=label,
        prediction=prediction,
        probability=probability or None,
        groups=group or (),
        positive=positive,
        method=method,
        seed=seed,
        reference=reference or None,
        example=example,
        unit=unit,
        weight=weight,
        margins=margins_of(margin or []),
        measures=measure or None,
        split=None if split is None else split.value,
        test_share=test_share,
        member=member,
        score=score,
        source=table.name,
    )
    if out is not None:
        results.save(out)
        results.report(out / "report.html")
    _show(results, out, as_json)


@app.command()
def report(
    folder: Folder,
    format: Annotated[
        Format, typer.Option(help="html and md are written into DIR, charts (png, svg, pdf) into DIR/figures")
    ] = Format.html,
    as_json: Json = False,
) -> None:
    """Write the report of a folder again, print it as JSON, or write its charts as pictures."""
    from evenhand.audit.results import Results

    results = Results.load(folder)
    if as_json or format is Format.json:
        return _print_json(results.to_json())
    if format in (Format.png, Format.svg, Format.pdf):
        for picture in results.figures(folder / "figures", format.value):
            print(picture)
        return None
    path = folder / f"report.{format.value}"
    results.report(path)
    print(path)
    return None


@app.command()
def check(
    folder: Folder,
    fail_on: Annotated[str, typer.Option(help="verdicts that fail the gate, separated by commas")] = "worse",
    as_json: Json = False,
) -> None:
    """A gate: exit 1 when a verdict is in --fail-on."""
    from evenhand.audit.results import Results

    results = Results.load(folder)
    failed = results.failed({word.strip() for word in fail_on.split(",") if word.strip()})
    if as_json:
        _print_json({"passed": failed.is_empty(), "failed": failed.to_dicts()})
    else:
        for row in failed.iter_rows(named=True):
            who = (
                " ".join(str(row[key]) for key in ("attribute", "group", "class") if row[key] is not None) or "everyone"
            )
            pair = f"{row['method']} against {row['reference']}"
            where = f"{row['setting'] or 'across settings'}, " if len(results.design.settings) > 1 else ""
            print(f"{row['verdict']}: {pair}, {row['measure']} of {who} ({where}{row['split']})")
        print("passed" if failed.is_empty() else f"failed: {len(failed)} verdicts are among {fail_on}")
    if len(failed):
        raise typer.Exit(1)


@app.command("list")
def list_(what: Annotated[Listing, typer.Argument(help="what to list")], as_json: Json = False) -> None:
    """List tasks, methods, measures or presets."""
    rows = listed(what)
    if as_json:
        return _print_json({what.value: rows})
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        package = f" ({row['package']} {row['version']})" if row.get("package") else ""
        print(f"{row['name']:<{width}}  {row['summary']}{package}")
    return None


def main() -> None:
    """The entry point: bad input is one sentence on standard error and exit 2."""
    try:
        app()
    except InputError as error:
        print(f"evenhand: {error}", file=sys.stderr)
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _TRAINING:
            raise
        missing = error.name.partition(".")[0]
        print(f"evenhand: training needs {missing}; install it with: pip install 'evenhand[train]'", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(f"evenhand: {error.filename or 'the disk'}: {error.strerror}; nothing else was changed", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("evenhand: interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(130)


def _run(spec: Any, out: Path, data: Path | None, executor: str, as_json: bool, name: str) -> None:
    from evenhand.study.progress import Terminal
    from evenhand.study.run import run as run_study

    with Terminal() as watcher:
        results = run_study(spec, out, data, executor=executor, watcher=watcher, source=name)
    _show(results, out, as_json)


def _follow() -> None:
    """What a process of a launch does that is not the main one: it neither reads, writes nor says anything."""
    from evenhand.tasks.following import follow

    follow()


def _show(results: Any, out: Path | None, as_json: bool) -> None:
    if as_json:
        return _print_json(results.to_json())
    print(results.summary())
    if out is not None:
        print(f"\nThe report: {out / 'report.html'}")
    return None


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, default=str, allow_nan=False))
