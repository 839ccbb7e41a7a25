"""Contrasts of areas are those of a loop over subgroups with scikit-learn, and of verdicts; draws have their spread."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

import evenhand
from evenhand.audit.subgroups.area_contrasts import Units, area_contrasts
from evenhand.audit.subgroups.area_draws import largest_areas
from evenhand.audit.subgroups.areas import area
from evenhand.audit.subgroups.asked_areas import AskedArea, added, ask_areas
from evenhand.audit.subgroups.conjunctions import Conjunctions
from evenhand.errors import InputError
from evenhand.report.markdown import markdown
from searched import attributes
from searched_areas import area_question, attacked, searched_membership

ROWS = 600
GROUPS = {"sex": ["f", "m"], "region": ["n", "s"]}


def people(seed: int, runs: int, methods: tuple[str, ...] = ("full", "lora"), rows: int = ROWS) -> pl.DataFrame:
    """Probabilities of methods, with ties and weights."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.choice(groups, rows) for name, groups in GROUPS.items()}
    label, weight = rng.integers(0, 2, rows), rng.uniform(0.5, 2, rows)
    parts = []
    for method in methods:
        for run in range(runs):
            p = np.round(1 / (1 + np.exp(-rng.normal(1.6 * label - 0.8, 1.2))), 2)
            own = {**columns, "id": np.arange(rows), "y": label, "w": weight, "p": p, "method": method, "seed": run}
            parts.append(pl.DataFrame(own))
    return pl.concat(parts)


def members(frame: pl.DataFrame) -> dict[str, np.ndarray]:
    """Who is in each conjunction, by name."""
    groups = {f"{name}={group}": (frame[name] == group).to_numpy() for name in GROUPS for group in GROUPS[name]}
    names = [names for size in (1, 2) for names in combinations(groups, size)]
    return {" & ".join(each): np.logical_and.reduce([groups[name] for name in each]) for each in names}


def loss_of_area(frame: pl.DataFrame, inside: np.ndarray, method: str) -> float:
    """The mean over runs of the area, negative since less is worse."""
    values = []
    for seed in frame["seed"].unique():
        rows = ((frame["method"] == method) & (frame["seed"] == seed)).to_numpy() & inside
        y, p, w = (frame[column].to_numpy()[rows] for column in ("y", "p", "w"))
        values.append(roc_auc_score(y, p, sample_weight=w))
    return -float(np.mean(values))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_every_contrast_is_that_of_a_loop_with_scikit_learn(seed):
    frame = people(seed, runs=1 + 2 * (seed % 2))
    results = evenhand.audit(
        frame, label="y", probability="p", groups=list(GROUPS), weight="w", method="method", reference="full",
        example="id", seed="seed", comparison=None if seed < 2 else "gap", measures=["roc_auc"],
        subgroups={"depth": 2, "support": 20},
    )  # fmt: skip
    found, inside = results.findings.filter(selection="max T"), members(frame)
    for row in found.iter_rows(named=True):
        mask = inside[row["subgroup"]]
        ours = [loss_of_area(frame, side, row["method"]) for side in (mask, ~mask)]
        expected = ours[0] - ours[1]
        if row["comparison"] != "gap":
            theirs = [loss_of_area(frame, side, row["reference"]) for side in (mask, ~mask)]
            changed = [mine - other for mine, other in zip(ours, theirs, strict=True)]
            expected = changed[0] if row["comparison"] == "change" else changed[0] - changed[1]
        assert row["value"] == pytest.approx(expected, abs=1e-9), row
        assert 0 < row["p_adjusted"] <= 1 and row["low"] <= row["value"] <= row["high"]
    assert len(found.filter(comparison="gap" if seed >= 2 else "gap change")["subgroup"].unique()) == 8


@pytest.mark.parametrize("kind", ["gap", "change"])
def test_the_variance_is_that_of_what_units_add(kind):
    rng = np.random.default_rng(0)
    positive = rng.random(ROWS) < 0.4
    scores = [rng.normal(size=(ROWS, 1)) + positive[:, None] for _ in range(1 if kind == "gap" else 2)]
    found = Conjunctions(attributes(rng, ROWS, 2, 2), ROWS, 2, 100)
    question = area_question(scores, positive, (kind,))
    (made,) = area_contrasts(question, found, [kind])
    (asked,) = ask_areas(found, question, 10)
    assert isinstance(asked, AskedArea)
    rows = [row for _, row in added([asked])]
    for place, total in zip(np.flatnonzero(asked.judged).tolist(), rows, strict=True):
        mask, squares = found.members(place), []
        for side in (mask, ~mask) if kind == "gap" else (mask,):
            units = min((positive & side).sum(), (~positive & side).sum())
            squares.append(units / (units - 1) * (total[side] ** 2).sum())
        assert made.contrasts.variance[place] >= sum(squares) * (1 - 1e-9)  # more where skewness is allowed for
        np.testing.assert_allclose(total.sum(), 0, atol=1e-12)
        if kind == "change":
            values = [roc_auc_score(positive[mask], score[mask, 0]) for score in scores]
            assert made.contrasts.estimate[place] == pytest.approx(values[0] - values[1])


