"""Noise floors of the table `estimates`: against permutation by hand, against known numbers, and how often they lie."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import polars as pl
import pytest

from evenhand.audit import noise_floors
from evenhand.audit.design import Design
from evenhand.audit.estimands import Estimand
from evenhand.audit.kinds.prediction_tables import evaluations
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures import select
from evenhand.audit.measures.run_data import BASE, RunData, RunSubset, confidence
from evenhand.audit.noise_floors import DRAWS
from evenhand.audit.redrawn_calibration import Draws
from evenhand.audit.runs.influences import RunInfluences
from evenhand.seeds import generator
from evenhand.stats.null import NoiseFloor, noise_floor, permuted_sums
from evenhand.stats.redrawn import share_together
from small_records import Tables, design, estimates, examples, predictions, study, trials

DISPARITIES = ("accuracy_difference", "demographic_parity_difference", "equalized_odds_difference")


def of(table: pl.DataFrame, measure: str, group: str | None = None, seed: int | None = None) -> dict:
    """The row of the method full."""
    place = pl.col("group").eq_missing(pl.lit(group, pl.String)) & pl.col("seed").eq_missing(pl.lit(seed, pl.Int64))
    rows = table.filter(pl.col("measure") == measure, pl.col("method") == "full", place)
    assert len(rows) == 1
    return rows.row(0, named=True)


def test_what_shows_something_where_there_is_nothing_has_a_floor_and_the_rest_has_none():
    table = estimates(*study(n=300, seeds=2), design())
    floored = set(table.drop_nulls("noise_floor")["measure"])
    assert floored == {*DISPARITIES, "expected_calibration_error", "calibration_error_squared"}
    rows = table.drop_nulls("noise_floor")
    assert (rows["noise_floor"] <= rows["noise_high"]).all()
    disparities = table.filter(pl.col("measure").is_in(DISPARITIES))
    assert disparities["noise_floor"].null_count() == disparities["value"].null_count() == 0


@pytest.mark.parametrize("group", [None, "c"])
def test_the_floor_is_that_of_groups_permuted_by_hand(group):
    table, uses, found = study(n=200, seeds=2)
    floor = of(estimates(table, uses, found, design(measures=DISPARITIES)), "demographic_parity_difference", group)
    rng = np.random.default_rng(1)
    values = []
    for _ in range(300):
        permuted = table.with_columns(table["attribute.who"].gather(rng.permutation(len(table))))
        once = estimates(permuted, uses, found, design(measures=("demographic_parity_difference",)))
        values.append(of(once, "demographic_parity_difference", group)["value"])
    error = np.std(values) * np.sqrt(1 / 300 + 1 / 200)
    assert floor["noise_floor"] == pytest.approx(np.mean(values), abs=4 * error)
    assert floor["noise_high"] == pytest.approx(np.quantile(values, 0.95), rel=0.2)


def test_four_groups_of_150_without_disparity_show_eight_points():
    """The known number: true difference 0, mean observed difference .082."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 600)
    groups = {"who": [[name] for name in np.repeat(list("abcd"), 150)]}
    found = predictions("full-0", range(600), rng.integers(0, 2, 600))
    table = estimates(examples(list(labels), groups), trials([("full", 0)]), found, design(("full",)))
    assert of(table, "demographic_parity_difference")["noise_floor"] == pytest.approx(0.082, abs=0.006)


def test_fifty_calibrated_predictions_show_an_error_of_seventeen_points_and_none_when_debiased():
    """The known number: plug-in error .170 at n = 50."""
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=50)
    labels = (rng.uniform(size=50) < positive).astype(int)
    found = predictions("full-0", range(50), np.stack([1 - positive, positive], axis=1))
    groups = {"who": [["a"] if place < 25 else ["b"] for place in range(50)]}
    table = estimates(examples(list(labels), groups), trials([("full", 0)]), found, design(("full",)))
    whole = of(table, "expected_calibration_error")["noise_floor"]
    assert whole == pytest.approx(0.170, abs=0.02)
    assert of(table, "expected_calibration_error", "a")["noise_floor"] > whole
    squared = of(table, "calibration_error_squared")
    assert abs(squared["noise_floor"]) < 0.2 * squared["noise_high"]


def test_more_runs_on_the_same_examples_do_not_lower_a_floor_as_new_examples_would():
    """Runs that share their examples are permuted alike: near-copies of a run have the floor of one."""
    rng = np.random.default_rng(0)
    labels, predicted = list(rng.integers(0, 2, 400)), rng.integers(0, 2, 400)
    groups = {"who": [[name] for name in rng.choice(list("abc"), 400)]}
    uses = [("full", seed) for seed in range(5)]
    found = pl.concat([predictions(f"full-{seed}", range(400), predicted) for _, seed in uses])
    table = estimates(examples(labels, groups), trials(uses), found, design(("full",)))
    one, mean = (of(table, "demographic_parity_difference", seed=seed) for seed in (0, None))
    assert mean["noise_floor"] == pytest.approx(one["noise_floor"], rel=1e-9)


