"""Defines the arguments and options that several commands share, and turns their values into objects."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Executor(StrEnum):
    """The values of `--executor`."""

    serial = "serial"
    ray = "ray"
    slurm = "slurm"


class Format(StrEnum):
    """The values of `--format`."""

    html = "html"
    md = "md"
    latex = "latex"
    card = "card"
    json = "json"
    png = "png"
    svg = "svg"
    pdf = "pdf"


class Listing(StrEnum):
    """The things that `evenhand list` can list."""

    tasks = "tasks"
    methods = "methods"
    measures = "measures"
    scorers = "scorers"
    presets = "presets"


class Prediction(StrEnum):
    """The values of `--favourable`."""

    positive = "positive"
    negative = "negative"


class JudgedComparison(StrEnum):
    """The values of `--comparison`."""

    gap = "gap"


class Tool(StrEnum):
    """The values of `--from`."""

    lm_eval = "lm-eval"
    inspect = "inspect"


class Task(StrEnum):
    """The values of `--task` of an audit."""

    classification = "classification"
    regression = "regression"


class SplitDesign(StrEnum):
    """The values of `--split`."""

    fixed = "fixed"
    varying = "varying"


def _print_version(asked: bool) -> None:
    if asked:
        import evenhand

        print(f"evenhand {evenhand.__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
]
Study_ = Annotated[str, typer.Argument(metavar="STUDY", help="a YAML file or the name of a preset")]


def named_path(text: str) -> Path:
    """Return the path that an option names; an empty one, as of an unset variable, is refused."""
    if not text.strip():
        raise typer.BadParameter("the path is empty; name a file or a folder")
    if "://" in text:
        raise typer.BadParameter(f"{text} is a URL; name a file or a folder of this machine")
    return Path(text)


def named_folder(text: str) -> str:
    """Return the folder or URL that an option names; an empty one is refused."""
    if "://" not in text:
        named_path(text)
    return text


_OUT = typer.Option(
    "--out",
    metavar="DIR",
    parser=named_folder,
    help="folder of the study, or a URL (s3://…); running again continues it",
)
Out = Annotated[str | None, _OUT]
OutOrDefault = Annotated[str, _OUT]
Planned = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="DIR",
        parser=named_folder,
        help="folder of the study, or a URL: trials that are complete in it are not counted",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", parser=named_path, help="folder that holds one folder for each data set"),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a key of the study, such as seeds=3")
]
Tiny = Annotated[bool, typer.Option("--tiny", help="use tiny models and small stand-in data, to check that it runs")]
Cluster = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="option of the executor's cluster, such as address=auto (ray) or partition=gpu (slurm)",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="one JSON object on standard output, everything else on standard error")
]
Accuracy = Annotated[
    float,
    typer.Option(
        min=0.01, max=0.99, help="accuracy expected of the methods; the smallest detectable harm depends on it"
    ),
]
Calibrate = Annotated[
    bool,
    typer.Option(
        help="time a few steps of each method, to predict seconds, memory and disk; --no-calibrate lists the "
        "trials at once, without these predictions"
    ),
]
On = Annotated[
    str | None,
    typer.Option(
        metavar="COUNTxNAME",
        help="predict wall time and cost on such machines, as 8xH100, by arithmetic; nothing is timed here",
    ),
]
Price = Annotated[float | None, typer.Option(metavar="USD", min=0, help="with --on: USD per hour of one accelerator")]
Folder = Annotated[
    str,
    typer.Argument(metavar="DIR", parser=named_folder, help="a folder or URL that `run` or `audit` wrote to"),
]
