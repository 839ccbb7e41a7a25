"""The headline: the answer in at most eight lines, whatever the study, and the details that it has no room for."""

from __future__ import annotations

import doctest
import math
import re
from dataclasses import replace
from importlib import import_module

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evenhand
import harness_records
import option_records
import probe_records
from evenhand import records
from evenhand.audit.comparisons import OVERLAP
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.results import Results
from evenhand.audit.verdict_rows import COLLAPSED, WITHOUT
from evenhand.report.doubts import MOST_DOUBTS, doubts
from evenhand.report.headline import MOST, details, headline
from evenhand.report.method_pairs import pairs_of
from evenhand.report.wording import BETWEEN
from pool_records import design, pool
from report.conftest import Simulated

ROOMS = ("amounts", "gap_sentences", "headline", "method_pairs", "question_grid")


@pytest.mark.parametrize("name", ROOMS)
def test_examples_in_docstrings_give_what_they_say(name):
    outcome = doctest.testmod(import_module(f"evenhand.report.{name}"))
    assert outcome.attempted and not outcome.failed


def points(value: float) -> str:
    return f"{100 * value:.0f}"


def upward(value: float) -> str:
    """A bound in points as a sentence has it: never smaller than the row's."""
    decimals = 0 if value >= 0.1 else 1
    return f"{math.ceil(round(100 * value * 10**decimals, 9)) / 10**decimals:.{decimals}f}".removesuffix(".0")


# Whom a method harms, and what could have been missed


def test_the_planted_harm_comes_first_with_its_points_and_what_could_have_been_missed(simulate):
    results = simulate(methods=("full", "lora", "planted"))
    first, second = headline(results)
    rows = results.verdicts.filter(measure="accuracy", comparison="change", method="planted")
    circle, everyone = (
        rows.filter(pl.col("group").eq_missing(pl.lit(name))).row(0, named=True) for name in ("circle", None)
    )
    others = rows.filter(pl.col("group").is_in(["square", "triangle"]))
    assert circle["verdict"] == everyone["verdict"] == "worse" and set(others["verdict"]) != {"worse"}
    bounds = f"({points(circle['contrast'])} points (90% interval {points(circle['low'])} to {points(circle['high'])})"
    assert first == (
        f"planted is less accurate than full for shape = circle, by {bounds[1:]}, and overall by "
        f"{points(everyone['contrast'])} points. No other group is shown to be harmed; harms in accuracy under "
        f"{upward(others['detectable'].max())} points could have been missed."
    )
    excluded = results.verdicts.filter(pl.col("group").is_not_null(), measure="accuracy", comparison="change")
    excluded = excluded.filter(method="lora")["high"].max()
    assert second.startswith(
        "No group is shown to be harmed by lora compared with full; harms in accuracy above "
        f"{upward(excluded)} points are excluded for every group; "
    )


def test_other_groups_and_measures_that_are_worse_are_named_and_counted(simulate):
    results = simulate()
    square = (pl.col("group") == "square") & (pl.col("measure") == "accuracy")
    triangle = (pl.col("group") == "triangle") & (pl.col("measure") == "true_positive_rate")
    found = (square | triangle) & (pl.col("comparison") == "change")
    verdicts = results.verdicts.with_columns(verdict=pl.when(found).then(pl.lit("worse")).otherwise("verdict"))
    (line,) = headline(replace(results, verdicts=verdicts))
    assert "Also worse: shape = square in accuracy and shape = triangle in true positive rate." in line
    assert "No other group" not in line
    assert "In groups that are not shown to be worse in accuracy, harms in accuracy under " in line  # the triangles


def test_a_harm_beside_accuracy_leaves_no_doubt_about_accuracy(simulate):
    results = simulate()
    calm = pl.when((pl.col("measure") == "accuracy") & (pl.col("verdict") == "worse")).then(pl.lit("inconclusive"))
    verdicts = results.verdicts.with_columns(verdict=calm.otherwise("verdict"))
    (line,) = headline(replace(results, verdicts=verdicts))
    changed = verdicts.filter(pl.col("group").is_not_null(), measure="accuracy", comparison="change")
    circle, largest = changed.filter(group="circle")["high"].item(), changed.filter(pl.col("group") != "circle")["high"]
    assert line.startswith("lora has a worse true positive rate than full for shape = circle, by ")
    assert line.endswith(
        f"No group is shown to be worse off in accuracy; harms in accuracy above {upward(largest.max())} points are "
        f"excluded for every group but shape = circle, for which only those above {upward(circle)} points are."
    )