def test_copies_of_an_example_are_permuted_together():
    """Each example five times over: a floor that took copies for examples would be about 1/√5 of this one."""
    rng = np.random.default_rng(0)
    labels, predicted = rng.integers(0, 2, 120), rng.integers(0, 2, 120)
    names = rng.choice(list("ab"), 120)

    def floor(times: int) -> float:
        units = [f"u{place}" for place in range(120)] * times
        table = examples(list(np.tile(labels, times)), {"who": [[name] for name in np.tile(names, times)]}, unit=units)
        found = predictions("full-0", range(120 * times), np.tile(predicted, times))
        rows = estimates(table, trials([("full", 0)]), found, design(("full",)))
        return of(rows, "demographic_parity_difference")["noise_floor"]

    assert floor(5) == pytest.approx(floor(1), rel=0.15)


def test_a_floor_repeats_itself():
    first, second = (estimates(*study(n=120, seeds=2), design()) for _ in range(2))
    assert first.equals(second)


@pytest.mark.parametrize("measure", DISPARITIES)
def test_a_study_without_disparity_is_outside_of_its_floor_about_once_in_twenty(measure):
    outside = []
    for repetition in range(150):
        rng = np.random.default_rng(repetition)
        labels = rng.integers(0, 2, 240)
        ease = rng.normal(size=240)
        groups = {"who": [[name] for name in rng.choice(list("abcd"), 240)]}
        uses = [("full", seed) for seed in range(3)]
        found = pl.concat(
            [
                predictions(f"full-{seed}", range(240), (labels + ease + rng.normal(size=240) > 0.5).astype(int))
                for _, seed in uses
            ]
        )
        rows = of(
            estimates(examples(list(labels), groups), trials(uses), found, design(("full",), measures=(measure,))),
            measure,
        )
        outside.append(rows["value"] > rows["noise_high"])
    # .05 and 3 standard errors of 150 repetitions.
    assert np.mean(outside) <= 0.105


def plain(reader: RunInfluences, case: Estimand, method: str, seeds: Sequence[int]) -> list[NoiseFloor]:
    """The floors of these seeds and of their mean, each worked out alone: a method, a rate and a group at a time."""
    runs = [reader.evaluation.runs[method, seed] for seed in seeds]
    views = [reader.view(run, reader.positive(case)) for run in runs]
    size = len(reader.evaluation.population.label)
    if case.measure.floor == "permuted":
        draws = np.max([_differences(reader, case, runs, views, rate) for rate in case.measure.influence.rates], axis=0)
    else:
        inside = np.ones(size, dtype=bool)
        if case.subset.group is not None:
            groups = reader.groups(case.subset.attribute)
            inside = groups.masks[:, groups.names.index(case.subset.group)]
        numbers = numbers_of(reader)
        known = [run for run in runs if run.probabilities is not None]
        views = [reader.view(run, reader.positive(case)) for run in known]
        units = [reader.evaluation.population.unit[run.rows] for run in known]
        together = share_together(*zip(*map(confidence, views), strict=True), units)
        subsets = [_members(inside[run.rows]) for run in known]
        draws = np.full((DRAWS, len(runs)), np.nan)
        for draw in range(DRAWS):
            drawn = [
                _labelled(view, numbers(run.rows, together)[:, draw] < confidence(view)[0])
                for run, view in zip(known, views, strict=True)
            ]
            errors = iter(case.measure.influence.of_runs(drawn, subsets))
            draws[draw] = [np.nan if run.probabilities is None else next(errors).value for run in runs]
    return [*(noise_floor(draws[:, place]) for place in range(len(runs))), noise_floor(draws.mean(axis=1))]


def numbers_of(reader: RunInfluences) -> Callable[[np.ndarray, float], np.ndarray]:
    """Gives the uniform numbers of examples, float [n, DRAWS], whose units share theirs so often."""
    drawn = Draws.of(reader.evaluation, DRAWS)
    batches = list(drawn.batches(partial(generator, 0, "floor", "calibration")))

    def numbers(rows: np.ndarray, together: float) -> np.ndarray:
        found = np.empty((len(rows), DRAWS))
        for batch in batches:
            inside = (drawn.place[rows] >= batch.first) & (drawn.place[rows] < batch.last)
            found[inside] = batch.of(drawn.place[rows][inside], together)
        return found

    return numbers


def _labelled(view: RunData, outcome: np.ndarray) -> RunData:
    """The view with labels that make the outcome of its confidence this one."""
    if view.positive is not None:
        label = np.where(outcome, view.positive, view.positive + 1)
    else:
        assert view.probabilities is not None
        label = view.probabilities.argmax(axis=1) + ~outcome
    return replace(view, label=label)


