"""The audit's rates, gaps and ratios of groups against fairlearn's MetricFrame and hand computation, to 1e-12.

Of 500 problems each is a run with examples of its own, and a level of a control feature in fairlearn. Problems are like
COMPAS (six groups, one of them most of the rows), Adult (two groups, a rare positive class) and German credit (few
rows, most of them positive); one in five has equal rates in two groups.
"""

from __future__ import annotations

import csv
import warnings

import numpy as np
import polars as pl
import pytest

import evenhand

fairlearn = pytest.importorskip("fairlearn.metrics")

PROBLEMS, TOGETHER, FEW = 500, 20, 60
EXACT = 1e-12
RATES = ("accuracy", "selection_rate", "true_positive_rate", "false_positive_rate")
BETWEEN = ("demographic_parity_ratio", "four_fifths_difference")
KINDS = {
    "compas": ((0.45, 0.3, 0.1, 0.06, 0.05, 0.04), (0.52, 0.39, 0.36, 0.35, 0.6, 0.45), 400),
    "adult": ((0.67, 0.33), (0.31, 0.11), 250),
    "german": ((0.55, 0.31, 0.14), (0.72, 0.65, 0.6), 120),
}
"""Shares of the groups, their base rates, and rows."""


def problem(seed: int) -> dict[str, np.ndarray]:
    """Labels, predictions and groups; every group has all four outcomes, so that each rate is defined."""
    rng = np.random.default_rng([11, seed])
    sizes, base, n = list(KINDS.values())[seed % 3]
    group = np.concatenate([np.repeat(np.arange(len(sizes)), 12), rng.choice(len(sizes), n, p=sizes)])
    label = (rng.random(len(group)) < np.array(base)[group]).astype(int)
    hit = rng.uniform(0.55, 0.95, len(sizes))
    predicted = np.where(rng.random(len(group)) < hit[group], label, 1 - label)
    first = 12 * len(sizes)
    label[:first], predicted[:first] = np.tile([0, 0, 1, 1] * 3, len(sizes)), np.tile([0, 1] * 6, len(sizes))
    if seed % 5 == 0:  # the second group is a copy of the first: rates and ranks tie
        keep = group != 1
        copied = np.flatnonzero(group == 0)
        order = np.concatenate([np.flatnonzero(keep), copied])
        group = np.concatenate([group[keep], np.ones(len(copied), int)])
        label, predicted = label[order], predicted[order]
    return {"label": label, "predicted": predicted, "group": np.array(list("abcdef"))[group]}


@pytest.fixture(scope="module", params=[FEW, pytest.param(PROBLEMS, marks=pytest.mark.slow)])
def table(request) -> pl.DataFrame:
    """The first problems, or all of them."""
    frames = []
    for seed in range(request.param):
        rows = pl.DataFrame(problem(seed))
        frames.append(rows.with_columns(problem=pl.lit(seed), id=pl.format(f"{seed}-{{}}", pl.int_range(len(rows)))))
    return pl.concat(frames)


Values = dict[tuple, float]
"""By comparison, measure, problem and group."""


def values_of(table: pl.DataFrame, measures: tuple[str, ...], against: str) -> Values:
    """The values of audits of some problems at once, those of one kind, as runs of one model."""
    found: Values = {}
    problems = table["problem"].unique().sort().to_list()
    for kind in range(3):
        same = [number for number in problems if number % 3 == kind]
        for start in range(0, len(same), TOGETHER):
            rows = table.filter(pl.col("problem").is_in(same[start : start + TOGETHER]))
            results = evenhand.audit(rows, label="label", prediction="predicted", groups="group", seed="problem",
                                     example="id", measures=measures, against=against)  # fmt: skip
            keys = ("comparison", "measure", "seed", "group")
            kept = results.estimates.filter(pl.col("seed").is_not_null()).iter_rows(named=True)
            found |= {tuple(row[key] for key in keys): row["value"] for row in kept}
    return found


@pytest.fixture(scope="module")
def audited(table) -> dict[str, Values]:
    """By whom groups are compared with."""
    measures = (*RATES, "demographic_parity_ratio")
    return {against: values_of(table, measures, against) for against in ("rest", "overall", "a")}


