"""Claims about membership scores that somebody else made: values with closed forms, what is refused, who leaks more."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr, ndtri
from sklearn.metrics import roc_auc_score

from evenhand import Results
from evenhand.audit.comparisons import conclude
from evenhand.audit.ingest.table import audit
from evenhand.audit.kinds.membership import OWN, POOLED, ROC
from evenhand.audit.kinds.membership_evidence import membership_evidence
from evenhand.audit.membership.leakage import Targets, balanced_accuracy, rate
from evenhand.errors import InputError
from evenhand.metrics import attack_accuracy
from evenhand.stats.roc_point import pooled_tpr

AUC, TPR, RARE = "membership_auc", "membership_tpr_at_fpr_0.01", "membership_tpr_at_fpr_0.001"
BALANCED, GAP = "membership_balanced_accuracy", "membership_auc_difference"

ONE = {"member": "in", "score": "s", "groups": "race"}
SEVERAL = {**ONE, "method": "method", "seed": "seed", "example": "id", "reference": "full"}


def scores(deltas: dict[str, float], n: int = 600, models: int = 4, group: float = 1.0, seed: int = 0) -> pl.DataFrame:
    """Scores N(0, 1) of non-members and N(δ, 1) of members, from models that were trained on random halves in
    complementary pairs; for the second group of two δ is multiplied by `group`."""
    rng = np.random.default_rng(seed)
    race = np.where(np.arange(n) % 3 == 2, "b", "a")
    halves = [rng.random(n) < 0.5 for _ in range(max(models // 2, 1))]
    member = [*halves, *(~half for half in halves)]
    return pl.concat(
        pl.DataFrame(
            {
                "id": [f"e{i}" for i in range(n)],
                "method": method,
                "seed": model,
                "race": race,
                "in": member[model],
                "s": rng.normal(size=n) + delta * np.where(race == "b", group, 1.0) * member[model],
            }
        )
        for method, delta in deltas.items()
        for model in range(models)
    )


def one(frame: pl.DataFrame, measure: str, **where) -> dict:
    """The row over seeds that is about everyone, unless `where` says otherwise."""
    place = {"attribute": None, "group": None, "condition": None, **where}
    if "seed" in frame.columns:
        place = {"seed": None, **place}
    rows = frame.filter(measure=measure)
    for key, value in place.items():
        rows = rows.filter(pl.col(key).is_null() if value is None else pl.col(key) == value)
    return rows.row(0, named=True)


def test_normal_scores_have_the_known_area_and_rates():
    estimates = audit(scores({"m": 1.0}, n=60_000, models=1), **ONE).estimates
    for measure, truth in (
        (AUC, ndtr(1 / math.sqrt(2))),
        (TPR, ndtr(1 - ndtri(0.99))),
        (RARE, ndtr(1 - ndtri(0.999))),
    ):
        row = one(estimates, measure)
        assert row["low"] < truth < row["high"]
        assert row["value"] == pytest.approx(truth, rel=0.12)
        assert row["n"] == 60_000


def test_values_are_those_of_the_metrics_and_of_scikit_learn():
    frame = scores({"m": 0.7}).sort("seed", "id")
    estimates = audit(frame, **ONE, seed="seed", example="id").estimates
    score, member, race = (np.stack(list(frame[name].to_numpy().reshape(4, -1))) for name in ("s", "in", "race"))
    inside = race[0] == "b"
    assert one(estimates, AUC)["value"] == pytest.approx(roc_auc_score(member.ravel(), score.ravel()))
    of = {"attribute": "race", "group": "b"}
    own = roc_auc_score(member[:, inside].ravel(), score[:, inside].ravel())
    assert one(estimates, AUC, **of)["value"] == pytest.approx(own)
    second = roc_auc_score(member[2], score[2])
    assert one(estimates, AUC, seed=2)["value"] == pytest.approx(second)
    assert one(estimates, TPR)["value"] == pytest.approx(pooled_tpr(score, member, 0.01).estimate)
    pooled = one(estimates, TPR, **of, condition=POOLED)["value"]
    assert pooled == pytest.approx(pooled_tpr(score, member, 0.01, inside, np.ones(len(inside), bool)).estimate)
    assert one(estimates, BALANCED)["value"] == pytest.approx(attack_accuracy(score, member).mean())
    known = attack_accuracy(score, member, where=inside).mean()
    assert one(estimates, BALANCED, **of, condition=OWN)["value"] == pytest.approx(known)


def test_a_rate_comes_with_its_realised_fpr_and_counts():
    note = one(audit(scores({"m": 1.0}), **ONE, seed="seed", example="id").estimates, TPR)["note"]
    assert "of 1,200 members at a realised FPR of 0.01 (12.01 of 1,200 non-members, 600 distinct ones set" in note
    assert "may be off by more than a third" in note


def test_too_few_non_members_refuse_the_rate_and_draw_the_curve():
    results = audit(scores({"m": 1.0}), **ONE, seed="seed", example="id")
    row = one(results.estimates, TPR, attribute="race", group="b", condition=OWN)
    assert row["value"] is None and row["low"] is None
    assert "200 distinct non-members: TPR at an FPR of 0.01 needs 300" in row["note"]
    assert one(results.estimates, TPR, attribute="race", group="b", condition=POOLED)["value"] is not None
    curve = results.curves.filter(measure=ROC, group="b")
    assert len(curve) > 10 and curve["x"].is_sorted() and curve["y"].is_sorted()
    assert (curve["low"].is_null() == (curve["x"] * 200 < 3)).all(), "a band where the rate would be refused"
    assert (curve["low"] <= curve["y"]).all() and (curve["y"] <= curve["high"]).all()
    assert curve.row(-1, named=True)["x"] == curve.row(-1, named=True)["y"] == 1


def test_one_model_has_no_balanced_accuracy_and_says_why():
    row = one(audit(scores({"m": 1.0}, models=1), **ONE).estimates, BALANCED)
    assert row["value"] is None and "one model" in row["note"]


def test_a_method_that_leaks_more_is_worse_and_one_that_leaks_alike_is_equivalent():
    deltas = {"full": 0.6, "lora": 1.4, "head": 0.6}
    results = audit(scores(deltas, n=1500), **SEVERAL, margins={"default": 0.06, TPR: 0.02})
    lora = results.verdicts.filter(method="lora")
    assert one(lora, AUC)["verdict"] == one(lora, TPR)["verdict"] == "worse"
    assert one(lora, AUC)["contrast"] == pytest.approx(ndtr(1.4 / math.sqrt(2)) - ndtr(0.6 / math.sqrt(2)), abs=0.03)
    assert one(lora, AUC, attribute="race", group="a")["verdict"] == "worse"
    assert one(results.verdicts.filter(method="head"), AUC)["verdict"] == "equivalent"
    assert one(lora, RARE)["contrast"] is None and "needs 3000" in one(lora, RARE)["note"]
    assert one(lora, RARE)["verdict"] == "inconclusive"
    assert one(lora, TPR)["margin"] == 0.02 and one(lora, RARE)["margin"] is None


def test_pairing_by_example_makes_the_interval_shorter():
    frame = scores({"full": 0.5, "lora": 0.8}, n=900)
    hard = np.random.default_rng(1).normal(size=900) * 2
    frame = frame.with_columns(s=pl.col("s") + np.tile(hard, 8))
    paired = one(audit(frame, **SEVERAL).verdicts, AUC)
    other = frame.with_columns(id=pl.when(method="lora").then("x" + pl.col("id")).otherwise("id"))
    alone = {
        key: one(audit(other.filter(method=key), **ONE, seed="seed", example="id").estimates, AUC)
        for key in ("full", "lora")
    }
    apart = math.hypot(*(row["high"] - row["low"] for row in alone.values()))
    assert paired["high"] - paired["low"] < 0.7 * apart
    assert "clustered by model and example" in paired["note"]


def test_methods_that_were_trained_on_other_examples_are_compared_unpaired():
    frame = scores({"full": 0.5}, n=900)
    other = scores({"lora": 1.2}, n=900, seed=9)
    row = one(audit(pl.concat([frame, other]), **SEVERAL).verdicts, AUC)
    assert row["verdict"] == "worse" and "not trained on the same examples" in row["note"]


def test_one_model_of_each_method_gives_a_verdict_about_these_models():
    row = one(audit(scores({"full": 0.2, "lora": 2.0}, models=1), **SEVERAL).verdicts, AUC)
    assert row["contrast"] > 0.2 and row["verdict"] == "worse" and row["scope"] == "these models"
    assert "one run of each: about these two models" in row["note"]


def test_a_group_that_leaks_more_is_outside_of_the_noise_floor_and_equal_groups_are_inside():
    unequal, equal = (
        one(audit(scores({"m": 0.6}, group=by), **ONE, seed="seed", example="id").estimates, GAP, attribute="race")
        for by in (2.0, 1.0)
    )
    assert unequal["value"] > unequal["noise_high"] > 0 and "permutations of the groups 0.005" in unequal["note"]
    assert equal["value"] <= equal["noise_high"] and "inside its noise floor" in equal["note"]


def test_copies_that_are_one_unit_make_intervals_wider_and_leave_no_noise_floor():
    frame = scores({"m": 1.0}, models=1)
    double = pl.concat([frame, frame.with_columns(id="copy of " + pl.col("id"))]).with_columns(
        family=pl.col("id").str.replace("copy of ", "")
    )
    options = {**ONE, "seed": "seed", "example": "id"}
    single, naive, whole = (
        audit(table, **options, **more).estimates
        for table, more in ((frame, {}), (double, {}), (double, {"unit": "family"}))
    )
    width = [one(table, AUC)["high"] - one(table, AUC)["low"] for table in (single, naive, whole)]
    assert width[2] == pytest.approx(width[0], rel=0.02) and width[1] < 0.8 * width[0]
    row = one(whole, GAP, attribute="race")
    assert row["noise_floor"] is None and "no noise floor" in row["note"]


def test_membership_flipped_within_pairs_leaks_nothing():
    frame = scores({"m": 0.0}, n=900)
    row = one(audit(frame, **ONE, seed="seed", example="id").estimates, AUC)
    assert row["low"] < 0.5 < row["high"]


def test_scores_the_wrong_way_round_are_pointed_out():
    row = one(audit(scores({"m": -1.0}), **ONE, seed="seed", example="id").estimates, AUC)
    assert row["high"] < 0.5 and "should be the higher one" in row["note"]


def test_groups_labels_and_predictions_may_be_absent():
    results = audit(scores({"m": 1.0}), member="in", score="s", seed="seed", example="id")
    assert set(results.estimates["group"]) == {None} and results.predictions.is_empty()
    assert set(results.examples["label"]) == {None}


def test_predictions_of_what_a_model_was_trained_on_are_not_audited():
    frame = scores({"full": 1.0, "lora": 1.0}).with_columns(y=pl.col("id").str.slice(1).cast(pl.Int64) % 2)
    frame = frame.with_columns(yhat=pl.when("in").then("y").otherwise(0))  # right where it was trained on
    results = audit(frame, **SEVERAL, label="y", prediction="yhat")
    assert one(results.estimates, "accuracy")["value"] == pytest.approx(0.5, abs=0.05)
    assert one(results.estimates, AUC)["value"] > 0.7
    assert results.design.settings["table"].vary


def test_results_are_kept_and_read_back(tmp_path):
    results = audit(scores({"full": 0.5, "lora": 1.0}), **SEVERAL, out=tmp_path / "out")
    read = Results.load(tmp_path / "out")
    for name in ("estimates", "verdicts", "curves", "members", "scores"):
        assert getattr(read, name).equals(getattr(results, name))
    odd = pl.col("id").str.slice(1).cast(pl.Int64) % 2
    label = scores({"m": 1.0}, models=1).with_columns(y=odd, guess=odd)
    audit(label, label="y", prediction="guess", groups="race", out=tmp_path / "out")
    assert not (tmp_path / "out" / "scores.parquet").exists()


def test_only_the_measures_that_are_asked_for_are_taken():
    results = audit(scores({"m": 1.0}), **ONE, seed="seed", example="id", measures=[AUC])
    assert set(results.estimates["measure"]) == {AUC}


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"in": pl.lit(True)}, {}, '"in" (member) is true in every row'),
        ({"in": pl.lit("maybe")}, {}, 'says "maybe" in row 0'),
        ({"s": pl.lit("high")}, {}, '"s" (score) says "high" in row 0; numbers are needed'),
        ({"s": pl.lit(float("nan"))}, {}, '"s" (score) is empty in 600 of 600 rows'),
        ({"s": pl.lit(float("inf"))}, {}, '"s" (score) is inf in row 0; finite numbers are needed'),
        ({}, {"score": None}, "the column of member is named and that of score is not"),
        ({}, {"score": "scor"}, 'no column "scor" (score)'),
        ({}, {"prediction": "in"}, 'the column "in" (prediction) is used as member too'),
        ({}, {"weight": "s"}, "weights (s) play no part"),
        ({}, {"member": None, "score": None}, "name the column of labels"),
        ({}, {"margins": {"membership_auk": 0.1}}, 'no measure "membership_auk"; did you mean "membership_auc"'),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(change, options, words):
    frame = scores({"m": 1.0}, models=1).with_columns(**change)
    with pytest.raises(InputError) as refused:
        audit(frame, **{**ONE, **options})
    assert words in str(refused.value) and "\n" not in str(refused.value)


def pool(rng: np.random.Generator, delta: float, half: np.ndarray, hard: np.ndarray) -> Targets:
    """Models in pairs that differ in how sure they are and how much they remember, of examples that differ in both."""
    member = np.concatenate([half, ~half])
    models, n = member.shape
    leak = delta * np.exp(rng.normal(0, 0.25, (models, 1))) * rng.exponential(size=n)
    score = hard + rng.normal(0, 0.3, (models, 1)) + rng.normal(size=member.shape) + leak * member
    return Targets(tuple(range(models)), score, member, np.ones(member.shape, dtype=bool), np.arange(n))


@pytest.mark.slow
@pytest.mark.parametrize("models", [4, 8])
def test_intervals_of_balanced_accuracy_and_of_contrasts_cover(models):
    n, repetitions = 1000, 300
    taken = {
        BALANCED: lambda one, rows: balanced_accuracy(one, rows, rows),
        TPR: lambda one, rows: rate(one, rows, rows, 0.01),
    }
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in ("accuracy", *taken)}
    for repetition in range(repetitions):
        rng = np.random.default_rng(repetition)
        half, hard = rng.random((models // 2, n)) < 0.5, rng.normal(size=n)
        ours, theirs = (pool(rng, delta, half, hard) for delta in (1.0, 0.7))
        whole = balanced_accuracy(ours, ours.known, ours.known).pooled
        found["accuracy"].append((whole.estimate, *whole.interval()))
        for name, measure in taken.items():
            made = conclude(membership_evidence(ours, theirs, np.ones(n, dtype=bool), measure, matched=True), 10)
            assert made.estimate is not None and made.interval is not None
            found[name].append((made.estimate, *made.interval.bounds(0.025)))
    for name, rows in found.items():
        estimate, low, high = np.array(rows).T
        truth = estimate.mean()
        assert 0.91 <= ((low <= truth) & (truth <= high)).mean() <= 0.99, name


def test_a_model_that_was_trained_on_everyone_of_a_group_is_left_out_of_the_groups_gap():
    """It has no balanced accuracy there, so that the group and its rest would be means over different models."""
    rng = np.random.default_rng(7)
    groups, frames = rng.choice(["a", "b", "c"], 300), []
    for method in ("full", "lora"):
        for model in range(4):
            member = np.random.default_rng(model).random(300) < 0.5
            if model == 0:
                member[groups == "c"] = True
            score = rng.normal(size=300) + 0.5 * member
            frame = pl.DataFrame({"id": np.arange(300), "race": groups, "in": member, "s": score})
            frames.append(frame.with_columns(method=pl.lit(method), seed=pl.lit(model)))
    table = pl.concat(frames)
    results = audit(table, **SEVERAL, measures=[BALANCED])
    (row,) = results.verdicts.filter(comparison="gap change", group="c").to_dicts()
    assert row["runs"] == 3 and "defined in 3 of 4 models" in row["note"]
    others = audit(table.filter(pl.col("seed") > 0), **SEVERAL, measures=[BALANCED])
    assert row["contrast"] == pytest.approx(others.verdicts.filter(comparison="gap change", group="c")["contrast"][0])
    alone = audit(table.filter(method="full"), **ONE, seed="seed", example="id", measures=[BALANCED])
    assert alone.verdicts.filter(comparison="gap", group="c")["runs"].item() == 3
    assert alone.verdicts.filter(comparison="gap", group="a")["runs"].item() == 4
