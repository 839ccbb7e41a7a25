"""`evenhand.Results`: the records, estimates and verdicts of a study or an audit, in memory or in a folder."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, cast, get_args

import polars as pl

from evenhand import records
from evenhand.atomic_files import write_text
from evenhand.audit import results_folder
from evenhand.audit.computation import audited_tables
from evenhand.audit.design import Design
from evenhand.audit.gate import Answer, judge
from evenhand.audit.measures import declaring
from evenhand.audit.policy import Policy, read_policy
from evenhand.audit.record_tables import RECORDS, RecordTables
from evenhand.audit.strictness import undirected
from evenhand.errors import InputError, did_you_mean
from evenhand.visible_text import visible

if TYPE_CHECKING:
    from evenhand.report.vega import Chart

Format = Literal["html", "md", "json", "latex", "card"]

SUFFIXES: Mapping[str, Format] = {".html": "html", ".htm": "html", ".md": "md", ".json": "json", ".tex": "latex"}


Method = TypeVar("Method", bound=Callable[..., Any])


def _knowing_its_measures(method: Method) -> Method:
    """Make the measures that the design of `Results` declares known while a method of theirs runs."""

    @wraps(method)
    def known_inside(self: Results, *args: Any, **kwargs: Any) -> Any:
        with declaring(self.design):
            return method(self, *args, **kwargs)

    return cast(Method, known_inside)


@dataclass(frozen=True, eq=False, repr=False)
class Results:
    """Records, estimates and verdicts of a study or an audit, with the report that can be written of them.

    Frozen; made by `Study.run`, `evenhand.audit`, `Results.compute` or `Results.load`.

    Attributes:
        tables: the record tables by name, see `evenhand.records`; those of loaded results are read when they are first
            asked for. Each is also an attribute: `results.verdicts` is `results.tables["verdicts"]`.
        design: who was compared with whom, and what was declared harmless.
        provenance: texts: the resolved study or the audit's arguments (`study`), versions and machine as JSON
            (`environment`), and whatever else is to be shown.
        version: of the audit that made the estimates and verdicts; loaded results may be of an older one.

    Example:
        >>> import evenhand
        >>> import polars as pl
        >>> frame = pl.DataFrame({"label": [1, 1, 0, 0], "guess": [1, 1, 0, 1], "group": ["a", "b", "a", "b"]})
        >>> results = evenhand.audit(frame, label="label", prediction="guess", groups="group", source="four rows")
        >>> results
        <Results of four rows: 1 model, 4 examples; verdicts: 5 inconclusive>
        >>> accuracy = results.estimates.filter(measure="accuracy", group="b", seed=0)
        >>> accuracy.select("comparison", "value").rows()  # the level, and its gap to the rest
        [(None, 0.5), ('gap', -0.5)]
    """

    tables: RecordTables
    design: Design
    provenance: Mapping[str, str]
    version: int = results_folder.AUDIT

    @property
    def examples(self) -> pl.DataFrame:
        """The examples that were tested: labels, groups, weights and units."""
        return self.tables["examples"]

    @property
    def trials(self) -> pl.DataFrame:
        """The runs of every method, done or failed."""
        return self.tables["trials"]

    @property
    def estimates(self) -> pl.DataFrame:
        """Every measure's value by method, run and group, with its interval."""
        return self.tables["estimates"]

    @property
    def verdicts(self) -> pl.DataFrame:
        """Every method's contrast with its references, and the verdict."""
        return self.tables["verdicts"]

    @property
    def curves(self) -> pl.DataFrame:
        """The points of reliability diagrams, ROC curves and power curves."""
        return self.tables["curves"]

    @property
    def looks(self) -> pl.DataFrame:
        """What each look at a study that adds seeds until it is decided said; empty for other studies."""
        return self.tables["looks"]

    @property
    def findings(self) -> pl.DataFrame:
        """The subgroups that fare worst, where conjunctions of groups were searched; else empty."""
        return self.tables["findings"]

    @property
    def predictions(self) -> pl.DataFrame:
        """Predicted classes. Raises InputError where the folder no longer holds those of a trial, as all below do."""
        return self.tables["predictions"]

    @property
    def responses(self) -> pl.DataFrame:
        """Generated texts; empty where nothing was generated."""
        return self.tables["responses"]

    @property
    def options(self) -> pl.DataFrame:
        """Answers to prompts, option by option; empty where no prompts were asked."""
        return self.tables["options"]

    @property
    def harness(self) -> pl.DataFrame:
        """Scores of benchmarks; empty where no benchmark was scored."""
        return self.tables["harness"]

    @property
    def probes(self) -> pl.DataFrame:
        """Answers of linear probes; empty where nothing was probed."""
        return self.tables["probes"]

    @property
    def values(self) -> pl.DataFrame:
        """Numbers by example, such as a toxicity or a grade; empty where there are none."""
        return self.tables["values"]

    @property
    def tokens(self) -> pl.DataFrame:
        """What language models of a pool say of each token of a text; empty where no membership was audited so."""
        return self.tables["tokens"]

    @property
    def members(self) -> pl.DataFrame:
        """Membership of examples in trials' training sets; empty where membership was not audited."""
        return self.tables["members"]

    @property
    def scores(self) -> pl.DataFrame:
        """The scores of a membership attack; empty where membership was not audited."""
        return self.tables["scores"]

    @classmethod
    def compute(
        cls,
        examples: pl.DataFrame,
        trials: pl.DataFrame,
        predictions: pl.DataFrame,
        design: Design,
        provenance: Mapping[str, str] | None = None,
        **others: pl.DataFrame | None,
    ) -> Self:
        """Audit records of every kind: their estimates, verdicts and curves.

        Where no scores are given and a setting's design says how its models are attacked, they are attacked here.

        Args:
            examples, trials, predictions: record tables.
            design: who is compared with whom, and what was declared harmless.
            provenance: see the class.
            others: further record tables by name: `members` and `scores`, `responses`, `options`, `harness`, `probes`,
                `values`.
                None is a table without rows.

        Raises:
            InputError: records that do not fit each other or the design; an unknown table or measure, or a margin for
                an unknown measure.
        """
        given = {"examples": examples, "trials": trials, "predictions": predictions, **others}
        for name in given:
            if name not in RECORDS:
                raise InputError(f'there is no table "{name}" to audit; {did_you_mean(name, RECORDS)}')
        tables = {name: records.validate(table, name) for name, table in given.items() if table is not None}
        return cls.of_valid(tables, design, provenance)

    @classmethod
    def of_valid(
        cls, tables: Mapping[str, pl.DataFrame], design: Design, provenance: Mapping[str, str] | None = None
    ) -> Self:
        """As `compute`, for tables that are known to be valid, as from `records.read` and `records.validate`.

        Args:
            tables: record tables by name; missing tables have no rows.
            design, provenance: see `compute`.

        Raises:
            InputError: records that do not fit each other or the design; an unknown measure, or a margin for one.
        """
        with declaring(design):
            return cls(RecordTables(audited_tables(tables, design)), design, dict(provenance or {}))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a folder that `save` (and so a run or an audit) wrote.

        Raises:
            InputError: there is no such folder, it holds no results, or a table of it does not fit.
        """
        return cls(*results_folder.load(Path(folder)))

    def up_to_date(self) -> Self:
        """These results; if an older version of the audit made them, those of their records audited again in memory.

        Raises:
            InputError: records are missing from the folder.
        """
        return self if self.version >= results_folder.AUDIT else self.audited_again()

    def audited_again(self) -> Self:
        """New results of the same records and design, whichever version of the audit made these.

        Raises:
            InputError: records are missing from the folder, or are not those that were saved with it.
        """
        attacked = any(setting.membership for setting in self.design.settings.values())
        names = set(RECORDS) - ({"members", "scores"} if attacked else set())
        tables = {name: table for name in names if len(table := self.tables[name])}
        return type(self).of_valid(tables, self.design, self.provenance)

    def save(self, folder: str | Path) -> None:
        """Write the tables, `design.json` and `provenance.json`: all of them, or none.

        Each table goes to the Parquet file of its name; those without rows that a folder need not have are left out, as
        are those that the folder holds by trial, as one of a study does.

        Raises:
            InputError: `folder` is a file.
        """
        results_folder.save(Path(folder), self.tables, self.design, self.provenance, self.version)

    @_knowing_its_measures
    def report(self, path: str | Path, format: Format | None = None) -> None:
        """Write the report as one HTML page, Markdown, JSON, tables for LaTeX, or a section of a model card.

        Args:
            path: the file.
            format: unless given, by the file's suffix (.html, .md, .json, .tex). A `card`, the section of a model card
                on the Hugging Face hub, is Markdown too, so it is written only where the format is given.

        Raises:
            InputError: an unknown format, or none is given and the suffix is of no known one.
        """
        path = Path(path)
        chosen = format or SUFFIXES.get(path.suffix.lower())
        if chosen is None:
            raise InputError(f"{path} ends in none of {', '.join(SUFFIXES)}; name the format of the report")
        if chosen not in (formats := get_args(Format)):
            raise InputError(f'there is no format "{chosen}" of reports; there are: {", ".join(formats)}')
        write_text(path, self._rendered(chosen))

    @_knowing_its_measures
    def figures(self, folder: str | Path, format: str = "png") -> list[Path]:
        """Write the charts of verdicts, group accuracy and disparities as pictures; see `evenhand.report.figures`."""
        from evenhand.report import figures

        return figures.write(self, Path(folder), format)

    @_knowing_its_measures
    def plot(self, kind: str = "verdicts", **which: Any) -> Chart:
        """One chart of the report, which displays itself where it is the value of a notebook's cell.

        Args:
            kind: `verdicts`, `across` (settings), `accuracy`, `disparities`, `plane` (methods by accuracy and
                disparity), `harm` (that is detectable), `reliability`, `thresholds`, `roc`, `shares`, `answers`,
                `benchmarks`, `probes`, `values`, `mean_calibration`, `subgroups` or (group) `sizes`.
            which: what is drawn, where it need not be the first: `setting`, `split`, `attribute`, and further keywords
                of the functions in `evenhand.report.charts`.

        Returns:
            The chart. `altair.Chart.from_dict(chart.to_dict())` converts it to altair.

        Raises:
            InputError: an unknown kind or keyword, or the results have nothing of this kind to draw.

        Example:
            >>> import evenhand
            >>> import polars as pl
            >>> frame = pl.DataFrame({"label": [1, 0] * 40, "guess": [1, 1, 0, 0] * 20, "group": ["a", "b"] * 40})
            >>> results = evenhand.audit(frame, label="label", prediction="guess", groups="group")
            >>> results.plot("accuracy", attribute="group").to_dict()["title"]["text"]
            'Accuracy by group'
        """
        from evenhand.report.plot import plot

        return plot(self, kind, **which)

    def _rendered(self, format: Format) -> str:
        if format == "json":
            return json.dumps(self.to_json(), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        from evenhand.report.card import card
        from evenhand.report.latex import latex
        from evenhand.report.markdown import markdown
        from evenhand.report.page import html

        writers = {"html": html, "md": markdown, "latex": latex, "card": card}
        return writers[format](self)

    @_knowing_its_measures
    def gate(self, policy: Policy | str | Path | Mapping[str, Any] | None = None, *, strict: bool = False) -> Answer:
        """Whether these results satisfy a policy, as `evenhand check` asks.

        Args:
            policy: what must hold: a policy, the path of one in YAML, or its contents; None: nothing may be `worse`.
            strict: hold `worse` to the level alpha over all families of verdicts together (Holm).

        Raises:
            InputError: that cannot be decided: methods without a common example, or see `evenhand.audit.gate.judge`.
        """
        for method, reference in (pair for setting in self.design.settings.values() for pair in setting.unmatched):
            raise InputError(
                f"{method} and {reference} have no example id in common, so nothing of them was compared; give "
                "the same examples the same ids"
            )
        if isinstance(policy, str | Path):
            policy = read_policy(Path(policy))
        elif isinstance(policy, Mapping):
            policy = Policy.parse(policy, "policy")
        asked = policy or Policy.failing_on(["worse"])
        return judge(
            self.verdicts,
            self.estimates,
            asked,
            alpha=self.design.alpha,
            strict=strict,
            findings=None if self.design.subgroups is None else self.findings,
            undirected=undirected(self.verdicts["measure"], self.design),
        )

    def failed(self, fail_on: str | Iterable[str] = ("worse",)) -> pl.DataFrame:
        """The rows of `verdicts` whose verdict is this one, or one of these; none when the gate is passed.

        Raises:
            InputError: a word that is no verdict, or nothing was decided, which is no pass.
        """
        words = [fail_on] if isinstance(fail_on, str) else list(fail_on)
        self.gate(Policy.failing_on(words))
        return self.verdicts.filter(pl.col("verdict").is_in(words))

    @_knowing_its_measures
    def to_json(self) -> dict[str, Any]:
        """Everything but examples and predictions as plain values; what is not finite is None."""
        from evenhand.report.headline import details, headline

        return {
            "source": self.design.source,
            "headline": headline(self),
            "details": details(self),
            "design": self.design.model_dump(mode="json"),
            "verdicts": _rows(self.verdicts),
            "estimates": _rows(self.estimates),
            "curves": _rows(self.curves),
            **({} if self.design.looks is None else {"looks": _rows(self.looks)}),
            **({} if self.design.subgroups is None else {"findings": _rows(self.findings)}),
            "trials": _rows(self.trials),
            "provenance": dict(self.provenance),
        }

    @_knowing_its_measures
    def summary(self) -> str:
        """The headline, notes about the data, and the verdicts that matter first, as plain text for a terminal."""
        from evenhand.report.terminal import text

        return text(self)

    def to_pandas(self, *names: str) -> dict[str, Any]:
        """The tables as pandas dataframes, by name.

        Args:
            names: which, such as "verdicts"; all unless given.

        Raises:
            InputError: a name that is no table's, or pandas or pyarrow is not installed.
        """
        return self.tables.to_pandas(*names)

    @_knowing_its_measures
    def _repr_html_(self) -> str:
        from evenhand.report.notebook import fragment

        return fragment(self)

    @_knowing_its_measures
    def __repr__(self) -> str:
        from evenhand.report.wording import counts, trained

        of = f" of {self.design.source}" if self.design.source else ""
        size = f"{', '.join(trained(self.trials))}, {len(self.examples):,} examples"
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in counts(self.verdicts).items())
        return visible(f"<Results{of}: {size}; verdicts: {verdicts or 'none'}>")


def _rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows as plain values."""
    return [
        {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in row.items()}
        for row in frame.iter_rows(named=True)
    ]
