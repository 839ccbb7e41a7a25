"""Claims about attacked pools: scores are those of the attack, failures take their twins, misfits are refused."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest

from evenhand import Results, records
from evenhand.audit.membership.pool import attacked
from evenhand.errors import InputError
from evenhand.metrics import attack_pool, attack_targets, attack_without_each_pair, membership_auc
from evenhand.stats.discrimination import pooled_auc
from pool_records import Tables, design, pool, separate

AUC, TPR, GAP = "membership_auc", "membership_tpr_at_fpr_0.01", "membership_auc_difference"


def one(frame: pl.DataFrame, measure: str, **where) -> dict:
    """The row over seeds that is about everyone, unless `where` says otherwise."""
    place = {"attribute": None, "group": None, "condition": None, **where}
    if "seed" in frame.columns:
        place = {"seed": None, **place}
    return frame.filter(*(pl.col(key).eq_missing(pl.lit(value)) for key, value in place.items()), measure=measure).row(
        0, named=True
    )


def arrays(tables: Tables, method: str, models: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """φ, membership and pairs of a method's pool, read from its records by hand."""
    examples, _, predictions = tables
    order = examples.select("example", "label")
    phi, member = [], []
    for model in range(models):
        rows = order.join(predictions.filter(trial=f"{method}-pool-{model}"), on="example", maintain_order="left")
        logits = rows["logits"].to_numpy().astype(float)
        label = rows["label"].to_numpy()
        phi.append(logits[np.arange(len(label)), label] - logits[np.arange(len(label)), 1 - label])
        member.append((rows["split"] == "train").to_numpy())
    return np.array(phi), np.array(member), (np.arange(models) + models // 2) % models


def matrix(frame: pl.DataFrame, method: str, column: str, models: int = 8) -> np.ndarray:
    """A column of the table `scores` or `members`, [models, n]."""
    ids = pl.col("example").str.slice(1).cast(pl.Int64)
    parts = [frame.filter(trial=f"{method}-pool-{model}").sort(ids)[column].to_numpy() for model in range(models)]
    return np.array(parts)


@pytest.fixture(scope="module")
def leaky() -> Tables:
    return pool({"full": 0.4, "lora": 1.2})


@pytest.fixture(scope="module")
def results(leaky) -> Results:
    return Results.compute(*leaky, design(margins={"default": 0.05}))


@pytest.mark.parametrize(
    "membership",
    [
        {},
        {"attack": "loss"},
        {"attack": "difficulty"},
        {"attack": "rmia", "mode": "offline", "gamma": 2.0, "a": 0.5},
        {"attack": "lira", "mode": "offline", "variance": "shrunk"},
    ],
)
def test_the_scores_are_those_of_the_attack(leaky, membership):
    found = attacked(*leaky, design(membership=membership))
    for method in ("full", "lora"):
        phi, member, pairs = arrays(leaky, method)
        options = {"variance": "auto", **membership}
        assert matrix(found.scores, method, "score") == pytest.approx(attack_pool(phi, member, pairs, **options))
        assert (matrix(found.members, method, "member") == member).all()


def test_a_method_that_leaks_more_is_worse_and_its_area_is_that_of_the_metrics(leaky, results):
    assert one(results.verdicts, AUC)["verdict"] == one(results.verdicts, TPR)["verdict"] == "worse"
    assert one(results.verdicts, AUC, attribute="race", group="b")["verdict"] == "worse"
    phi, member, pairs = arrays(leaky, "lora")
    area = membership_auc(attack_pool(phi, member, pairs), member)
    assert one(results.estimates, AUC, method="lora")["value"] == pytest.approx(area)
    second = membership_auc(attack_pool(phi, member, pairs)[2], member[2])
    assert one(results.estimates, AUC, method="lora", seed=2)["value"] == pytest.approx(second)
    assert results.members.height == results.scores.height == 2 * 8 * 600


def test_areas_have_the_interval_of_the_jackknife_over_pairs(leaky, results):
    phi, member, pairs = arrays(leaky, "full")
    score = attack_pool(phi, member, pairs)
    left = [membership_auc(found, member[kept]) for kept, found in attack_without_each_pair(phi, member, pairs)]
    plain = pooled_auc(score, member)
    low, high = plain.jackknifed(np.array(left), pairs).interval()
    row = one(results.estimates, AUC, method="full")
    assert (row["low"], row["high"]) == (pytest.approx(low, abs=1e-6), pytest.approx(high, abs=1e-6))
    assert high - low != pytest.approx(plain.interval()[1] - plain.interval()[0], rel=0.01)
    note = one(results.verdicts, AUC)["note"]
    assert "pairs left out in turn" in note and one(results.verdicts, AUC)["runs"] == 4
    assert one(results.verdicts, TPR)["runs"] == 8


def test_a_loss_rests_on_no_other_model_and_needs_no_jackknife(leaky):
    row = one(Results.compute(*leaky, design(membership={"attack": "loss"}, measures=[AUC])).verdicts, AUC)
    assert row["runs"] == 8 and "clustered by model and example" in row["note"]


def test_a_group_that_leaks_more_is_outside_of_the_noise_floor():
    tables = pool({"full": {"a": 0.2, "b": 1.6}, "lora": 0.8})
    estimates = Results.compute(*tables, design(measures=[AUC, GAP])).estimates
    unequal, equal = (one(estimates, GAP, attribute="race", method=method) for method in ("full", "lora"))
    assert unequal["value"] > unequal["noise_high"] and unequal["low"] > 0
    assert equal["value"] <= equal["noise_high"]
    own = one(estimates, AUC, attribute="race", group="b", method="full")
    assert own["low"] > one(estimates, AUC, attribute="race", group="a", method="full")["high"]


def test_a_method_that_leaks_more_unequally_is_worse_in_the_gap_change():
    """Of two groups the gap changes are one number; the range of the groups is shown and not judged."""
    leaks = {"full": 0.8, "lora": {"a": 0.2, "b": 2.0}}
    found = Results.compute(*pool(leaks, n=900), design(measures=[AUC, GAP])).verdicts
    (row,) = found.filter(comparison="gap change", measure=AUC).rows(named=True)
    assert (row["group"], row["verdict"], row["disparity"]) == ("b", "worse", "widens") and row["contrast"] > 0.2
    assert row["scope"] == "the methods" and "clustered by model and example" in row["note"]
    shown = one(found, GAP, attribute="race")
    assert shown["verdict"] is None and shown["contrast"] > 0.2 and "biased upward" in shown["note"]
    same = Results.compute(*pool({"full": 0.8, "lora": 0.9}, n=900), design(measures=[AUC, GAP])).verdicts
    assert same.filter(comparison="gap change")["verdict"].to_list() == ["inconclusive"]


def test_the_gap_of_areas_is_the_groups_minus_the_rests(results):
    found = results.estimates.filter(measure=AUC, comparison="gap", method="full", attribute="race", group="a")
    levels = [one(results.estimates, AUC, attribute="race", group=group, method="full")["value"] for group in "ab"]
    whole = found.filter(pl.col("seed").is_null()).row(0, named=True)
    assert whole["value"] == pytest.approx(levels[0] - levels[1]) and whole["low"] < whole["value"] < whole["high"]
    assert len(found) == 9 and whole["against"] == "rest"


def test_the_contrast_of_gaps_is_that_of_the_groups_areas(leaky, results):
    areas = {
        (method, group): one(results.estimates, AUC, attribute="race", group=group, method=method)["value"]
        for method in ("full", "lora")
        for group in "ab"
    }
    gaps = [abs(areas[method, "a"] - areas[method, "b"]) for method in ("lora", "full")]
    assert one(results.verdicts, GAP, attribute="race")["contrast"] == pytest.approx(gaps[0] - gaps[1])


def false_alarms(repetitions: int) -> tuple[int, float]:
    """How often a method is worse than another of pools without a signal, and the mean AUC of both."""
    worse, areas = 0, []
    for seed in range(repetitions):
        found = Results.compute(*pool({"full": 0.0, "lora": 0.0}, n=200, seed=seed), design(measures=[AUC]))
        worse += one(found.verdicts, AUC)["verdict"] == "worse"
        areas += [one(found.estimates, AUC, method=method)["value"] for method in ("full", "lora")]
    return worse, float(np.mean(areas))


def test_pools_without_signal_have_half_and_few_verdicts():
    worse, area = false_alarms(12)
    assert worse <= 3 and area == pytest.approx(0.5, abs=4 * 0.016 / math.sqrt(24))


@pytest.mark.slow
def test_pools_without_signal_are_called_worse_at_most_at_alpha():
    worse, area = false_alarms(300)
    assert worse <= 300 * 0.05 + 3 * math.sqrt(300 * 0.05 * 0.95)
    assert area == pytest.approx(0.5, abs=4 * 0.016 / math.sqrt(600))


# Losses on what was and was not trained on


def test_losses_and_accuracies_are_the_means_over_members_and_non_members(leaky, results):
    phi, member, _ = arrays(leaky, "lora")
    loss, right = np.log1p(np.exp(-phi)), phi > 0
    inside = np.array([names == ["b"] for names in leaky[0]["attribute.race"].to_list()])
    for where, rows in (({}, np.ones(600, bool)), ({"attribute": "race", "group": "b"}, inside)):
        found = {
            name: one(results.estimates, f"membership_{name}", method="lora", **where)
            for name in (
                "train_loss",
                "test_loss",
                "generalization_gap",
                "train_accuracy",
                "test_accuracy",
                "accuracy_gap",
            )
        }
        values = {name: row["value"] for name, row in found.items()}
        train, test = loss[member & rows].mean(), loss[~member & rows].mean()
        assert values["train_loss"] == pytest.approx(train) and values["test_loss"] == pytest.approx(test)
        assert values["generalization_gap"] == pytest.approx(test - train)
        train, test = right[member & rows].mean(), right[~member & rows].mean()
        assert values["train_accuracy"] == pytest.approx(train) and values["test_accuracy"] == pytest.approx(test)
        assert values["accuracy_gap"] == pytest.approx(train - test)
        assert all(row["low"] < row["value"] < row["high"] for row in found.values())
        assert found["train_loss"]["n"] == rows.sum()
    assert one(results.estimates, "membership_generalization_gap", method="lora")["low"] > 0


def test_leakage_goes_with_the_gap_of_groups_and_is_not_said_of_few(results):
    shares = (0.3, 0.25, 0.2, 0.15, 0.1)
    leaks = dict(zip("abcde", (0.1, 0.6, 1.2, 1.8, 2.6), strict=True))
    names = ["membership_size_correlation", "membership_gap_correlation"]
    found = Results.compute(*pool({"full": leaks}, n=1000, shares=shares), design(["full"], measures=names)).estimates
    size, gap = (one(found, name, attribute="race") for name in names)
    assert size["value"] == pytest.approx(-1) and gap["value"] >= 0.9 and size["n"] == gap["n"] == 5
    assert size["low"] is None and "over 5 groups" in size["note"]
    few = one(results.estimates, names[0], attribute="race", method="lora")
    assert few["value"] is None and "2 groups are large enough" in few["note"]


# What failed


def test_a_model_that_failed_takes_its_twin_with_it_and_methods_are_compared_on_the_pairs_of_both():
    tables = pool({"full": 0.4, "lora": 1.2}, models=10, failed={("lora", 3): "out of memory"})
    found = Results.compute(*tables, design(measures=[AUC]))
    left = "1 of 5 pairs of models are left out (model 3: out of memory)"
    assert left in one(found.estimates, AUC, method="lora")["note"]
    assert one(found.estimates, AUC, method="full")["note"] is None
    kept = np.array([0, 1, 2, 4, 5, 6, 7, 9])
    twins = np.array([4, 5, 6, 7, 0, 1, 2, 3])
    areas = {}
    for method in ("full", "lora"):
        member = arrays(pool({"full": 0.4}, models=10), "full", 10)[1][kept]
        phi = np.array([_phi(tables, method, model) for model in kept])
        areas[method] = membership_auc(attack_pool(phi, member, twins), member)
    row = one(found.verdicts, AUC)
    assert row["contrast"] == pytest.approx(areas["lora"] - areas["full"])
    assert "8 of 10 seeds were run with both methods" in row["note"] and row["runs"] == 4


def _phi(tables: Tables, method: str, model: int) -> np.ndarray:
    rows = (
        tables[0]
        .select("example", "label")
        .join(tables[2].filter(trial=f"{method}-pool-{model}"), on="example", maintain_order="left")
    )
    logits, label = rows["logits"].to_numpy().astype(float), rows["label"].to_numpy()
    return logits[np.arange(len(label)), label] - logits[np.arange(len(label)), 1 - label]


def test_too_few_models_give_no_value_and_the_reason():
    tables = pool({"full": 0.4, "lora": 1.2}, failed={("lora", 3): "out of memory"})
    found = Results.compute(*tables, design())
    row = one(found.estimates, AUC, method="lora")
    assert row["value"] is None and "lira needs a pool of 8 models, and there are 6" in row["note"]
    assert "model 3: out of memory" in row["note"]
    assert one(found.estimates, AUC, method="full")["value"] is not None
    verdict = one(found.verdicts, AUC)
    assert verdict["contrast"] is None and verdict["verdict"] == "inconclusive"
    assert "there are 6" in verdict["note"]
    gap = one(found.estimates, GAP, attribute="race", method="lora")
    assert gap["value"] is None and "there are 6" in gap["note"]


def test_a_small_pool_can_be_attacked_by_what_needs_few_models():
    found = Results.compute(*pool({"full": 1.0}, models=4), design(["full"], {"attack": "difficulty"}, measures=[AUC]))
    assert one(found.estimates, AUC)["low"] > 0.5


def test_a_method_whose_models_all_failed_has_the_reason():
    failed = {("lora", model): "no memory" for model in range(8)}
    found = Results.compute(*pool({"full": 0.4, "lora": 1.2}, failed=failed), design(measures=[AUC]))
    assert "there are 0" in one(found.estimates, AUC, method="lora")["note"]


# Shadows of one method, and shadows of their own


def test_every_method_can_be_compared_with_the_models_of_one(leaky):
    found = Results.compute(*leaky, design(membership={"shadows": "lora"}, measures=[AUC]))
    (phi, member, pairs), others = arrays(leaky, "full"), arrays(leaky, "lora")[0]
    expected = attack_pool(phi, member, pairs, shadow_phi=others)
    assert matrix(found.scores, "full", "score") == pytest.approx(expected)
    assert "compared with models of lora, not of its own method" in one(found.estimates, AUC, method="full")["note"]
    own = attack_pool(others, member, pairs)
    assert matrix(found.scores, "lora", "score") == pytest.approx(own)
    assert one(found.estimates, AUC, method="lora")["note"] is None


def test_pairs_that_the_shadows_method_lacks_are_left_out():
    tables = pool({"full": 0.4, "lora": 1.2}, models=10, failed={("lora", 3): "out of memory"})
    found = Results.compute(*tables, design(membership={"shadows": "lora"}, measures=[AUC]))
    note = one(found.estimates, AUC, method="full")["note"]
    assert "1 more pairs of models are left out: lora has no models of their seeds" in note
    assert found.scores.filter(trial="full-pool-3").is_empty() and len(found.scores.filter(trial="full-pool-4"))


def test_targets_with_shadows_of_their_own_are_attacked_offline_on_what_the_shadows_predicted():
    tables = separate({"full": 0.4, "lora": 1.4})
    found = Results.compute(*tables, design(membership={"design": "shadows"}))
    assert one(found.verdicts, AUC)["verdict"] == "worse"
    assert found.scores.height == 2 * 3 * 200 and set(found.scores["trial"]) == {
        f"{method}-study-{seed}" for method in ("full", "lora") for seed in range(3)
    }
    placed = tables[0].select("example", "label")
    own = found.scores.filter(trial="lora-study-1").join(placed, on="example", maintain_order="left")

    def confidences(trial: str) -> np.ndarray:
        rows = own.join(tables[2].filter(trial=trial), on="example", maintain_order="left")
        logits, label = rows["logits"].to_numpy().astype(float), rows["label"].to_numpy()
        return logits[np.arange(len(label)), label] - logits[np.arange(len(label)), 1 - label]

    shadows = np.array([confidences(f"lora-shadow-1-{shadow}") for shadow in range(8)])
    expected = attack_targets(confidences("lora-study-1")[None], shadows, variance="auto")[0]
    assert own["score"].to_numpy() == pytest.approx(expected)


def test_too_few_shadows_leave_a_seed_out_with_the_reason():
    examples, trials, predictions = separate({"full": 1.0})
    failed = pl.col("trial").is_in([f"full-shadow-1-{shadow}" for shadow in range(6)])
    trials = trials.with_columns(status=pl.when(failed).then(pl.lit("failed")).otherwise("status"))
    found = Results.compute(examples, trials, predictions, design(["full"], {"design": "shadows"}, measures=[AUC]))
    assert set(found.scores["trial"]) == {"full-study-0", "full-study-2"}
    assert "seed 1 is left out: 2 shadows, and lira needs 3" in one(found.estimates, AUC)["note"]


# What is audited as accuracy, and what is kept


def test_predictions_for_the_attack_are_not_audited_as_accuracy():
    examples, trials, predictions = separate({"full": 0.4, "lora": 3.0})
    attack = Results.compute(examples, trials, predictions, design(membership={"design": "shadows"}))
    plain = Results.compute(
        examples,
        trials.filter(role="study"),
        predictions.filter(split="test"),
        design(attacked=False),
    )
    rest = attack.estimates.filter(~pl.col("measure").str.starts_with("membership_"))
    assert rest.equals(plain.estimates) and len(rest)
    both = pool({"full": 0.4, "lora": 3.0})
    uses = pl.concat([both[1], trials.filter(role="study")])
    merged = pl.concat([both[2], predictions.filter(pl.col("trial").str.contains("study"))])
    found = Results.compute(both[0], uses, merged, design())
    assert found.estimates.filter(~pl.col("measure").str.starts_with("membership_")).equals(plain.estimates)


def test_a_pool_alone_is_audited_for_leakage_only_and_reported(results, tmp_path):
    assert results.estimates["measure"].str.starts_with("membership_").all()
    for name in ("report.md", "report.json", "report.html"):
        results.report(tmp_path / name)
    assert "## Membership TPR at 1% FPR (s, test)" in (tmp_path / "report.md").read_text()
    assert "2 methods, 8 pool models each" in results.summary().splitlines()[0]
    assert len(results.failed()) and "lora against full: worse in" in results.summary()
    assert "2 methods, 8 pool models each" in repr(results)


def test_results_of_a_pool_are_kept_and_read_back_with_predictions_by_trial(leaky, results, tmp_path):
    for (trial,), part in leaky[2].partition_by("trial", as_dict=True).items():
        records.write(part, tmp_path / "trials" / str(trial) / "predictions.parquet", "predictions")
    results.save(tmp_path)
    assert not (tmp_path / "predictions.parquet").exists()
    read = Results.load(tmp_path)
    for name in ("estimates", "verdicts", "curves", "members", "scores"):
        assert getattr(read, name).equals(getattr(results, name))
    assert read.design == results.design
    again = Results.compute(read.examples, read.trials, read.predictions, read.design)
    assert again.estimates.equals(results.estimates) and again.scores.equals(results.scores)


def test_examples_that_are_not_in_the_pool_play_no_part(leaky):
    more = leaky[0].with_columns(example="x" + pl.col("example"), unit="x" + pl.col("unit"))
    found = Results.compute(pl.concat([more, leaky[0]]), *leaky[1:], design(measures=[AUC, GAP]))
    alone = Results.compute(*leaky, design(measures=[AUC, GAP]))
    assert found.estimates.equals(alone.estimates)


def test_labels_without_probabilities_cannot_be_attacked():
    examples, trials, predictions = pool({"full": 0.4})
    bare = predictions.with_columns(predicted=pl.lit(1, pl.Int64), logits=pl.lit(None, predictions.schema["logits"]))
    found = Results.compute(examples, trials, bare, design(["full"], measures=[AUC]))
    assert "only labels were predicted" in one(found.estimates, AUC)["note"]


# What is refused


def _retold(tables: Tables, trial: str, **columns: pl.Expr) -> Tables:
    examples, trials, predictions = tables
    changed = trials.with_columns(
        **{name: pl.when(trial=trial).then(value).otherwise(name) for name, value in columns.items()}
    )
    return examples, changed, predictions


def _lacks_rows(tables: Tables) -> Tables:
    gone = (pl.col("trial") == "full-pool-2") & (pl.col("example") == "e5")
    return tables[0], tables[1], tables[2].filter(~gone)


def _both_members(tables: Tables) -> Tables:
    flipped = (pl.col("trial") == "full-pool-2") & (pl.col("example") == "e5")
    other = pl.when(pl.col("split") == "train").then(pl.lit("test")).otherwise(pl.lit("train"))
    return tables[0], tables[1], tables[2].with_columns(split=pl.when(flipped).then(other).otherwise("split"))


def _twice(tables: Tables) -> Tables:
    row = tables[2].filter(trial="full-pool-2", example="e5", split="train")
    row = row if len(row) else tables[2].filter(trial="full-pool-2", example="e5")
    other = "test" if row["split"][0] == "train" else "train"
    return tables[0], tables[1], pl.concat([tables[2], row.with_columns(split=pl.lit(other))])


@pytest.mark.parametrize(
    ("change", "membership", "says"),
    [
        (_lacks_rows, {}, "model 2 has predictions of 599 of the 600 examples of the pool"),
        (_both_members, {}, "of two twins exactly one was trained on each example"),
        (_twice, {}, "trained on the example 'e5' and is tested on it"),
        (lambda t: _retold(t, "full-pool-2", pair=pl.lit("nobody")), {}, "names nobody as its twin"),
        (lambda t: (t[0], t[1].filter(pl.col("trial") != "full-pool-2"), t[2]), {}, "a pool is made of pairs"),
        (lambda t: (t[0].head(599), *t[1:]), {}, "1 examples of its pool are not in the table examples"),
        (lambda t: (t[0], t[1].head(0), t[2]), {}, "no trials of the role"),
        (lambda t: t, {"shadows": "loara"}, 'which has no pool; did you mean "lora"'),
    ],
)
def test_records_that_do_not_fit_are_refused_in_a_sentence(leaky, change, membership, says):
    with pytest.raises(InputError) as refused:
        Results.compute(*change(leaky), design(membership=membership))
    assert says in str(refused.value) and "setting s" in str(refused.value) and "\n" not in str(refused.value)


def test_shadows_of_other_halves_are_refused(leaky):
    other = pool({"lora": 1.2}, seed=9)
    tables = leaky[0], leaky[1], pl.concat([leaky[2].filter(pl.col("trial").str.starts_with("full")), other[2]])
    with pytest.raises(InputError, match="were not trained on the same examples, model by model"):
        Results.compute(*tables, design(membership={"shadows": "lora"}))
    row = one(Results.compute(*tables, design(measures=[AUC])).verdicts, AUC)
    assert "unpaired: the two methods were not trained on the same examples" in row["note"]


def test_shadows_that_saw_what_is_audited_are_refused():
    examples, trials, predictions = separate({"full": 1.0}, seeds=1)
    shadow = pl.col("trial") == "full-shadow-0-0"
    wrong = predictions.with_columns(split=pl.when(shadow).then(pl.lit("train")).otherwise("split"))
    with pytest.raises(InputError, match="a shadow of seed 0 was trained on examples that are audited"):
        Results.compute(examples, trials, wrong, design(["full"], {"design": "shadows"}))


def test_separate_shadows_have_no_online_mode():
    with pytest.raises(InputError, match="online needs the design pool"):
        design(membership={"design": "shadows", "mode": "online"})
    assert design(membership={"design": "shadows"}).settings["s"].membership.mode == "offline"