def metric_frame(table: pl.DataFrame, names: tuple[str, ...]):
    """fairlearn's, with its functions of these names; the accuracy is NumPy's, since scikit-learn's is slow."""

    def accuracy(label, predicted):
        return np.mean(label == predicted)

    metrics = {name: accuracy if name == "accuracy" else getattr(fairlearn, name) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fairlearn.MetricFrame(
            metrics=metrics,
            y_true=table["label"].to_numpy(),
            y_pred=table["predicted"].to_numpy(),
            sensitive_features=table["group"].to_numpy(),
            control_features=table["problem"].to_numpy(),
        )


@pytest.fixture(scope="module")
def whole(table):
    """fairlearn's frame of all problems."""
    return metric_frame(table, RATES[:2])


@pytest.fixture(scope="module")
def rates(table, whole):
    """fairlearn's rates by problem and group, and by problem; those within a class of the first problems."""
    few = metric_frame(table.filter(pl.col("problem") < FEW), RATES[2:])
    frames = dict.fromkeys(RATES[:2], whole) | dict.fromkeys(RATES[2:], few)
    by_group = {name: dict(frame.by_group[name].dropna().items()) for name, frame in frames.items()}
    return by_group, {name: dict(frame.overall[name].items()) for name, frame in frames.items()}


def test_rates_of_groups_and_of_everyone_are_fairlearns(audited, rates):
    by_group, overall = rates
    assert len(by_group["accuracy"]) > 3 * len(overall["accuracy"])
    for name in RATES:
        for (number, group), value in by_group[name].items():
            assert audited["rest"][None, name, number, group] == pytest.approx(value, abs=EXACT)
        for number, value in overall[name].items():
            assert audited["rest"][None, name, number, None] == pytest.approx(value, abs=EXACT)


def test_gaps_to_a_group_and_to_everybody_are_differences_of_fairlearns_rates(audited, rates):
    by_group, overall = rates
    for name in RATES:
        for (number, group), value in by_group[name].items():
            gap = audited["overall"]["gap", name, number, group]
            assert gap == pytest.approx(value - overall[name][number], abs=EXACT)
            if group != "a":
                gap = audited["a"]["gap", name, number, group]
                assert gap == pytest.approx(value - by_group[name][number, "a"], abs=EXACT)


def test_gaps_and_ratios_to_the_rest_are_those_computed_by_hand(audited, table):
    found = audited["rest"]
    for (number,), rows in table.group_by("problem"):
        label, predicted, group = (rows[name].to_numpy() for name in ("label", "predicted", "group"))
        everyone = np.ones(len(label), dtype=bool)
        outcomes = {
            "accuracy": (label == predicted, everyone),
            "selection_rate": (predicted == 1, everyone),
            "true_positive_rate": (predicted == 1, label == 1),
            "false_positive_rate": (predicted == 1, label == 0),
        }
        for each in np.unique(group):
            for name, (outcome, base) in outcomes.items():
                ours, rest = outcome[base & (group == each)].mean(), outcome[base & (group != each)].mean()
                assert found["gap", name, number, each] == pytest.approx(ours - rest, abs=EXACT)
                if name == "selection_rate":
                    ratio, rule = (found[None, other, number, each] for other in BETWEEN)
                    assert (ratio, rule) == pytest.approx((ours / rest, ours - 0.8 * rest), abs=EXACT)


def test_ratios_are_those_of_fairlearns_rates(audited, rates):
    by_group, overall = (part["selection_rate"] for part in rates)
    for (number, group), value in by_group.items():
        ratio = audited["overall"][None, BETWEEN[0], number, group]
        assert ratio == pytest.approx(value / overall[number], abs=EXACT)
        if group == "a":
            assert (None, BETWEEN[0], number, "a") not in audited["a"]
            continue
        ratio = audited["a"][None, BETWEEN[0], number, group]
        assert ratio == pytest.approx(value / by_group[number, "a"], abs=EXACT)


def test_the_smallest_ratio_over_the_largest_is_fairlearns_demographic_parity_ratio(audited, whole):
    """fairlearn divides by the highest observed rate; the audit by that of the declared group."""
    ratios: dict[int, list[float]] = {}
    for (comparison, name, number, _), value in audited["a"].items():
        if comparison is None and name == BETWEEN[0]:
            ratios.setdefault(number, [1.0]).append(value)
    for number, value in whole.ratio()["selection_rate"].items():
        assert min(ratios[number]) / max(ratios[number]) == pytest.approx(value, abs=EXACT)


def test_differences_between_groups_are_fairlearns(table, whole):
    """Of the first problems: noise floors take long."""
    few = table.filter(pl.col("problem") < FEW // 2)
    values = values_of(few, ("demographic_parity_difference", "accuracy_difference"), "rest")
    differences = whole.difference()
    for name, rate in (("demographic_parity_difference", "selection_rate"), ("accuracy_difference", "accuracy")):
        for number in few["problem"].unique():
            assert values[None, name, number, None] == pytest.approx(differences[rate][number], abs=EXACT)


def test_adult_by_race_and_sex_is_fairlearns(shared_data):
    """Real rows, and a rule in place of a model: at least 13 years of education, or a capital gain above 5,000."""
    lines = (shared_data / "adult" / "adult.data").read_text().splitlines()[1:]
    rows = [row for row in csv.reader(lines, skipinitialspace=True) if len(row) == 15]
    label, race, sex = [int(row[14] == ">50K") for row in rows], [row[8] for row in rows], [row[9] for row in rows]
    guess = [int(int(row[4]) >= 13 or int(row[10]) > 5000) for row in rows]
    table = pl.DataFrame({"label": label, "guess": guess, "race": race, "sex": sex})
    results = evenhand.audit(table, label="label", prediction="guess", groups=["race", "sex"],
                             measures=["selection_rate", BETWEEN[0]], against=["White", "Male"])  # fmt: skip
    kept = results.estimates.filter(pl.col("seed").is_null(), pl.col("comparison").is_null())
    for values, attribute, declared in ((race, "race", "White"), (sex, "sex", "Male")):
        frame = fairlearn.MetricFrame(
            metrics=fairlearn.selection_rate, y_true=label, y_pred=guess, sensitive_features=values
        )
        rate, other = dict(frame.by_group.items()), frame.by_group[declared]
        for row in kept.filter(attribute=attribute).drop_nulls("group").iter_rows(named=True):
            own = rate[row["group"]]
            expected = {"selection_rate": own, BETWEEN[0]: own / other, BETWEEN[1]: own - 0.8 * other}
            assert row["value"] == pytest.approx(expected[row["measure"]], abs=EXACT), row
