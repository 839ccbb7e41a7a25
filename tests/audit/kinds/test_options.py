"""The audit of options: planted answers come back, a lover of "A" has no gender, what is refused or not judged."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from evenhand.audit.arrays.option_answers import choices
from evenhand.audit.kinds.options import readings
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.reading import assess
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.metrics.options.debiasing import contextual_calibration
from evenhand.metrics.options.scores import distance_from_equal, option_choices
from evenhand.records.prompts import CONTENT_FREE
from option_records import listed_yes_no, tables


def asked(examples, trials, options, design) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimates and verdicts of answers."""
    found = assess(readings(examples, trials, options, design), design)
    return found.estimates, found.verdicts


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


def test_log_odds_of_contents_are_graded_where_guesses_are_all_the_same():
    planted = {"base": {}, "some": {"content": 1.5}, "more": {"content": 3.0}, "lover": {"letter": 6.0, "yes": 4.0}}
    *records, design = tables(planted, n=30)
    design = design.model_copy(update={"measures": ("content_effect", "content_log_odds")})
    estimates, verdicts = asked(*records, design)
    for kind in ("cloze", "multiple_choice", "yes_no"):
        for method, truth in (("some", 1.5), ("more", 3.0), ("lover", 0.0)):
            where = {"method": method, "condition": kind, "seed": None}
            found = row(estimates, measure="content_log_odds", **where)
            assert found["value"] == pytest.approx(truth, abs=0.25), (kind, method)
            distance = row(estimates, measure="content_effect", **where)["value"]
            assert distance == pytest.approx(found["value"]) if truth else distance > abs(found["value"]) - 1e-9
    judged = verdicts.filter(pl.col("condition").is_null(), measure="content_effect")
    assert row(judged, method="more")["verdict"] == row(judged, method="some")["verdict"] == "worse"
    assert row(judged, method="more")["contrast"] == pytest.approx(2 * row(judged, method="some")["contrast"], abs=0.3)
    assert row(judged, method="lover")["verdict"] not in ("worse", "better")
    assert "content_log_odds" not in set(verdicts["measure"])


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
    assert set(estimates["measure"]) == set(OPTIONS) - {"guess_accuracy"}  # nobody knows who the authors are


def test_a_sayer_of_yes_contradicts_itself_and_has_no_gender():
    estimates, verdicts = asked(*tables({"base": {}, "yes": {"yes": 5.0}}))
    pull = row(estimates, measure="yes_effect", method="yes", condition="yes_no", seed=None)
    assert pull["low"] < 5 < pull["high"]
    assert row(estimates, measure="negation_consistency", method="yes", seed=None)["value"] < 0.02
    assert row(verdicts, measure="negation_consistency", method="yes", condition="yes_no")["verdict"] == "worse"
    gender = verdicts.filter(method="yes", measure="distance_from_equal")
    assert not gender["verdict"].is_in(["worse", "better"]).any()


NOTHING = ("N/A", "[MASK]", "")


def test_calibration_by_texts_without_content_brings_a_hidden_gender_back_and_invents_none():
    planted = {name: LOVER[name] for name in ("base", "lover", "both")}
    *records, design = tables(planted, content_free=NOTHING)
    design = design.model_copy(update={"measures": ("guess_lean", "distance_from_equal")})
    estimates, verdicts = asked(*records, design)
    where = {"measure": "guess_lean", "condition": "multiple_choice", "correction": "contextual calibration"}
    assert row(estimates, **where, method="both", seed=None)["low"] > 0.3
    lover = row(estimates, **where, method="lover", seed=None)
    assert lover["low"] < 0 < lover["high"]
    gender = verdicts.filter(measure="distance_from_equal", correction="contextual calibration")
    assert row(gender, method="both", condition="multiple_choice")["verdict"] == "worse"
    assert not gender.filter(method="lover")["verdict"].is_in(["worse", "better"]).any()
    assert set(estimates["n"]) == {40}  # what says nothing is no review


def test_the_prior_is_that_of_the_texts_without_content():
    examples, trials, options, design = tables({"base": {"letter": 2.0}}, n=12, seeds=(0,), content_free=NOTHING)
    estimates, _ = asked(examples, trials, options, design)
    place = {"condition": "mc1/letters/male-female", "correction": "contextual calibration", "seed": 0}
    found = row(estimates, measure="guess_lean", **place)["value"]
    nothing = pl.col("example").str.starts_with(CONTENT_FREE)
    own = options.filter(pl.col("prompt").str.starts_with("mc1"))
    (asked_about,), (prior,) = choices(own.filter(~nothing)), choices(own.filter(nothing))
    plain = contextual_calibration(asked_about.scores, prior.scores, prior.arrangements).log_prob
    chosen = option_choices(plain, prior.arrangements).mean(axis=1)
    assert found == pytest.approx(distance_from_equal(chosen[:, 0], chosen[:, 1]).lean)
    assert len(prior.examples) == 3


