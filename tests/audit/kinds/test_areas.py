"""Areas under curves in an audit: values, verdicts, what is refused with the reason, and the user's commands."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

import evenhand
from evenhand import metrics
from evenhand.audit.measures import measure_named, select

AREAS = ("roc_auc", "subgroup_auc", "bpsn_auc", "bnsp_auc", "average_precision")


def people(n: int = 900, seed: int = 0, harm: float = 0.0, **columns) -> pl.DataFrame:
    """Two models' probabilities for the same people; the new one ranks group b worse by `harm`."""
    rng = np.random.default_rng(seed)
    label, group, common = rng.integers(0, 2, n), rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]), rng.normal(size=n)
    parts = []
    for model in ("old", "new"):
        signal = np.where((group == "b") & (model == "new"), 1.6 - harm, 1.6)
        score = signal * label + 0.9 * common + 0.4 * rng.normal(size=n)
        part = {"id": np.arange(n), "y": label, "p": expit(score - 0.8), "group": group}
        parts.append(pl.DataFrame(part).with_columns(model=pl.lit(model), **columns))
    return pl.concat(parts)


HOW = {"label": "y", "probability": "p", "groups": "group", "method": "model", "example": "id"}


def audited(frame: pl.DataFrame, *measures: str, **how) -> evenhand.Results:
    return evenhand.audit(frame, **{**HOW, "measures": list(measures), "reference": "old", **how})


def row(frame: pl.DataFrame, **values) -> dict:
    """The only row with these values; None is null."""
    for name, value in values.items():
        frame = frame.filter(pl.col(name).is_null() if value is None else pl.col(name) == value)
    (found,) = frame.iter_rows(named=True)
    return found


def mean_of(results: evenhand.Results, measure: str, group: str | None, method: str = "new", **values) -> dict:
    return row(results.estimates, measure=measure, group=group, method=method, seed=None, comparison=None, **values)


def test_areas_are_computed_on_request_only():
    assert not {measure.name for measure in select([], "predictions")} & set(AREAS)
    assert set(AREAS) < {measure.name for measure in select(["all"], "predictions")}


def test_estimates_are_those_of_the_metrics():
    frame = people()
    results = audited(frame, *AREAS)
    new = frame.filter(model="new")
    label, score, group = (new[name].to_numpy() for name in ("y", "p", "group"))
    assert mean_of(results, "roc_auc", None)["value"] == pytest.approx(roc_auc_score(label, score), abs=1e-12)
    for measure in ("subgroup_auc", "bpsn_auc", "bnsp_auc"):
        values = getattr(metrics, measure)(label, score, sensitive_features=group).as_dict()
        for name, value in values.items():
            assert mean_of(results, measure, name)["value"] == pytest.approx(value, abs=1e-12)
    inside = group == "b"
    precision = metrics.average_precision(label[inside], score[inside])
    assert mean_of(results, "average_precision", "b")["value"] == pytest.approx(precision, abs=1e-12)


def test_a_group_that_is_ranked_worse_is_found_within_and_across_groups():
    verdicts = audited(people(2000, harm=1.2), "roc_auc", "bnsp_auc", margins={"default": 0.02}).verdicts
    for comparison in ("change", "gap change"):
        assert row(verdicts, measure="roc_auc", group="b", comparison=comparison)["verdict"] == "worse"
    assert row(verdicts, measure="bnsp_auc", group="b")["verdict"] == "worse"
    assert row(verdicts, measure="roc_auc", group="a", comparison="change")["verdict"] != "worse"
    assert row(verdicts, measure="roc_auc", group="b", comparison="gap change")["disparity"] == "widens"


def test_one_model_has_gaps_of_areas_within_groups_and_none_across():
    frame = people(2000, harm=1.2).filter(model="new")
    results = evenhand.audit(frame, label="y", probability="p", groups="group", measures=["roc_auc", "bpsn_auc"])
    gaps = results.verdicts.filter(comparison="gap")
    assert set(gaps["measure"]) == {"roc_auc"}
    found = row(gaps, group="b")
    assert found["verdict"] == "worse" and found["low"] > 0
    gap = row(results.estimates, measure="roc_auc", comparison="gap", group="b", seed=None)
    assert gap["value"] == pytest.approx(-found["contrast"])
    assert gap["low"] < gap["value"] < gap["high"] < 0


