"""Compares a method's runs of two folders where both tested the same examples: the existing audit of two methods.

The method of the first folder becomes the reference and that of the other folder the method, so that intervals pair
examples and seeds, and families, margins and verdicts are those of any audit. Nothing is said where examples differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from evenhand import records
from evenhand.audit.design import DeclaredMeasure, Design, SettingDesign
from evenhand.audit.evaluation import NOT_AUDITED
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.report.comparison.folders import Folder

_FACTS = ("label", "weight", "unit")
"""What must be the same of an example in both folders, besides its groups."""

_NAMED = 3
"""The most settings and methods that a reason names."""


@dataclass(frozen=True, eq=False)
class Pair:
    """A method's runs of one folder, compared with those of the first folder on the same examples.

    Attributes:
        setting, method: in the names of the comparison.
        label, reference: of the two folders.
        seeds: that were tested on the same examples in both.
        examples: how many different examples these are.
        margins: whether both folders declare the same margins, which are those of the verdicts; else there are none.
        verdicts: rows of the table `verdicts`, whose method and reference are the labels of the folders.
        design: of the audit that gave them.
    """

    setting: str
    method: str
    label: str
    reference: str
    seeds: tuple[int, ...]
    examples: int
    margins: bool
    verdicts: pl.DataFrame
    design: Design


@dataclass(frozen=True, eq=False)
class _Part:
    """The runs of one method of one setting in one folder.

    Attributes:
        predictions: final ones of audited splits, with the `seed` of their run.
        values: the same of numbers.
    """

    folder: Folder
    examples: pl.DataFrame
    trials: pl.DataFrame
    predictions: pl.DataFrame
    values: pl.DataFrame
    design: SettingDesign

    @property
    def attributes(self) -> list[str]:
        """The names of the attributes."""
        return records.attributes(self.examples)

    @property
    def declared(self) -> tuple[DeclaredMeasure, ...]:
        """The measures of its values."""
        return tuple(one for one in self.folder.results.design.declared if one.kind == "values")

    def of(self, seeds: Sequence[int]) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Return the predictions and the values of some seeds."""
        of_seeds = pl.col("seed").is_in(seeds)
        return self.predictions.filter(of_seeds), self.values.filter(of_seeds)

    def tested(self) -> dict[int, frozenset[tuple[str, str]]]:
        """Return the examples that each seed was tested on, with their split."""
        rows = pl.concat([each.select("seed", "split", "example") for each in (self.predictions, self.values)])
        parts = rows.unique().partition_by("seed", as_dict=True)
        return {int(key[0]): frozenset(rows.select("split", "example").rows()) for key, rows in parts.items()}


def paired_comparisons(folders: Sequence[Folder]) -> tuple[list[Pair], list[str]]:
    """Compare each folder with the first one, method by method, where both tested the same examples.

    Returns:
        The comparisons, and sentences on what could not be compared, with the reason.

    Example:
        >>> import evenhand, polars as pl
        >>> from evenhand.report.comparison.folders import align_folders
        >>> table = {"id": range(40), "y": [0, 1] * 20, "guess": [0, 1, 1, 1] * 10, "sex": ["f", "m", "m", "f"] * 10}
        >>> options = {"label": "y", "prediction": "guess", "groups": "sex", "example": "id"}
        >>> before = evenhand.audit(pl.DataFrame(table), **options)
        >>> after = evenhand.audit(pl.DataFrame({**table, "guess": [0, 1] * 20}), **options)
        >>> [pair], _ = paired_comparisons(align_folders(["before", "after"], [before, after]))
        >>> everyone = pair.verdicts.filter(pl.col("group").is_null(), measure="accuracy", comparison="change")
        >>> everyone.select("method", "reference", "contrast").rows()
        [('after', 'before', -0.25)]
    """
    first, *others = folders
    pairs: list[Pair] = []
    reasons: dict[str, list[str]] = {}
    for other in others:
        for own, setting in first.settings.items():
            there = next((name for name, key in other.settings.items() if key == setting), None)
            if there is None:
                continue
            theirs = _methods_of(other, there)
            for method in [name for name in _methods_of(first, own) if name in theirs]:
                try:
                    pairs.append(_pair(_part(first, own, method), _part(other, there, method), setting, method))
                except InputError as error:
                    sentence = f"{other.label} and {first.label}: {error}"
                    reasons.setdefault(sentence, []).append(f"{setting}, {method}")
    return pairs, [f"{sentence} ({_listed(places)})" for sentence, places in reasons.items()]


def _listed(places: Sequence[str]) -> str:
    """The first places by name, and how many more there are."""
    more = [f"and {len(places) - _NAMED} more"] if len(places) > _NAMED else []
    return "; ".join([*places[:_NAMED], *more])