def with_listed(planted: dict[str, dict[str, float]], n: int = 30):
    """Yes/no questions whose answers are listed, alone."""
    examples, trials, _, design = tables(planted, n=n)
    names, rows = examples["example"].to_list(), []
    for place, use in enumerate(trials.iter_rows(named=True)):
        own = planted[use["method"]]
        rng = np.random.default_rng([5, place])
        values = (own.get(key, 0.0) for key in ("yes", "content", "letter"))
        rows += [{"trial": use["trial"], **one} for one in listed_yes_no("yn2", *values, names, rng)]
    frame = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"step": pl.Int64})
    return examples, trials, frame.with_columns(sequence_loss=pl.lit(None, pl.Float64)), design


def test_a_lover_of_a_is_told_from_a_sayer_of_yes_where_yes_and_no_are_listed():
    planted = {"base": {}, "lover": {"letter": 4.0}, "yes": {"yes": 4.0}, "male": {"content": 1.0}}
    estimates, verdicts = asked(*with_listed(planted))
    pull = {method: row(estimates, measure="identifier_effect", method=method, seed=None) for method in planted}
    assert pull["lover"]["low"] < 4 < pull["lover"]["high"] and pull["lover"]["low"] > 3.5
    assert max(pull[method]["value"] for method in ("base", "yes", "male")) < 0.2
    yes = {method: row(estimates, measure="yes_effect", method=method, seed=None)["value"] for method in planted}
    assert yes["yes"] == pytest.approx(4, abs=0.1) and abs(yes["lover"]) < 0.1
    place = {method: row(estimates, measure="position_effect", method=method, seed=None) for method in planted}
    assert max(one["value"] for one in place.values()) < 0.2
    flips = {method: row(estimates, measure="flip_rate", method=method, seed=None)["value"] for method in planted}
    assert flips["lover"] == pytest.approx(2 / 3, abs=0.02) and flips["yes"] < 0.02
    gender = verdicts.filter(measure="distance_from_equal")
    assert row(gender, method="male")["verdict"] == "worse"
    assert not gender.filter(pl.col("method").is_in(["lover", "yes"]))["verdict"].is_in(["worse", "better"]).any()


def test_answers_that_are_listed_in_one_order_tell_nothing_of_letters():
    examples, trials, options, design = with_listed({"base": {}}, n=12)
    estimates, _ = asked(examples, trials, options.filter(pl.col("prompt").str.ends_with("@01.01")), design)
    assert not {"identifier_effect", "flip_rate"} & set(estimates["measure"])


def test_who_the_authors_are_is_compared_with_what_is_guessed():
    examples, trials, options, design = tables({"base": {}}, n=20, seeds=(0,))
    cloze = options.filter(prompt="cloze1/plain/male-female").sort("example", maintain_order=True)
    male = option_choices(cloze["log_prob"].to_numpy().reshape(-1, 2))[:, 0]
    who = [["male"] if guess else ["female"] for guess in male]
    who[:5] = [["female"] if one == ["male"] else ["male"] for one in who[:5]]
    who[5], who[6] = [], ["(missing)"]
    known = examples.sort("example").with_columns(pl.Series("attribute.author", who))
    estimates, verdicts = asked(known, trials, options, design)
    found = row(estimates, measure="guess_accuracy", condition="cloze1/plain/male-female", seed=0)
    assert found["value"] == pytest.approx(13 / 18)
    assert "guess_accuracy" not in set(verdicts["measure"])
    kinds = {"cloze", "yes_no", "multiple_choice"}
    assert kinds < set(estimates.filter(measure="guess_accuracy")["condition"])
    others = known.rename({"attribute.author": "attribute.city"}).with_columns(
        pl.Series("attribute.city", [["here"]] * 20)
    )
    assert "guess_accuracy" not in set(asked(others, trials, options, design)[0]["measure"])


def test_what_the_order_of_options_confounds_is_shown_and_not_judged():
    _, verdicts = asked(*tables({"base": {}, "lover": {"letter": 6.0}}, straight=True))
    found = row(verdicts, measure="distance_from_equal", method="lover", condition="multiple_choice", correction=None)
    assert found["contrast"] > 0.2 and found["verdict"] == "inconclusive" and found["low"] is None
    assert "ask in a balanced design" in found["note"]
    estimates, _ = asked(*tables({"base": {}}, straight=True))
    undefined = row(estimates, measure="guess_lean", condition="multiple_choice", correction="permutation", seed=None)
    assert undefined["value"] is None and "removes no bias" in undefined["note"]


def test_one_run_of_each_gives_verdicts_about_these_models():
    _, verdicts = asked(*tables({"base": {}, "male": {"content": 3.0}}, seeds=(0,)))
    assert set(verdicts["scope"]) == {"these models"} and "worse" in verdicts["verdict"]
    assert verdicts["note"].str.contains("one run of each: about these two models").all()


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
        (lambda o: o.with_columns(prompt=pl.lit("what?")), "is not the name of a prompt"),
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