def test_the_subgroup_area_is_shown_beside_the_verdict_on_the_roc_area():
    verdicts = audited(people(), "roc_auc", "subgroup_auc").verdicts
    ours, theirs = (row(verdicts, measure=name, group="b", comparison="change") for name in ("subgroup_auc", "roc_auc"))
    assert ours["contrast"] == theirs["contrast"]
    assert ours["verdict"] is None and "what decides is ROC AUC" in ours["note"]


def test_fewer_than_30_of_a_class_are_shown_and_not_judged():
    frame = people(400).filter((pl.col("group") != "c") | (pl.col("y") == 0) | (pl.col("id") < 60))
    results = audited(frame, "roc_auc")
    found = row(results.verdicts, group="c", comparison="change")
    assert found["contrast"] is not None and found["low"] is None
    assert found["verdict"] == "inconclusive"
    assert "fewer than 30 positive examples: shown, not judged" in found["note"]


def of_group_c(frame: pl.DataFrame, score: pl.Expr) -> pl.DataFrame:
    return frame.with_columns(p=pl.when(pl.col("group") == "c").then(score).otherwise(pl.col("p")))


@pytest.mark.parametrize(
    ("score", "value", "reason"),
    [
        (pl.col("y") * 0.5 + pl.col("p") / 10, 1.0, "every positive has a higher score than every negative"),
        (0.6 - pl.col("y") * 0.5 + pl.col("p") / 10, 0.0, "every positive has a lower score than every negative"),
        (pl.lit(0.3), 0.5, "all scores are equal"),
    ],
)
def test_an_area_without_spread_has_no_interval_and_says_why(score, value, reason):
    results = audited(of_group_c(people(), score), "roc_auc", "bpsn_auc")
    found = mean_of(results, "roc_auc", "c")
    assert (found["value"], found["low"], found["high"]) == (value, None, None)
    assert f"{reason}: no interval" in found["note"]
    assert row(results.verdicts, measure="roc_auc", group="c", comparison="change")["verdict"] == "inconclusive"


def test_a_group_of_one_class_has_no_area_within_but_one_across():
    frame = people().with_columns(y=pl.when(pl.col("group") == "c").then(1).otherwise(pl.col("y")))
    results = audited(frame, *AREAS)
    within = mean_of(results, "roc_auc", "c")
    assert within["value"] is None and "no negative examples" in within["note"]
    across = mean_of(results, "bpsn_auc", "c")
    assert across["value"] is None and "no negative examples in the group" in across["note"]
    assert mean_of(results, "bnsp_auc", "c")["low"] is not None


def test_an_area_of_one_misplaced_example_has_no_interval():
    noise = np.random.default_rng(0).random(1200)
    frame = people(600).with_columns(p=pl.Series(noise) * 0.3 + pl.col("y") * 0.69)
    positive = frame.filter(y=1)["id"][0]
    slipped = frame.with_columns(p=pl.when(pl.col("id") == positive).then(0.01).otherwise(pl.col("p")))
    found = mean_of(audited(slipped, "roc_auc"), "roc_auc", None)
    assert 0.99 < found["value"] < 1
    assert found["low"] is None and "the distance from 1 rests on fewer than 5 effective examples" in found["note"]


def test_copies_of_examples_as_units_change_nothing_but_whole_rows():
    """Each example twice, declared as units, has the interval of the example once."""
    frame = people(500)
    twice = pl.concat([frame, frame.with_columns(id=pl.col("id") + 500)]).with_columns(unit=pl.col("id") % 500)
    once, doubled = audited(frame, "roc_auc"), audited(twice, "roc_auc", unit="unit")
    for group in (None, "b"):
        ours, theirs = mean_of(once, "roc_auc", group), mean_of(doubled, "roc_auc", group)
        for name in ("value", "low", "high"):
            assert theirs[name] == pytest.approx(ours[name], abs=1e-9)
        first, second = (row(each.verdicts, group=group, comparison="change") for each in (once, doubled))
        assert second["low"] == pytest.approx(first["low"], abs=1e-9)