def _pair(base: _Part, part: _Part, setting: str, method: str) -> Pair:
    """Audit two folders' runs of a method as two methods. Raises InputError with the reason why that is impossible."""
    seeds = _check_comparable(base, part)
    labels = base.folder.label, part.folder.label
    own = {"references": labels[:1], "methods": labels, "ranks": {}, "notes": (), "warnings": (), "unmatched": ()}
    own |= {"membership": None, "asked": None, "harness": None, "probed": None}
    first, second = base.folder.results.design, part.folder.results.design
    same = first.margins == second.margins
    declared = tuple(one for one in base.declared if one in part.declared)
    regression = base.design.regression
    numbers = [one.name for one in declared] + ([regression.label, regression.prediction] if regression else [])
    design = Design(
        settings={setting: base.design.model_copy(update=own)},
        measures=first.measures,
        declared=declared,
        margins=first.margins if same else {},
        support=first.support,
        alpha=first.alpha,
        source=" and ".join(labels),
    )
    left_out = [f"{records.ATTRIBUTE}{name}" for name in base.attributes if name not in part.attributes]
    examples = base.examples.drop(left_out).with_columns(setting=pl.lit(setting))
    trials, predictions, values = [], [], []
    for each in (base, part):
        mark = pl.lit(f"{each.folder.label}/") + pl.col("trial")
        names = {"setting": pl.lit(setting), "method": pl.lit(each.folder.label), "trial": mark}
        trials.append(each.trials.filter(pl.col("seed").is_in(seeds)).with_columns(**names))
        of_classes, of_numbers = (rows.drop("seed").with_columns(trial=mark) for rows in each.of(seeds))
        predictions.append(of_classes)
        values.append(of_numbers.filter(pl.col("name").is_in(numbers)))
    rows, of_both = records.stacked(predictions), pl.concat(values)
    results = Results.compute(examples, pl.concat(trials, how="diagonal"), rows, design, values=of_both)
    tested = pl.concat([rows["example"], of_both["example"]]).n_unique()
    return Pair(setting, method, labels[1], labels[0], tuple(seeds), tested, same, results.verdicts, design)


def _methods_of(folder: Folder, setting: str) -> list[str]:
    """Return the methods of a setting that the study trained, in the names of the comparison."""
    trials = folder.results.trials.filter(setting=setting, role="study", status="done")
    return [folder.methods.get(name, name) for name in trials["method"].unique(maintain_order=True)]


def _part(folder: Folder, setting: str, method: str) -> _Part:
    """Return the records of one method. Raises InputError if it has neither predictions that can be read nor values."""
    results = folder.results
    own = next((name for name, key in folder.methods.items() if key == method), method)
    trials = results.trials.filter(setting=setting, role="study", status="done", method=own)
    design = results.design.settings[setting]
    examples = results.examples.filter(setting=setting)
    predicted = design.kind == "classification" and examples["label"].null_count() < len(examples)
    if not predicted and results.values.is_empty():
        raise InputError("only predictions and values are paired between folders")
    if results.design.paired == "none":
        raise InputError(f"the rows of {folder.label} could not be matched to examples")
    final = pl.col("step").is_null() & ~pl.col("split").is_in(NOT_AUDITED)
    runs = trials.select("trial", "seed").unique()
    predictions, values = (
        table.filter(final).join(runs, on="trial") for table in (results.predictions, results.values)
    )
    return _Part(folder, examples, trials, predictions, values, design)


def _check_comparable(base: _Part, part: _Part) -> list[int]:
    """Return the seeds that both folders tested on the same examples.

    Raises:
        InputError: there are none, the same ids stand for different examples, or the predictions are the same ones.
    """
    if (base.design.classes, base.design.positive) != (part.design.classes, part.design.positive):
        raise InputError("their classes differ")
    if base.design.regression != part.design.regression:
        raise InputError("what was predicted differs, or its range")
    both = base.examples.join(part.examples, on="example", how="inner", suffix=" there")
    if both.is_empty():
        raise InputError("they have no example id in common")
    groups = [f"{records.ATTRIBUTE}{name}" for name in base.attributes if name in part.attributes]
    for name in (*_FACTS, *groups):
        differ = both.filter(pl.col(name).ne_missing(pl.col(f"{name} there")))
        if len(differ):
            what = name.removeprefix(records.ATTRIBUTE)
            raise InputError(f"the same id stands for another {what} in {len(differ)} of {len(both)} examples")
    mine, theirs = base.tested(), part.tested()
    seeds = sorted(seed for seed, tested in mine.items() if theirs.get(seed) == tested)
    if not seeds:
        raise InputError("no seed was tested on the same examples in both")
    key, answers = ["seed", "split", "example"], ["predicted", "logits", "probabilities"]
    first, second = ([table.drop("trial", "step") for table in each.of(seeds)] for each in (base, part))
    of_classes = (first[0].select(*key, *answers).sort(key), second[0].select(*key, *answers).sort(key))
    of_numbers = (first[1].sort(*key, "name"), second[1].sort(*key, "name"))
    if of_classes[0].equals(of_classes[1]) and of_numbers[0].equals(of_numbers[1]):
        raise InputError("both hold the same predictions, so that there is nothing to compare")
    return seeds
