"""`evenhand.audit_logs`: audit the logs of an evaluation harness."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Literal, cast, get_args

from evenhand.audit.ingest.harness_logs import inspect_logs, lm_eval
from evenhand.audit.ingest.harness_logs.evaluations import MoreIs
from evenhand.audit.ingest.harness_logs.methods import Reader, runs
from evenhand.audit.ingest.harness_logs.records import LogsRequest, log_records
from evenhand.audit.ingest.margin_history import with_earlier_margins
from evenhand.audit.ingest.table import environment
from evenhand.audit.results import Results
from evenhand.errors import InputError, did_you_mean

Tool = Literal["lm-eval", "inspect"]

READERS: Mapping[str, tuple[str, Reader]] = {
    "lm-eval": (lm_eval.HARNESS, lm_eval.evaluations),
    "inspect": (inspect_logs.HARNESS, inspect_logs.evaluations),
}
"""By tool, what it is called and how its logs are read."""

_BELOW: Mapping[str, str] = {"lm-eval": "doc.", "inspect": "metadata."}
"""What may stand before a field: where the logs keep a document's fields."""

Direction = Literal["worse", "better"]

Paths = str | Path | Sequence[str | Path] | Mapping[str, str | Path | Sequence[str | Path]]


def audit_logs(
    tool: Tool,
    paths: Paths,
    *,
    groups: str | Sequence[str] = (),
    unit: str | None = None,
    reference: str | Sequence[str] | None = None,
    benchmarks: str | Sequence[str] | None = None,
    more_is: Direction | Mapping[str, Direction] | None = None,
    range: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
    margins: Mapping[str, float] | None = None,
    measures: Sequence[str] | None = None,
    comparison: Literal["gap"] | None = None,
    source: str | None = None,
    out: str | Path | None = None,
) -> Results:
    """Audit the logs of lm-evaluation-harness or Inspect; returns estimates and verdicts.

    Every metric that is a mean over documents is audited; its mean is the harness's own number. Other numbers, such as
    a perplexity, are shown without an interval. The package inspect_ai is not needed; `.eval` files are compressed by
    Zstandard, which needs the extra `inspect` before Python 3.14.

    Args:
        tool: `lm-eval`, for what lm-evaluation-harness writes with `--output_path` and `--log_samples`; `inspect`, for
            Inspect's logs (`.eval`, `.json`) and tables of its `samples_df` (Parquet, CSV).
        paths: files or folders; in a mapping the name of the method of each. Without a name, the model's own. Several
            paths of one method are its runs, unless they hold different tasks.
        groups: fields of documents (in Inspect of a sample's metadata) whose values are groups; `meta.kind` is the
            field `kind` in the field `meta`. A list of values means overlapping groups.
        unit: field whose values are clusters of documents that are resampled together, such as a template; else each
            document is its own, with its copies.
        reference: the method or methods that the others are compared with.
        benchmarks: names of tasks; all unless given.
        more_is: what a larger number means, where the logs do not say it; or by metric, whatever they say. Without a
            direction methods are not compared.
        range: the least and the largest possible number of metrics that are no shares; or by metric. Gaps between
            groups have verdicts only where values have a range; values that are all 0 or 1 are shares and have one.
        margins: the largest contrast declared harmless, by measure; `default` serves measures on a 0–1 scale.
        measures: names of measures, `default` or `all`; the defaults unless given.
        comparison: `gap` gives each method's gaps between groups verdicts, too; without a reference they have them.
        source: what the logs are called in the report; the names of the paths unless given.
        out: a folder for the tables and `report.html`.

    Raises:
        InputError: an unknown tool; logs that cannot be read, lack the scores of documents, or are not of the same
            documents; a field that no document has; `out` holds a study.

    Example:
        >>> import evenhand
        >>> evenhand.audit_logs("lm-eval", "results")
        Traceback (most recent call last):
        evenhand.errors.InputError: there is no file or folder results
    """
    if tool not in READERS:
        raise InputError(f'there is no tool "{tool}" whose logs are read; {did_you_mean(tool, READERS)}')
    if comparison not in (None, "gap"):
        raise InputError(f"comparison should be gap, not {comparison!r}")
    named = _named(paths)
    if not named:
        raise InputError(f"name the folder or file of at least one log of {READERS[tool][0]}")
    request = LogsRequest(
        groups=tuple(name.removeprefix(_BELOW[tool]) for name in _several(groups)),
        unit=None if unit is None else unit.removeprefix(_BELOW[tool]),
        reference=_several(reference),
        more_is=_directions(more_is),
        ranges=_ranges(range),
        margins={str(name): float(margin) for name, margin in (margins or {}).items()},
        measures=_several(measures),
        gaps=comparison == "gap",
        source=source or ", ".join(dict.fromkeys(name or path.name or str(path) for name, path in named)),
    )
    found = runs(named, READERS[tool][1], _several(benchmarks))
    logs = log_records(found, tool, request)
    design = logs.design if out is None else with_earlier_margins(logs.design, Path(out))
    tables = {"examples": logs.examples, "trials": logs.trials, "harness": logs.harness}
    results = Results.of_valid(tables, design, _provenance(tool, named, request, found.harness))
    if out is not None:
        results.save(out)
        results.report(Path(out) / "report.html")
    return results