def test_a_gap_that_changed_while_nobody_lost_is_no_loss(simulate):
    results = simulate()
    calm = pl.when(pl.col("comparison") == "change").then(pl.lit("not worse")).otherwise("verdict")
    kept = results.verdicts.filter(~BETWEEN, measure="accuracy").with_columns(
        verdict=calm, high=pl.when(pl.col("comparison") == "change").then(0.03).otherwise("high")
    )
    (line,) = headline(replace(results, verdicts=kept))
    row = kept.filter(group="circle", comparison="gap change").row(0, named=True)
    assert line.startswith(
        "From full to lora, accuracy changed less favourably for shape = circle than for the rest, by "
        f"{points(row['contrast'])} points (90% interval "
    )
    assert line.endswith(
        "No group by itself is shown to be worse off in accuracy; harms in accuracy above 3 points are excluded for "
        "every group."
    )


def test_a_spread_that_is_inconclusive_is_no_open_question(simulate):
    results = simulate(methods=("full", "lora", "planted"))
    mute = results.verdicts.filter(measure="accuracy_spread", method="lora")
    assert mute["verdict"].to_list() == ["inconclusive"]
    without = replace(results, verdicts=results.verdicts.filter(pl.col("measure") != "accuracy_spread"))
    assert headline(without)[1] == headline(results)[1]


def test_what_differs_in_no_declared_direction_is_said_with_its_size():
    frame = pl.DataFrame({"y": [0, 1] * 400, "guess": [0, 1] * 200 + [0, 0] * 200, "sex": ["m"] * 400 + ["f"] * 400})
    (line,) = headline(evenhand.audit(frame, label="y", prediction="guess", groups="sex"))
    assert line.endswith(
        "Different, with neither direction declared worse: selection rate, higher for sex = m by 50 points."
    )
    declared = evenhand.audit(frame, label="y", prediction="guess", groups="sex", favourable="positive")
    assert "neither direction" not in headline(declared)[0]


# What was asked for comes first


@pytest.mark.parametrize(
    ("measure", "first"),
    [
        ("membership_auc", "lora is not shown to leak more of its training set than full for any group; "),
        (
            "pro_share",
            "lora is not shown to give people the gender of the stereotype more often than full for any group; ",
        ),
    ],
)
def test_a_study_of_membership_or_translations_leads_with_it_and_names_accuracy_after_it(simulate, measure, first):
    results = simulate()
    rows = results.verdicts.filter(pl.col("group").is_null() | (pl.col("group") != "square"), measure="accuracy")
    rows = rows.with_columns(measure=pl.lit(measure), verdict=pl.lit("inconclusive"))
    (line,) = headline(replace(results, verdicts=pl.concat([results.verdicts, rows])))
    assert line.startswith(first)
    assert "Also worse: shape = circle in accuracy" in line


def empty() -> dict[str, pl.DataFrame]:
    return {name: records.TABLES[name].empty() for name in ("examples", "predictions")}


def test_a_pool_prompts_benchmarks_and_probes_each_lead_with_what_they_measure():
    leaks = Results.compute(*pool({"full": 0.4, "lora": 1.6}, n=600, models=10), design(margins={"default": 0.03}))
    assert headline(leaks)[0].startswith("lora leaks more of its training set than full ")
    examples, trials, options, asked = option_records.tables({"base": {}, "male": {"content": 1.5}}, n=20)
    answers = Results.compute(examples, trials, empty()["predictions"], asked, options=options)
    assert headline(answers)[0].startswith("male guesses more one-sidedly than base in all questions, by ")
    trials, harness, scored = harness_records.tables({"base": {}, "biased": {"share": 0.9, "others": 0.8}}, n=60)
    tables = empty()
    benchmarks = Results.compute(tables["examples"], trials, tables["predictions"], scored, harness=harness)
    assert headline(benchmarks)[0].startswith(
        "biased is further from neutral about stereotypes than base in crows_pairs_english, by "
    )
    rates = {"base": 0.6, "more": 0.9, "same": 0.6}
    examples, trials, probes, probed = probe_records.tables(rates, targets=("author",), more={"author": "worse"})
    found = Results.compute(examples, trials, tables["predictions"], probed, probes=probes)
    first, second = headline(found)
    assert first.startswith(
        "more has a worse selectivity (probe − control accuracy) than base for author, layer 2, by "
    )
    assert second.startswith("same is not shown to be worse than base; harms in selectivity")


