"""Gaps against everybody, or against a named group: values, exact influences, what has rows, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.estimands import Estimand, Subset, gap, gap_change
from evenhand.audit.ingest.against import compared_with
from evenhand.audit.kinds.prediction_tables import readings
from evenhand.audit.measures import measure_named
from evenhand.audit.runs.gap_change_evidence import gap_change_evidence
from evenhand.audit.runs.gap_evidence import gap_evidence
from evenhand.errors import InputError
from small_records import design, study

RATES = ("accuracy", "true_positive_rate", "false_positive_rate", "selection_rate")
AGAINST = ({"who": "overall"}, {"who": "a"})


def reading_of(tables, against, by_example=False, unit=None):
    if unit is not None:
        tables = (tables[0].with_columns(unit=pl.Series(unit)), *tables[1:])
    (reading,) = readings(*tables, design(setting={"against": against}))
    if by_example:
        reading.rates.able = False
    return reading


def evidence_on(reading, name, kind, group="b"):
    measure, subset = measure_named(name), Subset("who", group)
    opposite = reading.reader.opposite(subset)
    if kind == "gap":
        return gap_evidence(reading.to_rest, gap(Estimand(measure, subset), "lora", measure.direction, opposite), [])
    comparison = gap_change(Estimand(measure, subset), "lora", "full", measure.direction, opposite)
    return gap_change_evidence(reading.to_rest, comparison, [])


@pytest.mark.parametrize("against", AGAINST, ids=["overall", "a group"])
@pytest.mark.parametrize("kind", ["gap", "gap change"])
@pytest.mark.parametrize("name", RATES)
def test_all_groups_at_once_is_example_by_example(name, kind, against):
    tables = study(n=500, seeds=3, harm={"b": 0.9})
    closed, slow = (evidence_on(reading_of(tables, against, by_example), name, kind) for by_example in (False, True))
    assert closed.gram is not None and slow.gram is None
    for part in ("estimate", "variance", "df", "v_seed", "v_example", "v_both", "units"):
        assert getattr(slow.whole, part) == pytest.approx(getattr(closed.whole, part), rel=1e-9), part
    assert slow.smallest == closed.smallest and slow.notes == closed.notes
    (codes, totals), (others, same) = slow.totals(), closed.totals()
    width = max(codes.max(), others.max()) + 1
    assert np.bincount(codes, totals, width) == pytest.approx(np.bincount(others, same, width), abs=1e-12)
    if kind == "gap":
        assert slow.few_events.bounds(0.025) == pytest.approx(closed.few_events.bounds(0.025), rel=1e-9)
        return
    for part in ("total", "of_method", "of_reference", "inside", "outside"):
        ours, theirs = getattr(slow.gaps, part), getattr(closed.gaps, part)
        assert ours.bounds(0.025) == pytest.approx(theirs.bounds(0.025), rel=1e-9), part


@pytest.mark.parametrize("unit", [None, 4])
@pytest.mark.parametrize("name", RATES)
def test_the_gap_to_everybody_is_that_to_the_rest_less_what_the_group_is_of_everybody(name, unit):
    """In every run (1 − π)·gap, π being the group's share of those that the rate is over."""
    tables = study(n=400, seeds=3, harm={"b": 0.9})
    units = None if unit is None else [f"u{index // unit:03}" for index in range(400)]
    estimates = [
        reading_of(tables, against, unit=units).gaps(Estimand(measure_named(name), Subset("who", "b")), "lora")
        for against in ({"who": "overall"}, {})
    ]
    label = tables[0]["label"].to_numpy()
    base = {"true_positive_rate": label == 1, "false_positive_rate": label == 0}.get(name, np.ones(len(label), bool))
    share = (tables[0]["attribute.who"].list.first().to_numpy() == "b")[base].mean()
    for (seed, everybody), (_, rest) in zip(*estimates, strict=True):
        assert everybody.value == pytest.approx((1 - share) * rest.value, abs=1e-12), seed
        assert (everybody.against, rest.against) == ("overall", "rest")
        assert everybody.low < everybody.value < everybody.high


