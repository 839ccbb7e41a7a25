"""The grid of methods × questions: the most serious verdict on each method for each question of a reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from evenhand.audit.measures.display import QUESTIONS
from evenhand.report import theme
from evenhand.report.method_pairs import Pair, kind_rank, pairs_of
from evenhand.report.reportable import Reportable
from evenhand.report.wording import Row, compared, main_split, measure_named

SERIOUS = ("worse", "different", "inconclusive", "not worse", "equivalent", "better")
"""Verdicts, the most serious first, for somebody who decides on a release.

`worse` is a harm that is shown. `different` is one if its direction matters to somebody, which nobody has said.
`inconclusive` comes before every word that excludes a harm: a question with one open row is not answered. `not worse`
excludes harm beyond the margin, `equivalent` any difference beyond it, and `better` any harm at all. So a cell says
`better` only where every row does, unlike the tables of a terminal, which list gains before what is open: those are
news, and this is a check.
"""


@dataclass(frozen=True)
class Target:
    """The rows of `verdicts` that a cell sums up.

    Attributes:
        setting: None: the means over settings.
        split: the main split.
        method, reference: what is compared; no reference where groups of the method are compared with others.
        measures: names, in the order of the table.
    """

    setting: str | None
    split: str
    method: str
    reference: str | None
    measures: tuple[str, ...]


@dataclass(frozen=True)
class GridCell:
    """The verdicts on one method for one question.

    Attributes:
        verdict: the most serious of the judged rows (`SERIOUS`); None where none could be judged.
        count: the judged rows that have it.
        judged: the rows that could be judged.
        absent: the rows that could not, for want of runs, examples or predictions.
        target: the rows.

    Example:
        >>> target = Target("faces", "test", "lora", "full", ("accuracy",))
        >>> GridCell("worse", 2, 7, 1, target).text
        'worse in 2 of 7, 1 not judged'
        >>> GridCell(None, 0, 0, 3, target).mark, GridCell(None, 0, 0, 3, target).text
        ('✕', 'not judged')
    """

    verdict: str | None
    count: int
    judged: int
    absent: int
    target: Target

    @property
    def mark(self) -> str:
        """The symbol of the verdict."""
        return theme.MARKS[self.verdict or theme.UNDECIDED]

    @property
    def text(self) -> str:
        """The verdict with its counts, in words."""
        if self.verdict is None:
            return "not judged"
        absent = f", {self.absent} not judged" if self.absent else ""
        return f"{self.verdict} in {self.count} of {self.judged}{absent}"


@dataclass(frozen=True)
class GridRow:
    """The cells of one method and reference, in one setting or across settings.

    Attributes:
        setting: None: means over the settings.
        method, reference: what is compared; no reference where groups of the method are compared with others.
        cells: one for each question of the grid; None where nothing was asked.
    """

    setting: str | None
    method: str
    reference: str | None
    cells: tuple[GridCell | None, ...]

    @property
    def title(self) -> str:
        """What is compared, in words.

        Example:
            >>> GridRow("faces", "lora", "full", ()).title, GridRow("faces", "model", None, ()).title
            ('lora against full', 'gaps of model')
        """
        return compared(self.method, self.reference)


@dataclass(frozen=True)
class QuestionGrid:
    """A row for each method and reference, a column for each question that the results answer.

    Attributes:
        split: the main split, which all cells are about.
        questions: in the order of columns: what was asked for besides predictions first.
        rows: means over settings first, then setting by setting, each in the design's order of methods.
        several: whether rows are of several settings, so that each has to name its own.
    """

    split: str
    questions: tuple[str, ...]
    rows: tuple[GridRow, ...]
    several: bool

    def table(self) -> list[list[str]]:
        """The grid as text cells, the head first: where (if several), the method, then symbol and words per question.

        Example:
            >>> cell = GridCell("worse", 2, 7, 0, Target("faces", "test", "lora", "full", ("accuracy",)))
            >>> row = GridRow("faces", "lora", "full", (cell, None))
            >>> QuestionGrid("test", ("accuracy", "parity"), (row,), several=False).table()
            [['method', 'accuracy', 'parity'], ['lora against full', '▶ worse in 2 of 7', '—']]
        """
        return [
            [*(["setting"] if self.several else []), "method", *self.questions],
            *(
                [
                    *([row.setting or "across settings"] if self.several else []),
                    row.title,
                    *("—" if cell is None else f"{cell.mark} {cell.text}" for cell in row.cells),
                ]
                for row in self.rows
            ),
        ]


def question_grid(results: Reportable) -> QuestionGrid | None:
    """The grid of results: for each method and question, the most serious verdict of the rows that it sums up.

    Rows are those of the main split that have a verdict; single questions, and single groups of benchmarks, appear in
    the tables only. The question of a measure is `Measure.question`. Questions that were asked in vain, such as
    calibration where no probabilities are known, keep their column: a reader should see what was not judged. None
    without verdicts.

    Example:
        >>> import polars as pl, evenhand
        >>> guess, sex = [0, 1, 0, 1, 1, 0, 0, 1] * 50, ["f", "f", "m", "m"] * 100
        >>> people = pl.DataFrame({"y": [0, 1] * 200, "guess": guess, "sex": sex})
        >>> grid = question_grid(evenhand.audit(people, label="y", prediction="guess", groups="sex"))
        >>> grid.questions
        ('accuracy', 'parity', 'error rates', 'calibration')
        >>> grid.rows[0].title, grid.rows[0].cells[0].text
        ('gaps of model', 'worse in 1 of 1')
    """
    pairs, split = pairs_of(results.verdicts, results.design), main_split(results.verdicts["split"])
    if not pairs or split is None:
        return None
    questions = _questions(pairs)
    rows = tuple(
        GridRow(
            pair.setting,
            pair.methods[0],
            pair.reference,
            tuple(_cell(pair, question, split) for question in questions),
        )
        for pair in pairs
    )
    return QuestionGrid(split, questions, rows, len({row.setting for row in rows}) > 1)


def _questions(pairs: Sequence[Pair]) -> tuple[str, ...]:
    """The questions of the rows: those of the kind of records that was asked for first, then in `QUESTIONS`' order."""
    first: dict[str, tuple[int, int]] = {}
    for pair in pairs:
        for name in pair.rows["measure"].unique(maintain_order=True):
            measure = measure_named(name)
            listed = QUESTIONS.index(measure.question) if measure.question in QUESTIONS else len(QUESTIONS)
            rank = kind_rank(measure.kind), listed
            first[measure.question] = min(rank, first.get(measure.question, rank))
    return tuple(sorted(first, key=first.__getitem__))


def _cell(pair: Pair, question: str, split: str) -> GridCell | None:
    rows: list[Row] = [
        row for row in pair.rows.iter_rows(named=True) if measure_named(row["measure"]).question == question
    ]
    if not rows:
        return None
    measures = tuple(dict.fromkeys(row["measure"] for row in rows))
    target = Target(pair.setting, split, pair.methods[0], pair.reference, measures)
    given = [row["verdict"] for row in rows if row["contrast"] is not None]
    if not given:
        return GridCell(None, 0, 0, len(rows), target)
    verdict = min(given, key=SERIOUS.index)
    return GridCell(verdict, given.count(verdict), len(given), len(rows) - len(given), target)
