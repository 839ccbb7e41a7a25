"""What a study and an audit both end in: records, estimates, verdicts; kept in a folder and read back."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl

from evenhand import records
from evenhand.audit.design import Design
from evenhand.audit.kinds.benchmarks import benchmarked
from evenhand.audit.kinds.membership import leakage
from evenhand.audit.kinds.options import asked
from evenhand.audit.kinds.probes import encoded
from evenhand.audit.kinds.translations import translated
from evenhand.audit.membership.pool import Attack, attacked
from evenhand.audit.tables import audited
from evenhand.errors import InputError, did_you_mean
from evenhand.records import VERDICTS

Format = Literal["html", "md", "json"]

SUFFIXES: Mapping[str, Format] = {".html": "html", ".htm": "html", ".md": "md", ".json": "json"}

TABLES = ("examples", "trials", "estimates", "verdicts", "curves")
"""The tables that lie at the top of every folder of results."""
OF_TRIALS = ("predictions", "responses", "options")
"""Those of which a trial leaves one."""
BESIDES = ("harness", "probes")
"""Those that a trial may leave besides."""
ATTACKED = ("members", "scores")
"""Those that lie there where membership scores were audited."""


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """Frozen; made by `Study.run`, `evenhand.audit`, `Results.compute` or `Results.load`.

    Attributes:
        examples, trials, estimates, verdicts, curves: record tables, see `evenhand.records`.
        design: who was compared with whom, and what was declared harmless.
        provenance: texts: the resolved study or the audit's arguments (`study`), versions and machine as JSON
            (`environment`), and whatever else is to be shown.
        stored: the table `predictions`, or how to read it.
        members, scores: who was trained on what, and what a membership attack says; empty where none was audited.
        generated: the table `responses`, or how to read it; empty where nothing was generated.
        answered: the table `options`, or how to read it; empty where no prompts were asked.
        benchmarks: the table `harness`, or how to read it; empty where no benchmark was scored.
        probed: the table `probes`, or how to read it; empty where nothing was probed.
    """

    examples: pl.DataFrame
    trials: pl.DataFrame
    design: Design
    estimates: pl.DataFrame
    verdicts: pl.DataFrame
    curves: pl.DataFrame
    provenance: Mapping[str, str]
    stored: pl.DataFrame | Callable[[], pl.DataFrame] = field(compare=False)
    members: pl.DataFrame = field(default_factory=records.TABLES["members"].empty)
    scores: pl.DataFrame = field(default_factory=records.TABLES["scores"].empty)
    generated: pl.DataFrame | Callable[[], pl.DataFrame] = field(
        default_factory=records.TABLES["responses"].empty, compare=False
    )
    answered: pl.DataFrame | Callable[[], pl.DataFrame] = field(
        default_factory=records.TABLES["options"].empty, compare=False
    )
    benchmarks: pl.DataFrame | Callable[[], pl.DataFrame] = field(
        default_factory=records.TABLES["harness"].empty, compare=False
    )
    probed: pl.DataFrame | Callable[[], pl.DataFrame] = field(
        default_factory=records.TABLES["probes"].empty, compare=False
    )

    @cached_property
    def responses(self) -> pl.DataFrame:
        """The table `responses`; of loaded results it is read when it is first asked for. Raises: as `predictions`."""
        return self.generated if isinstance(self.generated, pl.DataFrame) else self.generated()

    @cached_property
    def options(self) -> pl.DataFrame:
        """The table `options`; of loaded results it is read when it is first asked for. Raises: as `predictions`."""
        return self.answered if isinstance(self.answered, pl.DataFrame) else self.answered()

    @cached_property
    def harness(self) -> pl.DataFrame:
        """The table `harness`; of loaded results it is read when it is first asked for. Raises: as `predictions`."""
        return self.benchmarks if isinstance(self.benchmarks, pl.DataFrame) else self.benchmarks()

    @cached_property
    def probes(self) -> pl.DataFrame:
        """The table `probes`; of loaded results it is read when it is first asked for. Raises: as `predictions`."""
        return self.probed if isinstance(self.probed, pl.DataFrame) else self.probed()

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """The table `predictions`; of loaded results it is read when it is first asked for.

        Raises:
            InputError: the folder no longer holds the predictions of a trial.
        """
        return self.stored if isinstance(self.stored, pl.DataFrame) else self.stored()

    @classmethod
    def compute(
        cls,
        examples: pl.DataFrame,
        trials: pl.DataFrame,
        predictions: pl.DataFrame,
        design: Design,
        provenance: Mapping[str, str] | None = None,
        members: pl.DataFrame | None = None,
        scores: pl.DataFrame | None = None,
        responses: pl.DataFrame | None = None,
        options: pl.DataFrame | None = None,
        harness: pl.DataFrame | None = None,
        probes: pl.DataFrame | None = None,
    ) -> Self:
        """Audit records: estimates, verdicts and curves, of predictions, of translations, of options, of benchmarks, of
        probes and of membership scores.

        Where no scores are given and a setting's design says how its models are attacked, they are attacked here.

        Raises:
            InputError: records that do not fit each other or the design; an unknown measure, or a margin for one.
        """
        tables = (
            records.validate(examples, "examples"),
            records.validate(trials, "trials"),
            records.validate(predictions, "predictions"),
        )
        settings: Mapping[str, Attack] = {}
        if scores is None and any(setting.membership for setting in design.settings.values()):
            made = attacked(*tables, design)
            members, scores, settings = made.members, made.scores, made.settings
        scored = {
            name: records.TABLES[name].empty() if given is None else records.validate(given, name)
            for name, given in (("members", members), ("scores", scores))
        }
        leaks = leakage(tables[0], tables[1], **scored, design=design, settings=settings)
        found = zip(audited(*tables, design), leaks, strict=True)
        estimates, verdicts, curves = (pl.concat(parts) for parts in found)
        said = records.TABLES["responses"].empty() if responses is None else records.validate(responses, "responses")
        of_texts = translated(tables[0], tables[1], said, design)
        answers = records.TABLES["options"].empty() if options is None else records.validate(options, "options")
        of_options = asked(tables[0], tables[1], answers, design)
        known = records.TABLES["harness"].empty() if harness is None else records.validate(harness, "harness")
        of_benchmarks = benchmarked(tables[1], known, design)
        told = records.TABLES["probes"].empty() if probes is None else records.validate(probes, "probes")
        of_probes = encoded(tables[0], tables[1], told, design)
        estimates = pl.concat([estimates, of_texts[0], of_options[0], of_benchmarks[0], of_probes[0]])
        verdicts = pl.concat([verdicts, of_texts[1], of_options[1], of_benchmarks[1], of_probes[1]])
        return cls(
            examples=tables[0],
            trials=tables[1],
            design=design,
            estimates=estimates,
            verdicts=verdicts,
            curves=curves,
            provenance=dict(provenance or {}),
            stored=tables[2],
            generated=said,
            answered=answers,
            benchmarks=known,
            probed=told,
            **scored,
        )

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a folder that `save` (and so a run or an audit) wrote.

        Raises:
            InputError: there is no such folder, it holds no results, or a table of it does not fit.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        if not (folder / "design.json").is_file():
            if (folder / "study.yaml").is_file():
                raise InputError(f"the study in {folder} has not been run to its end; run it again to continue")
            raise InputError(f"{folder} holds no results: a run or an audit leaves a design.json there")
        tables = {name: records.read(folder / f"{name}.parquet", name) for name in TABLES}
        tables |= {
            name: records.read(folder / f"{name}.parquet", name)
            for name in ATTACKED
            if (folder / f"{name}.parquet").is_file()
        }
        provenance = _read_json(folder / "provenance.json") if (folder / "provenance.json").is_file() else {}
        design = Design.parse(_read_json(folder / "design.json"), str(folder / "design.json"))
        return cls(
            **tables,
            design=design,
            provenance=provenance,
            stored=partial(_gather, folder, "predictions", tables["trials"], tables["estimates"]),
            generated=partial(_gather, folder, "responses", tables["trials"], tables["estimates"]),
            answered=partial(_gather, folder, "options", tables["trials"], tables["estimates"]),
            benchmarks=partial(_gather, folder, "harness", tables["trials"], tables["estimates"]),
            probed=partial(_probes, folder, tables["trials"], design),
        )

    def save(self, folder: str | Path) -> None:
        """Write the tables, `design.json` and `provenance.json`, each whole or not at all.

        Predictions are written to `predictions.parquet`, and responses, options, benchmarks and probes where there are
        some to files of their tables' names, unless the folder holds them by trial, as one of a study does.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file; results are kept in a folder")
        for name in TABLES:
            records.write(getattr(self, name), folder / f"{name}.parquet", name)
        for name in ATTACKED:
            if len(self.scores):
                records.write(getattr(self, name), folder / f"{name}.parquet", name)
            else:
                (folder / f"{name}.parquet").unlink(missing_ok=True)
        if not (folder / "trials").is_dir():
            records.write(self.predictions, folder / "predictions.parquet", "predictions")
            for name in ("responses", "options", *BESIDES):
                if len(getattr(self, name)):
                    records.write(getattr(self, name), folder / f"{name}.parquet", name)
                else:
                    (folder / f"{name}.parquet").unlink(missing_ok=True)
        _write_text(folder / "provenance.json", json.dumps(dict(self.provenance), ensure_ascii=False, indent=1) + "\n")
        # Last: a folder with a design is a folder with all the rest.
        _write_text(folder / "design.json", self.design.model_dump_json(indent=1) + "\n")

    def report(self, path: str | Path, format: Format | None = None) -> None:
        """Write the report as one HTML page, Markdown, or JSON.

        Args:
            path: the file.
            format: unless given, by the file's suffix (.html, .md, .json).

        Raises:
            InputError: a suffix that says no format.
        """
        path = Path(path)
        chosen = format or SUFFIXES.get(path.suffix.lower())
        if chosen is None:
            raise InputError(f"{path} ends in none of {', '.join(SUFFIXES)}; name the format of the report")
        _write_text(path, self._rendered(chosen))

    def figures(self, folder: str | Path, format: str = "png") -> list[Path]:
        """Write the charts of verdicts, group accuracy and disparities as pictures; see `evenhand.report.figures`."""
        from evenhand.report import figures

        return figures.write(self, Path(folder), format)

    def _rendered(self, format: Format) -> str:
        from evenhand.report.markdown import markdown
        from evenhand.report.page import html

        if format == "json":
            return json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        return html(self) if format == "html" else markdown(self)

    def failed(self, fail_on: Iterable[str] = ("worse",)) -> pl.DataFrame:
        """The rows of `verdicts` whose verdict is one of these: empty when the gate is passed.

        Raises:
            InputError: a word that is no verdict, or no verdicts at all: nothing was compared, which is no pass.
        """
        words = list(fail_on)
        for word in words:
            if word not in VERDICTS:
                raise InputError(f'there is no verdict "{word}"; {did_you_mean(word, VERDICTS)}')
        if not words:
            raise InputError(f"name at least one verdict that fails the gate: {', '.join(VERDICTS)}")
        if self.verdicts["verdict"].null_count() == len(self.verdicts):
            raise InputError("nothing was compared, so there is no verdict to pass or fail; name a reference method")
        return self.verdicts.filter(pl.col("verdict").is_in(words))

    def to_json(self) -> dict[str, Any]:
        """Everything but examples and predictions as plain values; what is not finite is None."""
        from evenhand.report.headline import headline

        return {
            "source": self.design.source,
            "headline": headline(self),
            "design": self.design.model_dump(mode="json"),
            "verdicts": _rows(self.verdicts),
            "estimates": _rows(self.estimates),
            "curves": _rows(self.curves),
            "trials": _rows(self.trials),
            "provenance": dict(self.provenance),
        }

    def summary(self) -> str:
        """The headline, notes about the data, and the verdicts that matter first, as plain text for a terminal."""
        from evenhand.report.terminal import text

        return text(self)

    def __repr__(self) -> str:
        from evenhand.report.wording import counts, trained

        of = f" of {self.design.source}" if self.design.source else ""
        size = f"{', '.join(trained(self.trials))}, {len(self.examples):,} examples"
        found = ", ".join(f"{count} {verdict}" for verdict, count in counts(self.verdicts).items())
        return f"<Results{of}: {size}; verdicts: {found or 'none'}>"