# Several settings


def test_across_settings_comes_first_and_says_whether_a_new_one_would_show_it(simulate):
    results = simulate(methods=("full", "lora", "planted"), settings=("faces", "posts", "news"))
    lines = headline(results)
    row = results.verdicts.filter(
        pl.col("setting").is_null(), measure="accuracy", group="circle", comparison="change", method="planted"
    ).row(0, named=True)
    assert lines[0].startswith("Across 3 settings planted is less accurate than full for shape = circle, by ")
    assert f"{points(row['contrast'])} points (90% interval {points(row['low'])} to " in lines[0]
    assert row["predict_low"] > 0 and "That is consistent: a new setting is expected to show it too." in lines[0]
    assert lines[1].startswith("Across 3 settings there is no consistent pattern of lora being worse than full; ")
    harmful = [line for line in lines[2:] if " is less accurate " in line]
    assert len(harmful) == 3 and harmful == lines[2:5]
    sizes = [int(re.search(r"circle, by (\d+) points", line)[1]) for line in harmful]
    assert sizes == sorted(sizes, reverse=True)
    unsure = results.verdicts.with_columns(predict_low=pl.lit(-0.1))
    said = headline(replace(results, verdicts=unsure))[0]
    assert "That is so on average and not consistent: a new setting may show no harm." in said


def test_two_settings_are_too_few_to_be_consistent(simulate):
    assert "Two settings are too few to call that consistent." in headline(simulate(settings=("faces", "posts")))[0]


# Doubts


def test_doubts_are_short_at_most_three_and_the_rest_is_counted(simulate):
    results = simulate(seeds=1)
    warned = results.design.settings["faces"].model_copy(update={"warnings": ("First.", "Second.")})
    margins = {"default": 0.3, "accuracy": 0.4}
    note = pl.lit(f"{COLLAPSED}full at seed 3 predicts one class for everybody; {OVERLAP}")
    doubtful = replace(
        results,
        design=results.design.model_copy(update={"settings": {"faces": warned}, "margins": margins}),
        verdicts=results.verdicts.with_columns(note=note),
    )
    lines = headline(doubtful)
    assert lines[0] == "First."
    assert lines[1].startswith("lora is less accurate than full for shape = circle")
    assert lines[2].startswith("lora against full: some runs look collapsed") and lines[2].endswith("verdicts differ.")
    # Second warning, two margins, overlap.
    assert lines[3].startswith("These verdicts are about these two models") and lines[3].endswith(
        " 4 more doubts are under Details."
    )
    assert len(lines) == 4
    left = details(doubtful)
    assert (
        "Second." in left and "First." not in left and any(line.startswith("The margin of accuracy") for line in left)
    )


def test_a_doubt_about_many_comparisons_names_two_and_the_details_name_all(simulate):
    results = simulate(methods=("full", "a", "b", "c", "d"), seeds=1)
    methods = pl.when(pl.col("method") == "d").then(pl.lit("the methods")).otherwise("scope")
    mixed = replace(results, verdicts=results.verdicts.with_columns(scope=methods))
    assert headline(mixed)[-1].startswith(
        "Verdicts on a against full and b against full and 1 more are about these models"
    )
    assert any(
        line.startswith("Verdicts on a against full and b against full and c against full") for line in details(mixed)
    )


def test_a_method_that_failed_is_said_and_the_others_are_answered(simulate):
    results = simulate(methods=("full", "lora", "planted"), failed=5)
    last = headline(results)[-1]
    assert last.startswith("planted against full: nothing could be judged (planted: 5 of 5 seeds have no predictions")
    assert headline(results)[0].startswith("No group is shown to be harmed by lora compared with full; ")
    alone = headline(simulate(failed=5))
    assert alone[0] == "Nothing could be judged."
    assert alone[1].startswith("lora against full: nothing could be judged (lora: 5 of 5 seeds have no predictions")


