"""Tables as people have them: one test set without ids, a row missing in a run, answers left out, undeclared copies.

Each goes through `evenhand.audit`. Both methods are equally good: an example is answered rightly with a probability of
its own under each method, drawn from one distribution, so that their expected accuracies are equal and whatever is
called worse is false.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

import bounds
import evenhand as eh
from evenhand.errors import InputError
from evenhand.report.headline import headline

ALPHA = 0.05
OPTIONS = {"label": "y", "prediction": "yhat", "groups": "g", "method": "m", "seed": "s", "reference": "a"}


@dataclass(frozen=True)
class Design:
    """A study of two methods on one test set.

    Attributes:
        sizes: of the groups.
        runs: of each method.
        sure: how alike the runs of a method are on an example: the smaller, the more alike.
    """

    sizes: tuple[int, ...]
    runs: int = 5
    sure: float = 0.5

    def table(self, rng: np.random.Generator) -> pl.DataFrame:
        """Return a row for each example, method and run, in one order in all of them."""
        n = sum(self.sizes)
        group = np.repeat([f"g{code}" for code in range(len(self.sizes))], self.sizes)
        label, order = rng.integers(0, 2, n), rng.permutation(n)
        parts = []
        for method in "ab":
            right = rng.beta(0.8 * self.sure, 0.2 * self.sure, n)
            for run in range(self.runs):
                guess = np.where(rng.random(n) < right, label, 1 - label)
                part = pl.DataFrame({"id": np.arange(n), "y": label, "g": group, "yhat": guess})[order]
                parts.append(part.with_columns(m=pl.lit(method), s=pl.lit(run)))
        return pl.concat(parts)


DESIGNS = {
    "two groups": Design((60, 240)),
    "six groups, three runs": Design((50,) * 6, runs=3),
    "runs that hardly differ": Design((100, 200), sure=0.1),
}


def falsely_worse(results: eh.Results) -> bool:
    """Whether some row of the accuracy of everyone and the groups, a family, is worse."""
    rows = results.verdicts.filter(measure="accuracy", comparison="change", method="b")
    return "worse" in rows["verdict"]


@pytest.mark.simulate
@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("ids", ["no ids", "ids", "a row missing in a run"])
def test_one_test_set_in_all_runs_accuses_no_fair_method(design, ids, repetitions):
    many, wrong = repetitions(400), 0
    for repetition in range(many):
        table = DESIGNS[design].table(np.random.default_rng([17, repetition]))
        if ids == "a row missing in a run":
            table = table.filter(~((pl.col("s") == 1) & (pl.col("id") == 3)))
        example = {} if ids == "no ids" else {"example": "id"}
        results = eh.audit(table, **OPTIONS, **example, measures=["accuracy"])
        assert not results.design.settings["table"].vary, "one test set was taken for several"
        wrong += falsely_worse(results)
    assert wrong / many <= bounds.most(ALPHA, many)


@pytest.mark.simulate
@pytest.mark.parametrize("design", DESIGNS)
def test_ids_that_name_one_test_set_anew_in_each_run_are_always_refused(design, repetitions):
    for repetition in range(repetitions(400)):
        table = DESIGNS[design].table(np.random.default_rng([18, repetition]))
        renamed = table.with_columns(id=pl.format("seed{}-{}", "s", "id"))
        with pytest.raises(InputError, match="this is one test set"):
            eh.audit(renamed, **OPTIONS, example="id", measures=["accuracy"])


@pytest.mark.simulate
@pytest.mark.parametrize("design", DESIGNS)
def test_answers_that_are_missing_unevenly_are_always_named(design, repetitions):
    """A method that does not answer where it would err looks better; every row of it has to say how much is missing."""
    looks_better = 0
    many = repetitions(400)
    for repetition in range(many):
        rng = np.random.default_rng([19, repetition])
        table = DESIGNS[design].table(rng)
        wrong = (pl.col("m") == "b") & (pl.col("yhat") != pl.col("y")) & (pl.Series(rng.random(len(table))) < 0.6)
        results = eh.audit(table.filter(~wrong), **OPTIONS, example="id", measures=["accuracy"])
        rows = results.verdicts.filter(measure="accuracy", comparison="change", method="b")
        looks_better += "better" in rows["verdict"]
        assert rows["note"].str.contains("predictions are missing: b [0-9.]+%, a 0.0%").all()
        assert headline(results)[0].startswith("b has no prediction of ")
    assert looks_better / many >= bounds.least(0.5, many), "the design does not tempt to a false verdict"


@pytest.mark.simulate
@pytest.mark.parametrize("copies", [2, 4])
@pytest.mark.parametrize("design", DESIGNS)
def test_copies_that_nobody_declared_are_always_counted(design, copies, repetitions):
    for repetition in range(repetitions(400)):
        table = DESIGNS[design].table(np.random.default_rng([20, repetition]))
        n = sum(DESIGNS[design].sizes)
        several = pl.concat([table.with_columns(id=pl.col("id") + n * copy) for copy in range(copies)])
        results = eh.audit(several, **OPTIONS, example="id", measures=["accuracy"])
        setting = results.design.settings["table"]
        said = " ".join((*setting.notes, *setting.warnings))
        assert "as if every case stood in the table" in said
        # Once the copies are declared as units, the same table accuses as seldom as the table without copies.
        declared = eh.audit(
            several.with_columns(u=pl.col("id") % n), **OPTIONS, example="id", unit="u", measures=["accuracy"]
        )
        once = eh.audit(table, **OPTIONS, example="id", measures=["accuracy"])
        assert falsely_worse(declared) == falsely_worse(once)
