"""Audits the logs that `evenhand audit --from` names, and refuses options that say nothing about logs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import typer

from evenhand.cli_options import Tool
from evenhand.cli_output import show
from evenhand.cli_values import margins_of, words_of
from evenhand.errors import InputError

OF_BOTH = frozenset({"paths", "group", "unit", "reference", "margin", "measure", "comparison", "out", "as_json"})
"""The parameters of `evenhand audit` that mean something for tables and for logs."""

OF_LOGS = frozenset({"tool", "benchmark", "more_is", "range_"})
"""Those that mean something for logs, too; `benchmark` for nothing else."""


def audit_logs(
    tool: Tool,
    paths: Sequence[str],
    *,
    group: Sequence[str],
    unit: str | None,
    reference: Sequence[str],
    benchmark: Sequence[str],
    more_is: Sequence[str],
    range: tuple[float, float] | None,
    margin: Sequence[str],
    measure: Sequence[str],
    comparison: Literal["gap"] | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Audit logs and print the results; each path may have the name of its method before it: `lora=runs/lora`."""
    from evenhand.audit.ingest.harness_logs.audit import audit_logs as audited

    results = audited(
        tool.value,
        _named(paths),
        groups=group,
        unit=unit,
        reference=reference or None,
        benchmarks=benchmark or None,
        more_is=words_of(more_is, "metric", "METRIC", "length=worse"),
        range=range,
        margins=margins_of(list(margin)),
        measures=measure or None,
        comparison=comparison,
        out=out,
    )
    show(results, out, as_json)


def one_table(paths: Sequence[str]) -> Path:
    """The path of a table. Raises InputError for several, or for a folder, which may be one of logs."""
    if len(paths) > 1:
        raise InputError(
            f"{paths[0]} and {paths[1]}: an audit is of one table, which may hold several methods; logs of a harness "
            "are audited with --from lm-eval or --from inspect"
        )
    table = Path(paths[0])
    if table.is_dir() or table.suffix == ".eval":
        raise InputError(f"{table} is no table; logs of a harness are audited with --from lm-eval or --from inspect")
    return table


def refuse_others(context: typer.Context, allowed: frozenset[str], why: str) -> None:
    """Raise InputError for an option that was given and is not among those allowed; `why` ends the sentence."""
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in allowed and str(getattr(context.get_parameter_source(name), "name", "")) == "COMMANDLINE":
            raise InputError(f"{max(parameter.opts, key=len)} {why}")


def _named(paths: Sequence[str]) -> dict[str, list[str]] | list[str]:
    """The paths by the names of their methods, or as they are if none has a name.

    A path that exists as it is has none.
    """
    named: dict[str, list[str]] = {}
    bare = []
    for given in paths:
        name, separator, where = given.partition("=")
        if not separator or Path(given).exists():
            bare.append(given)
        elif not name or not where:
            raise InputError(f"{given!r} should be a path, or NAME=PATH")
        else:
            named.setdefault(name, []).append(where)
    if named and bare:
        raise InputError(f"{bare[0]} has no name and other paths have one; name all, as in NAME={bare[0]}, or none")
    return named or bare