def test_several_runs_are_compared_as_in_verdicts():
    frame = people(5, runs=3)
    results = evenhand.audit(
        frame, label="y", probability="p", groups=list(GROUPS), method="method", reference="full", example="id",
        seed="seed", measures=["roc_auc"], subgroups={"depth": 1, "support": 20},
    )  # fmt: skip
    found = results.findings.filter(selection="max T").with_columns(
        attribute=pl.col("subgroup").str.split("=").list[0], group=pl.col("subgroup").str.split("=").list[1]
    )
    both = found.join(results.verdicts, on=["attribute", "group", "comparison"])
    assert set(both["comparison"]) == {"change", "gap change"}
    np.testing.assert_allclose(both["value"], both["contrast"], atol=1e-9)
    assert set(both["scope"]) == set(both["scope_right"]) == {"the methods"}


def test_units_on_both_sides_add_what_their_rows_add():
    rng = np.random.default_rng(1)
    unit = rng.integers(0, 300, ROWS)
    positive = rng.random(ROWS) < 0.5
    found = Conjunctions(attributes(rng, ROWS, 1, 2), ROWS, 1, 50, unit)
    question = area_question([rng.normal(size=(ROWS, 1)) + positive[:, None]], positive, ("gap",))
    units = Units.of(found)
    mask = found.members(0)
    both = [area(question, side, units.code, units.count, 2) for side in (mask, ~mask)]
    first, second = (side for side in both if side is not None)
    rows = np.arange(ROWS)
    alone = [area(question, side, rows, ROWS, 2) for side in (mask, ~mask)]
    single = [side.total for side in alone if side is not None]
    np.testing.assert_allclose(first.total - second.total, np.bincount(units.code, single[0] - single[1]), atol=1e-12)
    (made,) = area_contrasts(question, found, ["gap"])
    factors = [side.rarer / (side.rarer - 1) for side in (first, second)]
    totals = [np.sqrt(factor) * side.total for factor, side in zip(factors, (first, second), strict=True)]
    assert made.contrasts.variance[0] == pytest.approx(((totals[0] - totals[1]) ** 2).sum(), rel=0.02)


def test_a_class_with_fewer_than_30_units_is_not_judged():
    rng = np.random.default_rng(2)
    positive = np.zeros(ROWS, dtype=bool)
    (attribute,) = attributes(rng, ROWS, 1, 2)
    inside = np.flatnonzero(attribute.code == 1)
    positive[np.flatnonzero(attribute.code == 0)[:100]] = True
    positive[inside[:29]] = True
    score = rng.normal(size=(ROWS, 1)) + positive[:, None]
    judged = []
    for more in (0, 1):
        positive[inside[29]] = bool(more)
        (asked,) = ask_areas(Conjunctions([attribute], ROWS, 1, 50), area_question([score], positive, ("gap",)), 10)
        judged.append(asked.judged.tolist())
    assert judged == [[False, False], [True, True]]


def test_drawn_contrasts_are_normal_with_the_correlations_of_their_units():
    rng = np.random.default_rng(3)
    positive = rng.random(ROWS) < 0.5
    found = Conjunctions(attributes(rng, ROWS, 1, 2), ROWS, 1, 100)
    question = area_question([rng.normal(size=(ROWS, 1)) + positive[:, None]], positive, ("gap",))
    asked = [one for one in ask_areas(found, question, 10) if isinstance(one, AskedArea)]
    maxima = largest_areas(asked, rng, 4000)
    # Two halves are each other's rest, so that the larger contrast is the absolute value of a normal one.
    assert np.quantile(maxima, 0.95) == pytest.approx(1.96, abs=0.08)


def planted(seed: int, rows: int = 2400) -> pl.DataFrame:
    """Two methods, of which lora ranks women of the north hardly better than chance."""
    rng = np.random.default_rng(seed)
    frame = people(seed, 1, rows=rows)
    harmed = ((frame["sex"] == "f") & (frame["region"] == "n") & (frame["method"] == "lora")).to_numpy()
    noise = rng.random(len(frame))
    return frame.with_columns(p=pl.Series(np.where(harmed, noise, frame["p"].to_numpy())))