def test_units_may_hold_positives_and_negatives():
    frame = people(900, unit=pl.col("id") // 3)
    found = mean_of(audited(frame, "roc_auc", unit="unit"), "roc_auc", None)
    assert found["low"] < found["value"] < found["high"]


def test_whole_weights_are_copies():
    frame = people(500).with_columns(w=1 + pl.col("id") % 2)
    copies = pl.concat([frame, frame.filter(pl.col("w") == 2).with_columns(id=pl.col("id") + 500)])
    weighted, copied = audited(frame, *AREAS, weight="w"), audited(copies, *AREAS)
    for measure in AREAS:
        assert mean_of(weighted, measure, "b")["value"] == pytest.approx(mean_of(copied, measure, "b")["value"])


def test_several_classes_are_each_set_against_the_rest():
    rng = np.random.default_rng(1)
    n = 600
    label = rng.integers(0, 3, n)
    score = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[label]
    probability = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    columns = {f"p_{name}": probability[:, k] for k, name in enumerate("xyz")}
    frame = pl.DataFrame({"y": np.array(list("xyz"))[label], "group": rng.choice(["a", "b"], n), **columns})
    how = {"label": "y", "probability": ["p_x", "p_y", "p_z"], "groups": "group", "measures": ["roc_auc"]}
    estimates = evenhand.audit(frame, **how).estimates
    for k, name in enumerate("xyz"):
        found = estimates.filter(pl.col("class") == name, pl.col("group").is_null(), pl.col("seed").is_null())
        assert found["value"].to_list() == pytest.approx([roc_auc_score(label == k, probability[:, k])])


def test_predicted_labels_alone_have_no_area():
    frame = people(300).with_columns(guess=(pl.col("p") > 0.5).cast(pl.Int64))
    how = {**HOW, "prediction": "guess", "reference": "old", "measures": ["roc_auc"]}
    del how["probability"]
    found = mean_of(evenhand.audit(frame, **how), "roc_auc", None)
    assert found["value"] is None and "only labels were predicted, no probabilities" in found["note"]


def test_unpaired_models_add_their_variances():
    paired = audited(people(), "roc_auc")
    frame = people().with_columns(
        id=pl.when(pl.col("model") == "new").then(pl.col("id") + 5000).otherwise(pl.col("id"))
    )
    apart = audited(frame.sample(fraction=1.0, shuffle=True, seed=0), "roc_auc", example=None)
    ours, theirs = (row(each.verdicts, group=None, comparison="change") for each in (paired, apart))
    assert "unpaired" in theirs["note"]
    assert theirs["contrast"] == pytest.approx(ours["contrast"])
    assert theirs["high"] - theirs["low"] > 1.2 * (ours["high"] - ours["low"])


def test_the_command_line_audits_areas(tmp_path, evenhand):
    table = tmp_path / "people.csv"
    people(2000, harm=1.2).write_csv(table)
    options = (
        "--label y --probability p --group group --method model --reference old --example id --margin default=0.02"
    )
    asked = [f"--measure={name}" for name in ("roc_auc", "bpsn_auc", "bnsp_auc")]
    done = evenhand("audit", table, *options.split(), *asked, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "ROC AUC" in done.stdout and "worse" in done.stdout
    checked = evenhand("check", tmp_path / "out")
    assert checked.returncode == 1
    assert evenhand("report", tmp_path / "out", "--format", "md").returncode == 0
    assert (tmp_path / "out" / "report.html").exists()


def test_measures_say_which_direction_is_worse_and_who_decides():
    assert {measure_named(name).direction for name in AREAS} == {-1}
    assert [name for name in AREAS if not measure_named(name).decides] == ["subgroup_auc"]
    assert [name for name in AREAS if measure_named(name).gaps] == ["roc_auc"]