def test_membership_that_was_asked_for_and_could_not_be_judged_is_said():
    failed = {("lora", 3): "out of memory", ("full", 3): "out of memory"}
    results = Results.compute(*pool({"full": 0.4, "lora": 1.0}, failed=failed), design())
    assert headline(results)[0] == "Nothing could be judged."
    assert re.match(r"lora against full: nothing could be judged \(.*lira needs a pool of 8", headline(results)[1])
    accuracy = (
        results.verdicts.filter(pl.col("group").is_null())
        .head(1)
        .with_columns(measure=pl.lit("accuracy"), contrast=0.0, low=-0.01, high=0.01, verdict=pl.lit("equivalent"))
    )
    names = ("examples", "trials", "predictions", "design", "estimates", "curves")
    kept = {name: getattr(results, name) for name in names}
    both = Simulated(**kept, verdicts=pl.concat([results.verdicts, accuracy]))
    assert headline(both)[0] == "lora is not shown to be worse than full; harms in accuracy above 1 point are excluded."
    assert headline(both)[1].startswith("lora against full: membership AUC could not be judged (")


# Any study


WORDS = ("worse", "better", "different", "equivalent", "not worse", "inconclusive")
PLACES = {
    "accuracy": "group",
    "selection_rate": "group",
    "false_positive_rate": "group",
    "accuracy_spread": "attribute",
    "membership_auc": "group",
    "bleu": "group",
    "pct_stereotype_distance": "benchmark",
    "distance_from_equal": "question",
    "selectivity": "layer",
}


def drawn(seed: int) -> Simulated:
    """Verdicts of any words and numbers, of a study with any number of methods, settings, groups, and doubts."""
    rng = np.random.default_rng(seed)
    places = [f"setting {i}" for i in range(rng.integers(1, 7))]
    methods = [f"m{i}" for i in range(rng.integers(1, 12))]
    references = [(), ("full",), ("full", "base")][rng.integers(3)]
    measures = list(rng.choice(list(PLACES), rng.integers(1, 5), replace=False))
    groups = [f"g{i}" for i in range(rng.integers(0, 6))]
    calm, absent = rng.random() < 0.4, rng.random() * 0.5
    rows = []
    for place in [*places, *([None] if len(places) > 1 else [])]:
        for method in methods:
            gone = rng.random() < 0.1
            for reference in references or (None,):
                for measure in measures:
                    rows += of_measure(rng, place, method, reference, measure, groups, calm, 1.0 if gone else absent)
    warnings = tuple(f"Warning {i}." for i in range(rng.integers(0, 4)))
    setting = SettingDesign(references=references, methods=(*references, *methods), warnings=warnings)
    trials = [
        {"setting": place, "method": method, "seed": 0, "role": "study", "trial": f"{place}{method}", "status": "done"}
        for place in places
        for method in (*references, *methods)
    ]
    made = Design(
        settings=dict.fromkeys(places, setting),
        margins={"default": 0.05 if rng.random() < 0.5 else 0.3},
        source="drawn",
    )
    areas = [
        {"setting": place, "split": "test", "measure": "membership_auc", "method": method, "value": 0.6}
        for place in places
        for method in (*references, *methods)
    ]
    tables = {name: records.TABLES[name].empty() for name in ("examples", "predictions", "curves")}
    tables["estimates"] = records.from_rows(areas, "estimates")
    verdicts = records.from_rows(rows, "verdicts") if rows else records.TABLES["verdicts"].empty()
    return Simulated(trials=records.from_rows(trials, "trials"), verdicts=verdicts, design=made, **tables)


def of_measure(rng, place, method, reference, measure, groups, calm, absent) -> list[dict]:
    kind = PLACES[measure]
    condition = {"benchmark": "crows_pairs_english", "layer": "author/2"}.get(kind)
    # Gaps are those of groups.
    whole: list[tuple] = [] if reference is None else [(None, None)]
    parts = [("who", name) for name in groups] if kind == "group" else []
    if kind == "attribute":
        whole = [("who", None)] if groups and whole else []
    rows = []
    for attribute, group in [*whole, *parts]:
        words = ("worse", "inconclusive") if measure == "accuracy_spread" else WORDS
        # Only a measure without direction differs without being worse or better.
        never = {"different"} if measure != "selection_rate" else {"worse", "better", "not worse"}
        words = [word for word in words if word not in never | ({"worse", "different"} if calm else set())]
        word = str(rng.choice(words))
        low, high = sorted(rng.normal(0, 0.1, 2))
        low, high = {"worse": (abs(low), abs(low) + abs(high)), "better": (-abs(low) - abs(high), -abs(low))}.get(
            word, (-abs(low), abs(high))
        )
        row = {"setting": place, "split": "test", "measure": measure, "attribute": attribute, "group": group}
        row |= {"method": method, "reference": reference, "condition": condition, "runs": int(rng.integers(1, 4))}
        row |= {"comparison": "gap" if reference is None else "change", "against": None if reference else "rest"}
        row |= {"scope": rng.choice(["the methods", "these models"]), "verdict": word}
        row |= {"note": "; ".join(rng.choice([OVERLAP, f"{COLLAPSED}a run; {WITHOUT}worse, +0.1", "drawn"], 2))}
        if rng.random() < absent:
            row |= {"verdict": "inconclusive"}
        else:
            row |= {"contrast": (low + high) / 2, "low": low, "high": high, "detectable": abs(high - low) * 4}
            if place is None:
                row |= {"predict_low": low - 0.1, "predict_high": high + 0.1}
        rows.append(row)
    return rows


