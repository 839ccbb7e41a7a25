"""The report as one HTML file that needs no network."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Protocol

import polars as pl

from evenhand.audit.design import Design
from evenhand.audit.measures import of_kind
from evenhand.records import VERDICTS
from evenhand.report import blocks, tables, theme, verdict_tables
from evenhand.report.answers import answer_grids
from evenhand.report.charts import vega_lite_version
from evenhand.report.detectable_harm import loss_grids, noticed
from evenhand.report.forest_plot import patterns
from evenhand.report.harness import harness_grids
from evenhand.report.membership_sentences import going_with, leaking
from evenhand.report.privacy import leak_grids
from evenhand.report.probes import probe_grids
from evenhand.report.summary import markdown
from evenhand.report.translations import translation_grids
from evenhand.report.wording import NONE, headline, seen, trained

__all__ = ["Reportable", "html", "markdown"]

_OPEN = 60
"""Up to this many verdict rows all tables are open."""

_OPEN_CHARTS = 3
"""Blocks of charts that are open in each section; the others are drawn when they are opened."""

_MEANINGS = {
    "equivalent": "the interval lies inside ± margin",
    "worse": "else above 0",
    "better": "else below 0",
    "not worse": "else below the margin",
    "inconclusive": "this study cannot tell",
    theme.UNDECIDED: "shown for comparison only",
}
"""In the order in which a verdict is decided."""

_SECTIONS = (
    ("across", "Across settings"),
    ("verdicts", "Verdicts"),
    ("harm", "Harm that would have been seen"),
    ("membership", "Membership inference"),
    ("translation", "Translations"),
    ("answers", "Answers to prompts"),
    ("benchmarks", "Benchmarks"),
    ("probes", "What representations say"),
    ("accuracy", "Accuracy"),
    ("disparities", "Disparities"),
    ("calibration", "Reliability"),
    ("estimates", "All estimates"),
    ("sizes", "Group sizes"),
    ("trials", "Failed trials"),
    ("training", "Training"),
    ("study", "The study"),
    ("margins", "Margins"),
    ("environment", "Environment"),
    ("reading", "How to read a verdict"),
    ("notes", "Notes"),
)

_OF_PREDICTIONS = ("accuracy", "disparities", "calibration")

_PAIRING = {
    "example": "Methods are compared on the same examples, matched by their ids, seed by seed.",
    "order": "Rows had no ids: methods were matched by the order of rows, where labels and groups agreed.",
    "none": "Methods could not be matched example by example: they are compared as unpaired, with wider intervals.",
}


class Reportable(Protocol):
    """What the report reads of `evenhand.audit.results.Results`."""

    @property
    def examples(self) -> pl.DataFrame: ...
    @property
    def trials(self) -> pl.DataFrame: ...
    @property
    def design(self) -> Design: ...
    @property
    def estimates(self) -> pl.DataFrame: ...
    @property
    def verdicts(self) -> pl.DataFrame: ...
    @property
    def curves(self) -> pl.DataFrame: ...
    @property
    def provenance(self) -> Mapping[str, str]: ...


def html(results: Reportable) -> str:
    """The report: verdicts first, charts of summaries, the study, how to read it.

    The page is one file of about 1 MB for the drawing library and little for the data. Its content security policy
    allows its own two scripts by their hashes and no request at all. Names and notes are escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evenhand.report"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["spec"] = _spec
    environment.filters["json"] = embedded_json
    script, style = _own("page.js"), _own("page.css")
    return environment.get_template("page.html.j2").render(
        **_content(results),
        policy=_policy(bundle(), script),
        bundle=_markup(bundle()),
        script=_markup(script),
        style=_markup(style),
    )