def test_a_planted_loss_of_area_is_found_explained_and_reported():
    frame = planted(6)
    results = evenhand.audit(
        frame, label="y", probability="p", groups=list(GROUPS), method="method", reference="full", example="id",
        measures=["roc_auc", "average_precision"], subgroups={"depth": 2},
    )  # fmt: skip
    found = results.findings.filter(selection="max T")
    for comparison in ("change", "gap change"):
        worst = found.filter(comparison=comparison).row(0, named=True)
        assert (worst["subgroup"], worst["verdict"]) == ("sex=f & region=n", "worse")
        assert worst["p_adjusted"] <= 0.01 and worst["low"] > 0 and worst["noise_high"] < worst["value"]
    assert found.filter(comparison="gap change").row(0, named=True)["disparity"] == "widens"
    larger = found.filter(pl.col("subgroup") == "sex=f", comparison="change").row(0, named=True)
    assert larger["note"] == "it does not fare worse without sex=f & region=n"
    halves = results.findings.filter(selection="halves", comparison="change").row(0, named=True)
    assert halves["subgroup"] == "sex=f & region=n" and halves["p_adjusted"] < 0.05
    text = markdown(results)
    assert "Searched by: ROC AUC." in text and "lora separates positives from negatives less well than full" in text


def test_predictions_without_probabilities_have_no_area_to_search():
    frame = people(7, 1, ("full",)).with_columns(guess=(pl.col("p") > 0.5).cast(pl.Int64))
    keywords = {"label": "y", "prediction": "guess", "groups": list(GROUPS), "subgroups": {"depth": 1}}
    with pytest.raises(InputError, match="there are no records to search"):
        evenhand.audit(frame, **keywords, measures=["roc_auc"])


def test_the_order_of_a_table_decides_nothing():
    frame = people(8, 1, ("full",))
    keywords = {"label": "y", "probability": "p", "groups": list(GROUPS), "subgroups": {"depth": 2, "support": 30}}
    audits = [
        evenhand.audit(one, **keywords, measures=["roc_auc"])
        for one in (frame, frame.sample(fraction=1.0, shuffle=True, seed=1))
    ]
    numbers = [one.findings.select("selection", "subgroup", "value", "p_adjusted").sort(pl.all()) for one in audits]
    assert numbers[0]["subgroup"].equals(numbers[1]["subgroup"])
    np.testing.assert_allclose(numbers[0]["p_adjusted"], numbers[1]["p_adjusted"])


@pytest.mark.parametrize("methods", [1, 2])
def test_membership_areas_are_those_of_a_loop_with_scikit_learn(methods):
    rng = np.random.default_rng(9)
    groups = attributes(rng, ROWS, 2, 2)
    reading = attacked(rng, groups, [np.full(ROWS, 0.5)] * methods)
    search, _ = searched_membership(reading, draws=19)
    codes = {f"{each.name}={name}": each.code == int(name) for each in groups for name in each.groups}

    def value(method: str, inside: np.ndarray) -> float:
        targets = reading.attacked[method]
        return float(roc_auc_score(targets.member[:, inside].ravel(), targets.score[:, inside].ravel()))

    kinds = set()
    for asked in search.asked:
        kinds.add(asked.kind)
        assert asked.outcome.scope == "these models" and asked.judged.all()
        for place in range(len(search.conjunctions)):
            mask = np.logical_and.reduce([codes[name] for name in search.conjunctions.groups_of(place)])
            sides = [(1, mask)] if asked.kind == "change" else [(1, mask), (-1, ~mask)]
            signs = [(1, asked.outcome.method)]
            signs += [] if asked.outcome.reference is None else [(-1, asked.outcome.reference)]
            expected = sum(a * b * value(method, side) for a, side in sides for b, method in signs)
            assert asked.contrasts.estimate[place] == pytest.approx(expected)
    assert kinds == ({"gap"} if methods == 1 else {"gap", "change", "gap change"})


def test_scores_of_a_table_are_searched_and_the_report_says_what_is_not():
    rng = np.random.default_rng(10)
    rows = 1600
    sex, region = rng.choice(["f", "m"], rows), rng.choice(["n", "s"], rows)
    member = rng.random(rows) < 0.5
    score = rng.normal(size=rows) + 1.8 * member * ((sex == "f") & (region == "s"))
    frame = pl.DataFrame({"sex": sex, "region": region, "seen": member, "score": score})
    results = evenhand.audit(
        frame, groups=list(GROUPS), member="seen", score="score", subgroups={"depth": 2, "support": 50}
    )
    worst = results.findings.filter(selection="max T").row(0, named=True)
    assert (worst["measure"], worst["subgroup"]) == ("membership_auc", "sex=f & region=s")
    assert (worst["verdict"], worst["scope"]) == ("worse", "this model") and worst["p_adjusted"] <= 0.01
    text = markdown(results)
    assert "Searched by: membership AUC." in text
    assert "its threshold would be chosen among a subgroup's few non-members" in text
