"""Defines the command line; each command calls one function of the package, imported when it runs."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from evenhand.cli_audit import audit
from evenhand.cli_errors import one_sentence
from evenhand.cli_options import (
    Accuracy,
    Calibrate,
    Cluster,
    Data,
    Executor,
    Folder,
    Format,
    Json,
    Listing,
    On,
    Out,
    OutOrDefault,
    Planned,
    Price,
    Set,
    Study_,
    Tiny,
    Version,
    named_folder,
    named_path,
)
from evenhand.cli_output import loaded, print_json, show
from evenhand.cli_values import cluster_of, folder_of, forecast_of, listed, study_of
from evenhand.errors import InputError
from evenhand.training.launch import this_process


class Commands(TyperGroup):
    """The commands; what is wrong with the value of an option is said without the prefix of the validator."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise


app = typer.Typer(
    name="evenhand",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback()
def evenhand(version: Version = False) -> None:
    """Does this way of fine-tuning treat some people worse than that way, and would this study have noticed?"""


@app.command()
def demo(out: OutOrDefault = "runs/demo", as_json: Json = False) -> None:
    """Run the built-in study on drawn faces, on the CPU."""
    if not this_process().main:
        return _follow()
    from evenhand.study.presets import read_preset
    from evenhand.study.spec import StudySpec

    return _run(StudySpec(**read_preset("demo")), out, None, as_json, "demo")


@app.command()
def run(
    study: Study_,
    out: Out = None,
    data: Data = None,
    changes: Set = None,
    tiny: Tiny = False,
    replicas: Annotated[
        str | None,
        typer.Option(metavar="auto|K", help="number of trials trained together in one process; auto: the fastest"),
    ] = None,
    executor: Annotated[
        Executor, typer.Option(help="where trials are run: in this process, on a Ray or on a Slurm cluster")
    ] = Executor.serial,
    cluster: Cluster = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="train damaged trials again, and those that lacked memory or time")
    ] = False,
    more: Annotated[
        bool, typer.Option("--more", help="train as many more seeds as the undecided verdicts in the folder need")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train the trials that are missing, audit them, and write the report.

    Running the same command again continues: complete trials are kept."""
    if not this_process().main:
        return _follow()
    changes = [*(changes or []), *([] if replicas is None else [f"train.replicas={replicas}"])]
    spec, name, out, data = study_of(study, changes, tiny, data, out)
    options = cluster_of(cluster or [])
    if more:
        from evenhand.study.continuation import with_more_seeds

        with folder_of(out) as local:
            spec = with_more_seeds(spec, local, lambda text: print(text, file=sys.stderr))
    return _run(spec, out, data, as_json, name, executor=executor.value, cluster=options, repair=repair)


@app.command()
def plan(
    study: Study_,
    out: Planned = None,
    data: Data = None,
    changes: Set = None,
    tiny: Tiny = False,
    accuracy: Accuracy = 0.8,
    calibrate: Calibrate = True,
    on: On = None,
    price: Price = None,
    as_json: Json = False,
) -> None:
    """List the trials of a study, their predicted cost, and the smallest harm that the study could detect.

    Nothing is trained: the few steps that are timed are thrown away."""
    from evenhand.study.look_plan import look_lines, planned_looks
    from evenhand.study.power_plan import detectable_effects, detectable_leaks, effect_lines, leak_lines

    spec, _, out, data = study_of(study, changes or [], tiny, data, out)
    planned, expected = forecast_of(spec, data, out, calibrate, on, price)
    effects, leaks, looks = (
        detectable_effects(planned, accuracy),
        detectable_leaks(planned),
        planned_looks(planned, accuracy),
    )
    if as_json:
        harms = {"detectable": [vars(effect) for effect in effects], "detectable_leaks": [vars(leak) for leak in leaks]}
        planned_stops = {"looks": [vars(look) for look in looks]} if looks else {}
        return print_json({**expected.to_json(), "accuracy": accuracy, **harms, **planned_stops})
    lines = [*effect_lines(effects, accuracy), *leak_lines(leaks), *look_lines(looks, accuracy)]
    print("\n".join([*expected.lines(), *lines]))
    return None


app.command()(audit)


@app.command()
def report(
    folder: Folder,
    format: Annotated[
        Format,
        typer.Option(
            help="html, md, latex (report.tex) and card (card.md, a section of a model card) are written into DIR, "
            "charts (png, svg, pdf) into DIR/figures"
        ),
    ] = Format.html,
    as_json: Json = False,
) -> None:
    """Write the report of a folder again, print it as JSON, or write its charts as pictures."""
    pictured = format in (Format.png, Format.svg, Format.pdf)
    with folder_of(folder, changes=not as_json and format is not Format.json) as local:
        results = loaded(local)
        if as_json or format is Format.json:
            return print_json(results.to_json())
        if pictured:
            written = results.figures(local / "figures", format.value)
        else:
            names = {Format.card: "card.md", Format.latex: "report.tex"}
            written = [local / names.get(format, f"report.{format.value}")]
            results.report(written[0], format.value)
    for path in written:
        print(f"{folder.rstrip('/')}/{path.relative_to(local).as_posix()}")
    return None


@app.command()
def check(
    folder: Folder,
    fail_on: Annotated[
        str | None, typer.Option(help="verdicts that fail the gate, separated by commas; default: worse")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="a policy in YAML: verdicts that pass, limits, waivers")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="hold worse to 5% over all families of verdicts together (Holm)")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="PATH", parser=named_path, help="write the answer as JUnit XML as well")
    ] = None,
    as_json: Json = False,
) -> None:
    """Exit 0 if the results of a folder pass a gate, 1 if they fail, 2 if that cannot be decided.

    In a GitHub workflow the answer is also added to the job's summary.
    """
    from evenhand.atomic_files import write_text
    from evenhand.audit.measures import declaring
    from evenhand.audit.policy import Policy, read_policy
    from evenhand.report import gate_answer

    if policy is not None and fail_on is not None:
        raise InputError("give --fail-on or --policy, not both: a policy says itself which verdicts pass")
    words = [word.strip() for word in ("worse" if fail_on is None else fail_on).split(",") if word.strip()]
    if not words:
        raise InputError("--fail-on names no verdict; name those that fail, such as worse, or leave it out")
    asked = Policy.failing_on(words) if policy is None else read_policy(policy)
    with folder_of(folder) as local:
        results = loaded(local)
    answer = results.gate(asked, strict=strict)
    source = results.design.source or folder
    with declaring(results.design):
        if junit is not None:
            write_text(junit, gate_answer.junit(answer, source))
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(gate_answer.markdown(answer, source))
        if as_json:
            print_json(gate_answer.to_json(answer))
        else:
            print("\n".join(gate_answer.lines(answer)))
    if not answer.passed:
        raise typer.Exit(1)


@app.command()
def verify(folder: Folder, as_json: Json = False) -> None:
    """Verify that a folder's files are those that were saved, and that its tables follow from its records.

    Exits 2 where anything differs.
    """
    from evenhand.audit.verification import verify as verified

    with folder_of(folder) as local:
        found = verified(local)
    if as_json:
        print_json({"files": found.files, "rows": found.rows, "differences": found.differences, "notes": found.notes})
    else:
        computed = ", ".join(f"{rows:,} of {name}" for name, rows in found.rows.items())
        notes = [f"note: {note}" for note in found.notes]
        lines = [f"{found.files} files as they were saved; rows computed again: {computed or 'none'}", *notes]
        print("\n".join([*lines, *found.differences]))
    if found.differences:
        places = "1 place" if len(found.differences) == 1 else f"{len(found.differences)} places"
        raise InputError(f"{folder} differs from what was saved in {places}; run it again")


@app.command()
def compare(
    folders: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME=]DIR…", parser=named_folder, help="folders or URLs that `run` or `audit` wrote to"
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", parser=named_path, help="write the comparison as a page")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the results of several folders side by side; differences are tested where they share examples."""
    from evenhand.cli_comparison import compare as compared

    compared(folders, out, as_json)


@app.command()
def view(
    folder: Folder,
    data: Data = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="port on 127.0.0.1; default: a free one")] = 0,
    browser: Annotated[bool, typer.Option("--open/--no-browser", help="open the page in the browser")] = False,
    as_json: Json = False,
) -> None:
    """Serve the report of a folder on this machine, also while its study runs; Ctrl-C ends it."""
    from evenhand.viewing.command import view as serve

    if status := serve(Path(folder), data, port, browser, as_json):
        raise typer.Exit(status)