def _content(results: Reportable) -> dict[str, Any]:
    design, verdicts, trials = results.design, results.verdicts, results.trials
    found, across = verdict_tables.verdict_tables(verdicts, design), verdict_tables.across_tables(verdicts, design)
    losses = loss_grids(results.curves, design)
    leaks, predicted = leak_grids(results.estimates, design), _predicted(results.estimates)
    said, answered = translation_grids(results.estimates, design), answer_grids(results.estimates, design)
    scored = harness_grids(results.estimates, design)
    probed = probe_grids(results.estimates, design)
    optional = (
        ("across", across),
        ("harm", losses),
        ("membership", leaks),
        ("translation", said),
        ("answers", answered),
        ("benchmarks", scored),
        ("probes", probed),
    )
    absent = {name for name, there in optional if not there}
    absent |= set() if predicted else set(_OF_PREDICTIONS)
    rows = sum(table.length for table in found)
    given = {
        verdict for table in (*found, *across) for part in table.parts for verdict in (row.verdict for row in part.rows)
    }
    return {
        "title": f"Evenhand: {design.source}" if design.source else "Evenhand: fairness report",
        "facts": _facts(results),
        "warnings": _warnings(results),
        "mixed": results.provenance.get("mixed", ""),
        "headline": [
            *patterns(verdicts, design),
            *headline(verdicts, design),
            *leaking(results.estimates, verdicts, design),
            *noticed(results.curves, design),
        ],
        "sections": [one for one in _SECTIONS if one[0] not in absent],
        "leaks": leaks,
        "leak_lines": [
            (setting, split, going_with(results.estimates, design, setting, split)) for setting, split, _ in leaks
        ],
        "privacy_blocks": blocks.privacy_blocks(results.curves, design),
        "said": said,
        "translation_blocks": blocks.translation_blocks(results.estimates, design),
        "answered": answered,
        "answer_blocks": blocks.answer_blocks(results.estimates, design),
        "scored": scored,
        "harness_blocks": blocks.harness_blocks(results.estimates, design),
        "probed": probed,
        "probe_blocks": blocks.probe_blocks(results.estimates, design),
        "predicted": predicted,
        "across": across,
        "across_blocks": blocks.across_blocks(verdicts, design),
        "tables": found,
        "key": [(verdict, said) for verdict, said in _MEANINGS.items() if verdict in given],
        "glance": verdict_tables.glance(verdicts, design),
        "many": len(found) > 1 or rows > 12,
        "open_tables": rows <= _OPEN,
        "across_open": sum(table.length for table in across) <= _OPEN,
        "opened": _OPEN_CHARTS,
        "places": len(design.settings) > 1 or results.estimates["split"].n_unique() > 1,
        "level": f"{100 * (1 - 2 * design.alpha):g}",
        "tail": f"{100 * design.alpha:g}",
        "verdict_blocks": blocks.verdict_blocks(verdicts, design),
        "losses": losses,
        "harm_blocks": blocks.harm_blocks(results.curves, design),
        "accuracy_blocks": blocks.accuracy_blocks(results.estimates, design),
        "disparity_blocks": blocks.disparity_blocks(results.estimates, design),
        "reliability_blocks": blocks.reliability_blocks(results.curves, design),
        "sparse": len(verdicts.drop_nulls("class")) > 0 and len(verdicts) > blocks.MOST_ROWS,
        "size_blocks": blocks.size_blocks(results.examples, design),
        "estimates": tables.estimate_grids(results.estimates, design),
        "sizes": tables.size_grids(results.examples, design),
        "margined": bool(design.margins) and any(setting.references for setting in design.settings.values()),
        "failed": tables.failed_trials(trials),
        "trials": tables.audited(trials),
        "training": tables.training_grid(trials, design),
        "tried": [*tables.match_grids(trials), *tables.candidate_grids(trials)],
        "tuning": results.provenance.get("tuning", ""),
        "study": results.provenance.get("study", ""),
        "margins": margin_rows(design),
        "environment": tables.provenance_rows(results.provenance),
        "seen": seen(verdicts),
        "detectable": verdict_tables.detectable_grid(verdicts, design),
        "paired": design.paired,
        "notes": _notes(design),
        "absent": tables.absent_rows(results.estimates, design),
        "dash": NONE,
        "verdicts": VERDICTS,
        "config": theme.config(),
    }


def _predicted(estimates: pl.DataFrame) -> bool:
    """Whether predictions were audited, or there is nothing at all."""
    return estimates.is_empty() or estimates["measure"].is_in(of_kind("predictions")).any()


def _facts(results: Reportable) -> list[str]:
    lines = []
    for name, setting in results.design.settings.items():
        parts = [
            f"{name}:",
            f"{setting.task or 'predictions as given'}",
            *([f"on {setting.model}"] if setting.model else []),
            *(f"· {said}" for said in trained(results.trials.filter(setting=name))),
            f"· {results.examples.filter(setting=name).height} examples",
            "· a new split per seed" if setting.vary else "· one fixed split",
        ]
        lines.append(" ".join(parts))
    return lines


def _warnings(results: Reportable) -> list[str]:
    lines = []
    failed = len(tables.failed_trials(results.trials))
    if failed:
        lines.append(f"{failed} of {tables.audited(results.trials)} trials failed; see below for the reasons.")
    if results.design.paired == "none" and len(results.verdicts):
        lines.append(_PAIRING["none"])
    if len(results.design.margin_history) > 1:
        first, last = results.design.margin_history[0].date, results.design.margin_history[-1].date
        lines.append(f"Margins were changed after they were first declared (first {first}, last {last}).")
    return lines


def margin_rows(design: Design) -> list[tuple[str, str]]:
    """(date, margins) of every declaration, oldest first; the margins in force where no date is known."""
    if not design.margin_history:
        return [("not dated", _margins(design.margins))] if design.margins else []
    return [(change.date, _margins(change.margins)) for change in design.margin_history]


def _margins(margins: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in margins.items()) or "none"


def _notes(design: Design) -> list[str]:
    several = len(design.settings) > 1
    own = [
        f"{name}: {note}" if several else note for name, setting in design.settings.items() for note in setting.notes
    ]
    return [
        *own,
        _PAIRING[design.paired],
        f"Groups with fewer than {design.support} test examples in some run are shown, and left out of the largest "
        "minus the smallest.",
        "Estimates have 95% intervals each by itself; verdicts have simultaneous ones.",
    ]


@cache
def bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from vl-convert; it makes `vegaEmbed` known to the page."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=vega_lite_version())


def embedded_json(value: Any) -> Any:
    """JSON that cannot leave its script element, whatever strings it holds: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return _markup(text)


def _spec(chart: Any) -> Any:
    """A chart's specification without the theme, which the page holds once."""
    spec = chart.to_dict(validate=False)
    for key in ("config", "$schema"):
        spec.pop(key, None)
    return embedded_json(spec)


def _policy(*scripts: str) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{found}'" for found in hashes)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"


def _own(name: str) -> str:
    return resources.files("evenhand.report").joinpath("templates", name).read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    import markupsafe

    return markupsafe.Markup(text)