def _members(inside: np.ndarray) -> RunSubset:
    return RunSubset("group", np.flatnonzero(inside))


def _differences(reader: RunInfluences, case: Estimand, runs: Sequence, views: Sequence[RunData], rate) -> np.ndarray:
    """[draws, J], as the floor is defined: whole patterns are permuted, those of a unit's copies together."""
    groups, population = reader.groups(case.subset.attribute), reader.evaluation.population
    tested, events = np.zeros((2, len(runs), len(population.label)))
    inside = np.zeros(len(population.label), dtype=bool)
    for place, (run, view) in enumerate(zip(runs, views, strict=True)):
        rows = view.base(np.arange(len(run.rows)), BASE[rate])
        tested[place, run.rows[rows]] = 1
        events[place, run.rows[rows]] = view.outcome(rate)[rows]
        inside[run.rows[rows]] = True
    order = reader.evaluation.by_content
    used = order[(inside & (groups.defined | groups.masks.any(axis=1)))[order]]
    weight, amounts = population.weight[used], np.concatenate([tested, events])[:, used].astype(int)
    members = np.concatenate([groups.masks[used], np.ones((len(used), 1), dtype=bool)], axis=1)
    packed = np.concatenate([population.unit[used, None], weight[:, None], np.packbits(members, axis=1)], axis=1)
    if (weight != 1).any():
        members = members * weight[:, None]
    if len(np.unique(population.unit[used])) < len(used):
        _, first, row = np.unique(packed, axis=0, return_index=True, return_inverse=True)
        members = members[first]
        amounts = np.stack([np.bincount(row.reshape(-1), amount, len(first)) for amount in amounts]).astype(int)
    rng = generator(0, "floor", groups.attribute, rate)
    sums = permuted_sums(members, np.zeros(len(members), dtype=int), amounts, DRAWS, rng)[:, 0]
    tested, events = sums[:, : len(runs)], sums[:, len(runs) :]
    with np.errstate(invalid="ignore"):
        if case.subset.level == "attribute":
            kept = reader.eligible(groups, reader.positive(case))
            chosen = sorted(set.intersection(*(set(kept[BASE[each]]) for each in case.measure.influence.rates)))
            if len(chosen) < 2:
                return np.full(tested.shape[:2], np.nan)
            return np.ptp(events[..., chosen] / tested[..., chosen], axis=-1)
        place = groups.names.index(str(case.subset.group))
        others = (events[..., -1] - events[..., place]) / (tested[..., -1] - tested[..., place])
        return np.abs(events[..., place] / tested[..., place] - others)


def unlike(kind: str) -> tuple[Tables, Design]:
    """A small study that has something to get wrong."""
    rng = np.random.default_rng(3)
    n, classes = 90, 3 if kind == "classes" else 2
    labels = rng.integers(0, classes, n)
    names = rng.choice(list("abc"), n)
    lists = [[name for name in "pqrs" if rng.random() < 0.4] for _ in range(n)]
    groups = {"who": [[name] for name in names], "what": lists}
    if kind == "undefined":
        groups["who"] = [None if rng.random() < 0.3 else [name] for name in names]
    columns = {}
    if kind == "weights":
        columns["weight"] = rng.uniform(0.5, 2.0, n)
    if kind == "units":
        columns["unit"] = [f"u{place}" for place in rng.integers(0, 50, n)]
    uses = [(method, seed) for method in ("full", "lora", "head") for seed in range(3)]
    if kind == "missing":
        uses.remove(("lora", 1))
    found = []
    for method, seed in uses:
        rows = np.arange(n)
        if kind == "varying":
            rows = np.sort(np.random.default_rng(seed).choice(n, 40 + 5 * (method == "head"), replace=False))
        chances = rng.dirichlet(np.ones(classes), n)
        chances[np.arange(n), labels] += 0.5
        chances = (chances / chances.sum(axis=1, keepdims=True))[rows]
        bare = kind == "labels" and (method, seed) == ("lora", 2)
        made = predictions(f"{method}-{seed}", rows.tolist(), chances.argmax(axis=1) if bare else chances)
        if bare:
            made = made.with_columns(logits=pl.lit(None, dtype=pl.Array(pl.Float32, classes)))
        found.append(made)
    groups["who"][0] = ["d"]  # a group of one
    setting = {"classes": tuple("xyz")} if kind == "classes" else {}
    tables = examples(list(labels), groups, **columns), trials(uses), pl.concat(found)
    return tables, design(("full", "lora", "head"), setting=setting, support=5)