def test_its_influence_is_that_of_the_difference_and_not_of_a_share_taken_as_known():
    """Numerically: the weight of one example is changed, and the gap between group and everybody computed again."""
    rng = np.random.default_rng(0)
    n, step = 60, 1e-6
    weight, right, inside = rng.uniform(0.5, 2, n), rng.random(n) < 0.7, rng.random(n) < 0.3

    def value(weight):
        return np.average(right[inside], weights=weight[inside]) - np.average(right, weights=weight)

    frame = pl.DataFrame({"y": np.ones(n, int), "guess": right.astype(int), "w": weight, "id": np.arange(n),
                          "g": np.where(inside, "b", "a")})  # fmt: skip
    none = pl.lit(0, pl.Int64)
    frame = pl.concat([frame, frame.with_columns(y=none, guess=none, w=pl.lit(1e-9), id=pl.col("id") + n)])
    results = evenhand.audit(frame, label="y", prediction="guess", groups="g", weight="w", example="id",
                             against="overall", measures=["true_positive_rate"])  # fmt: skip
    row = results.verdicts.filter(comparison="gap").row(0, named=True)
    sign = -1 if row["group"] == "b" else 1
    moves = []
    for index in range(n):
        moved = weight.copy()
        moved[index] += step
        moves.append((value(moved) - value(weight)) / step * weight[index])
    assert row["against"] == "overall"
    if row["group"] == "b":
        assert row["contrast"] == pytest.approx(sign * value(weight), abs=1e-9)
    expected = np.sqrt((np.array(moves) ** 2).sum())
    half = results.estimates.filter(comparison="gap", group="b", seed=0).row(0, named=True)
    assert (half["high"] - half["low"]) / 2 == pytest.approx(2 * expected, rel=0.12)  # t, U/(U − 1), few events


def table(n=600, seed=0):
    rng = np.random.default_rng(seed)
    race, sex = rng.choice(["Black", "Other", "White"], n, p=[0.3, 0.1, 0.6]), rng.choice(["F", "M"], n)
    label = rng.integers(0, 2, n)
    right = rng.random(n) < np.where(race == "Black", 0.5, 0.9)
    return pl.DataFrame({"y": label, "guess": np.where(right, label, 1 - label), "race": race, "sex": sex})


def audited(against, groups=("race", "sex"), **more):
    return evenhand.audit(table(), label="y", prediction="guess", groups=list(groups), against=against, **more)


def test_each_group_but_the_named_one_has_a_row_against_it():
    gaps = audited("White", measures=["accuracy"]).verdicts.filter(comparison="gap")
    assert gaps.filter(attribute="race").select("group", "against").rows() == [("Black", "White"), ("Other", "White")]
    assert set(gaps.filter(attribute="sex")["against"]) == {"rest"}
    row = gaps.filter(group="Black").row(0, named=True)
    rates = table().with_columns(right=pl.col("y") == pl.col("guess")).group_by("race").agg(pl.col("right").mean())
    rate = dict(rates.iter_rows())
    assert row["contrast"] == pytest.approx(rate["White"] - rate["Black"], abs=1e-12)
    assert row["verdict"] == "worse"


def test_an_attribute_without_the_group_says_what_would_be_right():
    (note,) = (note for note in audited("White").design.settings["table"].notes if "White" in note)
    assert note == (
        "Sex has no group White: its groups are compared with the rest; against sex=F, say, would name one of F, M."
    )


def test_several_groups_serve_several_attributes():
    gaps = audited(["White", "sex=M"], measures=["accuracy"]).verdicts.filter(comparison="gap")
    assert set(gaps.select("attribute", "against").rows()) == {("race", "White"), ("sex", "M")}
    assert gaps.filter(attribute="sex")["group"].to_list() == ["F"]