@app.command("list")
def list_(what: Annotated[Listing, typer.Argument(help="what to list")], as_json: Json = False) -> None:
    """List tasks, methods, measures, scorers of texts, or presets."""
    rows = listed(what)
    if as_json:
        return print_json({what.value: rows})
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        package = f" ({row['package']} {row['version']})" if row.get("package") else ""
        print(f"{row['name']:<{width}}  {row['summary']}{package}")
    return None


def main() -> None:
    """Run the command line. Bad input is one sentence on standard error and exit status 2."""
    # Products and tables here are small: further threads of NumPy's library and of polars mostly wait, and waiting
    # costs processor time. Torch has threads of its own.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    with one_sentence():
        try:
            app()
        finally:
            gc.freeze()  # else the interpreter looks through all objects for garbage before it ends


def _run(spec: Any, out: str, data: Path | None, as_json: bool, name: str, **options: Any) -> None:
    """Run a study in this process and print its summary."""
    from evenhand.study.progress import Terminal
    from evenhand.study.run import run as run_study

    with Terminal() as watcher:
        results = run_study(spec, out, data, watcher=watcher, source=name, **options)
    show(results, out, as_json)


def _follow() -> None:
    """Run a process of a launch that is not the main one; it neither reads, writes nor prints."""
    from evenhand.tasks.workers import worker_loop

    worker_loop()