def _named(paths: Paths) -> list[tuple[str | None, Path]]:
    """The paths, each with the name of its method."""
    if isinstance(paths, Mapping):
        return [(str(name), path) for name, several in paths.items() for path in _paths(cast(Paths, several))]
    return [(None, path) for path in _paths(paths)]


def _paths(paths: Any) -> list[Path]:
    several = [paths] if isinstance(paths, str | Path) else paths
    return [Path(path).expanduser() for path in several]


def _directions(more_is: Any) -> dict[str | None, MoreIs]:
    """What a larger number means, by metric; None is any that the logs say nothing of."""
    given: Mapping[Any, Any] = more_is if isinstance(more_is, Mapping) else {}
    if isinstance(more_is, str):
        given = {None: more_is}
    for name, meaning in given.items():
        if meaning not in get_args(Direction):
            raise InputError(f"more is: {name or 'it'} should be worse or better, not {meaning!r}")
    return dict(given)


def _ranges(given: Any) -> dict[str | None, tuple[float, float]]:
    """The range of numbers, by metric; None is any that is no share."""
    found: dict[str | None, tuple[float, float]] = {}
    if given is None:
        return found
    for name, bounds in (given if isinstance(given, Mapping) else {None: given}).items():
        least, most = map(float, bounds)
        if not -math.inf < least < most < math.inf:
            raise InputError(f"range: {name or 'it'} should be a least and a larger number, not {least:g} and {most:g}")
        found[name] = (least, most)
    return found


def _provenance(
    tool: str, named: Sequence[tuple[str | None, Path]], request: LogsRequest, harness: Sequence[str]
) -> dict[str, str]:
    """The audit's arguments, without the folders of this machine, and versions."""
    import yaml

    given: dict[str, Any] = {
        "from": tool,
        "paths": [path.name if name is None else f"{name}={path.name}" for name, path in named],
        "groups": list(request.groups),
        "unit": request.unit,
        "reference": list(request.reference),
        "more_is": {name or "any": meaning for name, meaning in request.more_is.items()},
        "range": {name or "any": list(bounds) for name, bounds in request.ranges.items()},
        "margins": dict(request.margins),
        "measures": list(request.measures),
        "comparison": "gap" if request.gaps else None,
    }
    text = yaml.safe_dump({"audit": {key: value for key, value in given.items() if value}}, sort_keys=False)
    return {
        "study": text,
        "date": date.today().isoformat(),
        "environment": environment(),
        "evaluated by": ", ".join(harness),
    }


def _several(names: str | Sequence[str] | None) -> tuple[str, ...]:
    if names is None:
        return ()
    return (names,) if isinstance(names, str) else tuple(map(str, names))