@pytest.mark.parametrize("seed", range(12))
def test_a_study_drawn_at_random_has_an_answer_in_at_most_eight_lines_and_loses_nothing(seed):
    check(drawn(seed))


@pytest.mark.slow
@pytest.mark.fuzz
@given(st.integers(0, 10**9))
def test_any_study_has_an_answer_in_at_most_eight_lines_and_loses_nothing(seed):
    check(drawn(seed))


def check(results: Simulated) -> None:
    """The claims on any headline: its length, its doubts, whom it names or counts, and what the details keep."""
    lines, more = headline(results), details(results)
    assert 1 <= len(lines) <= MOST and len(set(lines)) == len(lines)
    for line in [*lines, *more]:
        assert line.endswith((".", ")")) and not re.search(r"\bNone\b|\bnan\b|\binf\b|undecided| {2}|\.\.|;;", line), (
            line
        )
    pairs = pairs_of(results.verdicts, results.design)
    said = doubts(results, pairs)
    assert len(said.before) + len(said.after) <= MOST_DOUBTS
    assert lines[: len(said.before)] == list(said.before)
    assert not any(line in lines for line in more)
    # Each harmful pair has a line of its own or is counted, and no two lines say the same of one method.
    harmful = [pair for pair in pairs if pair.harmed]
    answers = lines[len(said.before) : len(lines) - len(said.after)]
    counted = sum(int(count) for line in answers for count in re.findall(r"^(\d+) more comparison", line))
    told = [line for line in answers if "% interval" in line or "Also worse: " in line]
    assert len(told) + counted == len(harmful)
    assert len({who(line, results) for line in told}) == len(told)
    assert {who(line, results) for line in told} <= {(pair.setting, *pair.methods, pair.reference) for pair in harmful}
    # Every doubt is said, or is among the details.
    for setting in results.design.settings.values():
        assert all(any(warning in line for line in [*lines, *more]) for warning in setting.warnings)


def who(line: str, results: Simulated) -> tuple[str | None, str, str | None]:
    """The setting, method and reference that a line on a harmful pair names."""
    lead = re.match(r"(Across )[\d to]+settings |(setting \d): ", line)
    names = re.split(r"[ ;,.]", line[lead.end() if lead else 0 :])
    setting = "setting 0" if lead is None else lead[2]
    named = [name for name in names if re.fullmatch(r"m\d+", name)]
    # Where there is one method, gaps need not name it.
    method = named[0] if named else results.verdicts["method"].unique().item()
    references = next(iter(results.design.settings.values())).references
    return setting, method, next((name for name in names if name in references), None)


def test_models_that_predict_one_class_for_everybody_are_named_before_any_answer():
    rng = np.random.default_rng(0)
    label, group = rng.integers(0, 2, 400), rng.choice(["a", "b"], 400)
    rows = [
        pl.DataFrame({"id": range(400), "y": label, "g": group, "h": said, "m": name})
        for name, said in (("old", np.ones(400, dtype=int)), ("new", np.ones(400, dtype=int)), ("other", label))
    ]
    options = {"label": "y", "prediction": "h", "groups": "g", "method": "m", "example": "id"}
    found = headline(evenhand.audit(pl.concat(rows[:2]), reference="old", **options))
    assert found[0].startswith("old and new predict the class 1 for everybody: rates and accuracy are those of a")
    one = headline(evenhand.audit(pl.concat(rows[1:]), reference="other", **options))
    assert any(line.startswith("new predicts the class 1 for everybody") for line in one)
    learned = headline(evenhand.audit(rows[2], **{**options, "method": None, "example": None}))
    assert not any("for everybody" in line for line in learned)