@pytest.mark.parametrize(
    "kind", ["plain", "weights", "units", "varying", "undefined", "missing", "labels", "classes", "small batches"]
)
def test_floors_of_all_methods_and_groups_at_once_are_those_of_each_alone(kind, monkeypatch):
    for module in (noise_floors, sys.modules[__name__]):
        monkeypatch.setattr(module, "DRAWS", 12)
    if kind == "small batches":
        monkeypatch.setattr("evenhand.stats.null.BATCH", 3000)
        monkeypatch.setattr("evenhand.audit.redrawn_calibration.NUMBERS", 31 * DRAWS)
        monkeypatch.setattr("evenhand.audit.redrawn_calibration.SPARSE", 0.35)  # of the groups some are small
    tables, asked = unlike(kind)
    (evaluation,) = evaluations(*tables, asked)
    reading = PredictionReading(evaluation, asked)
    reader, floors = reading.reader, reading.floors
    compared = 0
    for case in (one for measure in select((), "predictions") for one in reading.estimands(measure)):
        if not case.measure.floor or (case.class_code or 0) > 1:
            continue
        for method in evaluation.methods:
            seeds = [seed for seed in evaluation.seeds(method) if (method, seed) in evaluation.runs]
            expected = plain(reader, case, method, seeds)
            found = floors.floors(case, method, seeds)
            assert list(found) == [*seeds, None]
            for one, other in zip(found.values(), expected, strict=True):
                assert (one.mean, one.high) == pytest.approx(
                    (other.mean, other.high), rel=1e-12, abs=1e-15, nan_ok=True
                )
                compared += not np.isnan(other.mean)
            for floor in floors.floors(case, method, seeds[1:2]).values():  # the mean of one run is that run
                own = found[seeds[1]]
                assert (floor.mean, floor.high) == pytest.approx((own.mean, own.high), rel=1e-12, nan_ok=True)
    assert compared > 100


@pytest.mark.parametrize("measure", DISPARITIES)
def test_weights_that_go_with_the_groups_change_no_floor(measure):
    table, uses, found = study(n=240, seeds=2)
    groups = table["attribute.who"].list.first()
    heavy = table.with_columns(weight=pl.when(groups == groups.max()).then(50.0).otherwise(1.0))
    asked = design(measures=(measure,))
    plain, weighted = (of(estimates(each, uses, found, asked), measure) for each in (table, heavy))
    assert weighted["value"] == pytest.approx(plain["value"])
    assert weighted["noise_floor"] == pytest.approx(plain["noise_floor"], rel=0.1)
    assert weighted["noise_high"] == pytest.approx(plain["noise_high"], rel=0.1)


@pytest.mark.parametrize("kind", ["plain", "weights", "units", "varying", "classes"])
def test_shuffled_rows_have_the_same_floors(kind):
    (table, uses, found), asked = unlike(kind)
    order = np.random.default_rng(9).permutation(len(table))
    keys = ["measure", "class", "attribute", "group", "method", "seed", "comparison"]
    first, second = (
        estimates(each, uses, found, asked).sort(keys).select(*keys, "noise_floor", "noise_high")
        for each in (table, table[order])
    )
    assert first.drop_nulls("noise_floor").height > 50
    for column in ("noise_floor", "noise_high"):
        assert second[column].fill_null(-1).to_list() == pytest.approx(first[column].fill_null(-1).to_list(), rel=1e-9)


@pytest.mark.parametrize("kind", ["plain", "units", "varying", "classes"])
def test_the_last_digits_of_probabilities_hardly_move_the_floors(kind):
    """Another processor computes the same model's logits to some six digits only."""
    (table, uses, found), asked = unlike(kind)
    noise = np.random.default_rng(9).normal(scale=3e-6, size=(len(found), len(found["logits"][0])))
    other = found.with_columns(logits=(found["logits"].to_numpy() + noise).astype(np.float32))
    assert not np.array_equal(other["logits"].to_numpy(), found["logits"].to_numpy())
    keys = ["measure", "class", "attribute", "group", "method", "seed", "comparison"]
    first, second = (
        estimates(table, uses, each, asked).sort(keys).select("noise_floor", "noise_high") for each in (found, other)
    )
    assert first.drop_nulls("noise_floor").height > 50
    for column in ("noise_floor", "noise_high"):
        assert second[column].fill_null(-1).to_list() == pytest.approx(first[column].fill_null(-1).to_list(), abs=1e-3)


def test_studies_with_many_predictions_draw_fewer_times(monkeypatch):
    (evaluation,) = evaluations(*unlike("plain")[0], unlike("plain")[1])
    floors = PredictionReading(evaluation, unlike("plain")[1]).floors
    predictions = sum(len(run.rows) for run in evaluation.runs.values())
    for cells, count in ((5000 * predictions, 1000), (500 * predictions, 500), (predictions, 200)):
        monkeypatch.setattr(noise_floors, "CELLS", cells)
        assert replace(floors).count == count