def test_everybody_and_a_group():
    gaps = audited(["overall", "White"], measures=["accuracy"]).verdicts.filter(comparison="gap")
    assert set(gaps.select("attribute", "against").rows()) == {("race", "White"), ("sex", "overall")}


@pytest.mark.parametrize(
    ("against", "sentence"),
    [
        ("Whit", 'against Whit: no attribute has the group "Whit"; name rest, overall or a group '
                 "(there are race: Black, Other, White; sex: F, M)"),
        ("sex=X", 'against sex=X: sex has no group "X"'),
        (["White", "Black"], "against: the groups of race are compared with one: White or Black"),
        (["rest", "overall"], "against: name rest or overall, not both"),
    ],
)  # fmt: skip
def test_what_nobody_can_be_compared_with_is_refused(against, sentence):
    with pytest.raises(InputError, match=sentence.replace("(", r"\(").replace(")", r"\)")):
        audited(against)


def test_a_note_does_not_say_that_a_named_group_contains_a_harmed_one():
    notes = audited("Other", groups=["race"], measures=["accuracy"]).verdicts["note"].to_list()
    assert not any("contains" in (note or "") for note in notes)
    notes = audited("overall", groups=["race"], measures=["accuracy"]).verdicts["note"].to_list()
    assert any("everybody includes Black, which fares worse" in (note or "") for note in notes)


def test_two_groups_against_everybody_are_one_question_with_one_row():
    gaps = audited("overall", groups=["sex"], measures=["accuracy"]).verdicts.filter(comparison="gap")
    assert len(gaps) == 1 and gaps["against"].to_list() == ["overall"]


def test_overlapping_groups_have_the_covariance_of_their_common_members():
    """Two groups that share nine of ten members: their gap varies little."""
    rng = np.random.default_rng(3)
    n = 4000
    groups = [["a", "b"] if share < 0.9 else (["a"] if share < 0.95 else ["b"]) for share in rng.random(n)]
    label = rng.integers(0, 2, n)
    right = rng.random(n) < 0.7
    frame = pl.DataFrame({"y": label, "guess": np.where(right, label, 1 - label), "g": groups})
    results = evenhand.audit(frame, label="y", prediction="guess", groups="g", against="a", measures=["accuracy"])
    row = results.verdicts.filter(comparison="gap").row(0, named=True)
    inside = [np.array([name in own for own in groups]) for name in "ba"]
    parts = [mask / mask.sum() * (right - right[mask].mean()) for mask in inside]
    expected = np.sqrt(((parts[0] - parts[1]) ** 2).sum())
    assert (row["high"] - row["low"]) / 2 == pytest.approx(1.645 * expected, rel=0.01)
    own = results.estimates.filter(comparison="gap", seed=0).row(0, named=True)
    assert (own["high"] - own["low"]) / 2 == pytest.approx(1.96 * expected, rel=0.01)


def test_where_nothing_is_said_groups_are_compared_with_the_rest():
    reading = reading_of(study(n=200, seeds=2), {})
    assert (reading.rates.opposites == reading.rates.rests).all()
    assert replace(Subset("who", "b"), complement=True) == reading.reader.opposite(Subset("who", "b"))


@pytest.mark.parametrize(
    ("asked", "word"), [("g=overall", "overall"), ("overall", "overall"), ("g=rest", "rest"), ("rest", "rest")]
)
def test_a_word_that_is_also_the_name_of_a_group_is_refused(asked, word):
    """Else the rows would be about everybody, and say that they are about the group."""
    with pytest.raises(InputError, match=f'against {asked}: {word} means .*, and g has a group "{word}"; rename'):
        compared_with([asked], {"g": ["a", word], "h": ["b"]})
    assert compared_with(["h=b"], {"g": ["a", word], "h": ["b"]})[0] == {"h": "b"}
