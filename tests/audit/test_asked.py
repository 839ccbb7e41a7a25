"""The audit of options: planted answers come back, a lover of "A" has no gender, what is refused or not judged."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.asked import asked
from evenhand.audit.measures import OPTIONS
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.metrics.options.scores import distance_from_equal, option_choices
from option_records import tables


def row(frame: pl.DataFrame, **where) -> dict:
    for name, value in where.items():
        frame = frame.filter(pl.col(name).eq_missing(pl.lit(value)))
    return frame.row(0, named=True)


LOVER = {"base": {}, "lover": {"letter": 6.0}, "male": {"content": 1.5}, "both": {"letter": 6.0, "content": 1.0}}


@pytest.fixture(scope="module")
def audit():
    return asked(*tables(LOVER))


def test_a_lover_of_a_is_reported_as_such_and_has_no_gender(audit):
    estimates, verdicts = audit
    pull = row(estimates, measure="identifier_effect", method="lover", condition="multiple_choice", seed=None)
    assert pull["low"] < 6 < pull["high"] and pull["low"] > 5
    assert row(verdicts, measure="identifier_effect", method="lover", condition="multiple_choice")["verdict"] == "worse"
    gender = verdicts.filter(method="lover", measure="distance_from_equal")
    assert len(gender) and not gender["verdict"].is_in(["worse", "better"]).any()
    flips = row(estimates, measure="flip_rate", method="lover", condition="multiple_choice", seed=None)
    assert flips["value"] == pytest.approx(2 / 3, abs=0.02)


def test_corrections_bring_back_a_gender_that_letters_hide(audit):
    estimates, verdicts = audit
    where = {"measure": "guess_lean", "method": "both", "condition": "multiple_choice", "seed": None}
    raw, permuted, pride = (row(estimates, **where, correction=how) for how in (None, "permutation", "PriDe"))
    assert abs(raw["value"]) < 0.05
    assert permuted["low"] > 0.3 and pride["low"] > 0.3
    where = {"measure": "distance_from_equal", "method": "both", "condition": "multiple_choice"}
    assert row(verdicts, **where, correction="permutation")["verdict"] == "worse"
    assert row(verdicts, **where, correction=None)["verdict"] != "worse"


def test_a_planted_preference_is_found_in_every_kind_and_over_all(audit):
    estimates, verdicts = audit
    for condition in (None, "cloze", "multiple_choice", "yes_no", "cloze1/plain/male-female"):
        found = row(verdicts, measure="distance_from_equal", method="male", condition=condition, correction=None)
        assert found["verdict"] == "worse" and found["runs"] == 3
        assert (
            row(estimates, measure="guess_lean", method="male", condition=condition, correction=None, seed=None)["low"]
            > 0
        )
    assert "6 questions, which cluster as well" in row(verdicts, method="male", condition=None)["note"]


def test_values_are_those_of_the_plain_functions():
    examples, trials, options, design = tables({"base": {"content": 0.3}}, n=12, seeds=(0,))
    estimates, _ = asked(examples, trials, options, design)
    own = options.filter(prompt="cloze1/plain/male-female").sort("example", maintain_order=True)
    chosen = option_choices(own["log_prob"].to_numpy().reshape(-1, 2))
    plain = distance_from_equal(chosen[:, 0], chosen[:, 1])
    where = {"condition": "cloze1/plain/male-female", "seed": 0}
    assert row(estimates, measure="guess_lean", **where)["value"] == pytest.approx(plain.lean)
    assert row(estimates, measure="distance_from_equal", **where)["value"] == pytest.approx(plain.distance)
    assert row(estimates, measure="option_mass", **where)["value"] == pytest.approx(np.exp(-1))
    assert set(estimates["measure"]) == set(OPTIONS)


def test_a_sayer_of_yes_contradicts_itself_and_has_no_gender():
    estimates, verdicts = asked(*tables({"base": {}, "yes": {"yes": 5.0}}))
    pull = row(estimates, measure="yes_effect", method="yes", condition="yes_no", seed=None)
    assert pull["low"] < 5 < pull["high"]
    assert row(estimates, measure="negation_consistency", method="yes", seed=None)["value"] < 0.02
    assert row(verdicts, measure="negation_consistency", method="yes", condition="yes_no")["verdict"] == "worse"
    gender = verdicts.filter(method="yes", measure="distance_from_equal")
    assert not gender["verdict"].is_in(["worse", "better"]).any()


def test_what_the_order_of_options_confounds_is_shown_and_not_judged():
    _, verdicts = asked(*tables({"base": {}, "lover": {"letter": 6.0}}, straight=True))
    found = row(verdicts, measure="distance_from_equal", method="lover", condition="multiple_choice", correction=None)
    assert found["contrast"] > 0.2 and found["verdict"] == "inconclusive" and found["low"] is None
    assert "ask in a balanced design" in found["note"]
    estimates, _ = asked(*tables({"base": {}}, straight=True))
    undefined = row(estimates, measure="guess_lean", condition="multiple_choice", correction="permutation", seed=None)
    assert undefined["value"] is None and "removes no bias" in undefined["note"]


def test_one_seed_gives_no_verdict_but_inconclusive():
    _, verdicts = asked(*tables({"base": {}, "male": {"content": 3.0}}, seeds=(0,)))
    assert set(verdicts["verdict"]) == {"inconclusive"}
    assert verdicts["note"].str.contains("one seed").all()


def test_with_one_question_there_is_one_family_and_no_kind():
    examples, trials, options, design = tables({"base": {}, "male": {"content": 1.0}})
    only = options.filter(pl.col("prompt").str.starts_with("mc1"))
    estimates, _ = asked(examples, trials, only, design)
    assert set(estimates["condition"]) == {None, "mc1/letters/male-female"}
    assert set(estimates["correction"]) == {None, "permutation", "PriDe"}


def test_a_failed_trial_and_missing_answers_are_said():
    examples, trials, options, design = tables({"base": {}, "male": {"content": 1.0}}, n=12)
    failed = trials.with_columns(
        status=pl.when(pl.col("trial") == "male-2").then(pl.lit("failed")).otherwise(pl.col("status")),
        reason=pl.when(pl.col("trial") == "male-2").then(pl.lit("the loss is not finite")),
    )
    estimates, verdicts = asked(examples, failed, options.filter(pl.col("trial") != "male-2"), design)
    assert "1 of 3 seeds have no options" in row(estimates, measure="guess_lean", method="male", seed=None)["note"]
    assert "seed 2 has options of one method only" in row(verdicts, measure="distance_from_equal")["note"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: o.with_columns(example=pl.lit("z") + pl.col("example")), "options are of examples that the table"),
        (lambda o: o.with_columns(prompt=pl.lit("what?")), "is no name of a prompt"),
        (
            lambda o: o.filter(~((pl.col("prompt") == "cloze1/plain/male-female") & (pl.col("example") == "r00"))),
            "same",
        ),
        (lambda o: o.with_columns(log_prob=pl.col("log_prob") + 2), "at most"),
    ],
)
def test_bad_options_are_refused(change, said):
    examples, trials, options, design = tables({"base": {}}, n=12, seeds=(0,))
    with pytest.raises(InputError) as refused:
        asked(examples, trials, change(options), design)
    assert said in str(refused.value)


def test_results_keep_options_and_read_them_back(tmp_path):
    examples, trials, options, design = tables({"base": {}, "male": {"content": 1.0}}, n=12)
    empty = pl.DataFrame(schema={"trial": pl.String, "split": pl.String, "example": pl.String})
    results = Results.compute(examples, trials, empty, design, options=options)
    results.save(tmp_path)
    again = Results.load(tmp_path)
    assert again.options.equals(results.options) and len(again.options) == len(options)
    assert again.verdicts.equals(results.verdicts)