def environment() -> dict[str, str]:
    """Versions and machine of an audit, as provenance."""
    packages = ("evenhand", "numpy", "polars", "scipy")
    return {
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in packages},
        "machine": platform.machine(),
        "system": platform.system(),
    }


def _gather(folder: Path, table: str, trials: pl.DataFrame, estimates: pl.DataFrame) -> pl.DataFrame:
    """The predictions, responses, options or benchmarks of a folder: one table, or one per trial with the splits that
    were audited.

    A study of which every setting is of one kind has no file of another kind, and benchmarks may be scored or not.
    """
    if (folder / f"{table}.parquet").is_file():
        return records.read(folder / f"{table}.parquet", table)
    done = trials.filter(status="done")["trial"].unique(maintain_order=True)
    places = [folder / "trials" / trial for trial in done]
    others = [other for other in OF_TRIALS if other != table]
    paths = [
        place / f"{table}.parquet"
        for place in places
        if table not in BESIDES or (place / f"{table}.parquet").is_file()
        if table in BESIDES or not any((place / f"{other}.parquet").is_file() for other in others)
    ]
    if not (folder / "trials").is_dir() and table != "predictions":
        paths = []
    splits = [*estimates["split"].unique(), "train", "validation"]
    frames = [records.read(path, table) for path in paths]
    frames = [frame.filter(pl.col("split").is_in(splits)) if "split" in frame.columns else frame for frame in frames]
    if table == "predictions":
        return records.stacked(frames)
    return pl.concat([records.TABLES[table].empty(), *frames])


def _probes(folder: Path, trials: pl.DataFrame, design: Design) -> pl.DataFrame:
    """The probes of a folder: one table, or one per trial of the settings that are probed; others may hold some of an
    earlier study."""
    if (folder / "probes.parquet").is_file():
        return records.read(folder / "probes.parquet", "probes")
    probed = [name for name, setting in design.settings.items() if setting.probed is not None]
    done = trials.filter(pl.col("setting").is_in(probed), status="done", role="study")["trial"]
    paths = [folder / "trials" / trial / "probes.parquet" for trial in done.unique(maintain_order=True)]
    return pl.concat([records.TABLES["probes"].empty(), *(records.read(path, "probes") for path in paths)])


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values."""
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in frame.iter_rows(named=True)
    ]


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not readable JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no JSON object")
    return found


def _write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
