"""Notes beside estimates and comparisons of predictions: groups left out, missing answers, another class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evenhand.audit.comparisons import in_some_run
from evenhand.audit.design import Design
from evenhand.audit.estimands import Comparison, Estimand
from evenhand.audit.measures.calibration import CalibrationError
from evenhand.audit.measures.ratios import Between
from evenhand.audit.runs.influences import RunInfluences


@dataclass(frozen=True, eq=False)
class PredictionNotes:
    """The notes on one evaluation.

    Attributes:
        reader: of the evaluation.
        design: the study's.
    """

    reader: RunInfluences
    design: Design

    def of_estimate(self, estimand: Estimand, smallest: int | None) -> list[str]:
        """The notes on an estimand that hold for every run."""
        notes = self.left_out(estimand)
        level = estimand.subset.level
        if level != "attribute" and smallest is not None and smallest < self.design.support:
            notes.append(f"fewer than {self.design.support} {self.reader.sample}{self._in_some_run}")
        if isinstance(estimand.measure.influence, Between) and self.reader.evaluation.design.favourable == "negative":
            notes.append("the positive prediction is not the favourable one, which the four-fifths rule is about")
        note = estimand.measure.note(level)
        return [*notes, note] if note else notes

    def of_likeliest_class(self, estimand: Estimand, method: str) -> list[str]:
        """The note on calibration of several classes where a method decides for another class than the likeliest."""
        top_label = isinstance(estimand.measure.influence, CalibrationError) and not self.reader.evaluation.binary
        if not top_label or not self._decided_otherwise.get(method):
            return []
        share = f"{self._decided_otherwise[method]:.1%} of its predictions"
        return [f"{method}: calibration is of the likeliest class, which is not the predicted one in {share}"]

    @cached_property
    def _decided_otherwise(self) -> dict[str, float]:
        """The share of predictions that are not the most probable class, by method; ties are not counted."""
        shares = {}
        for method in self.reader.evaluation.methods:
            otherwise = [
                run.probabilities[np.arange(len(run.rows)), run.predicted] < run.probabilities.max(axis=1)
                for run in self.reader.runs_of(method)
                if run.probabilities is not None
            ]
            shares[method] = float(np.concatenate(otherwise).mean()) if otherwise else 0.0
        return shares

    def of_missing(self, comparison: Comparison) -> list[str]:
        """The note on examples of the subset that only one of two methods predicted in a seed both were run with."""
        method, reference, subset = comparison.method, str(comparison.reference), comparison.estimand.subset
        lost, asked = self.reader.evaluation.missing(method, reference)
        if self.design.paired == "none" or not lost.any():
            return []
        members = slice(None)
        if subset.group is not None:
            groups = self.reader.groups(subset.attribute)
            members = groups.masks[:, groups.names.index(subset.group)]
        total = asked[members].sum()
        shares = [f"{100 * count / total:.1f}%" for count in lost[:, members].sum(axis=1)] if total else ["0%", "0%"]
        what = self.reader.evaluation.records
        return [f"{what} are missing: {method} {shares[0]}, {reference} {shares[1]} of the examples of either"]

    def left_out(self, estimand: Estimand) -> list[str]:
        """The note on groups without enough examples for max − min, if there are any."""
        if estimand.subset.level != "attribute":
            return []
        left_out = self.reader.left_out(estimand)
        if not left_out:
            return []
        several = len(estimand.measure.influence.rates) > 1
        names = [f"{name} ({' and '.join(rates)})" if several else name for name, rates in left_out.items()]
        fewer = f"fewer than {self.design.support} {self.reader.sample}{self._in_some_run}"
        return [f"groups left out, with {fewer}: {', '.join(names)}"]

    @property
    def _in_some_run(self) -> str:
        evaluation = self.reader.evaluation
        return in_some_run(max(len(evaluation.seeds(method)) for method in evaluation.methods))
