"""Reports of single models: one model's gaps, two fixed models, and one model against several runs."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import evenhand
from evenhand.audit.results import Results
from evenhand.report import charts, page, terminal
from evenhand.report.detail_sentences import smallest_harm
from evenhand.report.gap_sentences import gap_lines
from evenhand.report.headline import details, headline
from evenhand.report.markdown import markdown
from evenhand.report.notebook import MOST_ROWS, fragment
from evenhand.report.verdict_tables import detectable_grid, glance, verdict_tables
from evenhand.report.wording import compared, trained
from report.test_page import Outline


def table(harm: float = 0.4, n: int = 2000, runs: Sequence[int] = (1, 1), shares=(0.6, 0.3, 0.1)) -> pl.DataFrame:
    """Predictions right in 90% of cases; those of `candidate` for the group b in less, by `harm`."""
    rng = np.random.default_rng(0)
    group, label = rng.choice(["a", "b", "c"], n, p=shares), rng.integers(0, 2, n)
    frames = []
    for method, seeds in zip(("current", "candidate"), runs, strict=True):
        right = np.where((group == "b") & (method == "candidate"), 0.9 - harm, 0.9)
        for seed in range(seeds):
            guess = np.where(rng.random(n) < right, label, 1 - label)
            columns = {"id": np.arange(n), "label": label, "guess": guess, "group": group}
            frames.append(pl.DataFrame(columns | {"method": method, "seed": seed}))
    return pl.concat(frames)


def one_model(harm: float = 0.4, margins: dict | None = None, **how) -> Results:
    rows = table(harm, **how).filter(pl.col("method") == "candidate").drop("method", "seed")
    return evenhand.audit(rows, label="label", prediction="guess", groups="group", margins=margins or {"default": 0.02})


def two(runs: Sequence[int] = (1, 1), harm: float = 0.4, n: int = 2000) -> Results:
    return evenhand.audit(
        table(harm, n, runs),
        label="label",
        prediction="guess",
        groups="group",
        method="method",
        reference="current",
        seed="seed",
        example="id",
        margins={"default": 0.02},
    )


@pytest.fixture(scope="module")
def harmed() -> Results:
    return one_model()


@pytest.fixture(scope="module")
def models() -> Results:
    return two()


def everything(results: Results) -> str:
    """All texts that a reader may see."""
    return Outline(page.html(results)).visible + markdown(results) + terminal.text(results) + fragment(results)


def test_the_first_sentence_about_one_model_names_the_group_that_fares_worst_and_by_how_much(harmed):
    row = harmed.verdicts.filter(measure="accuracy", group="b").row(0, named=True)
    value, low, high = (f"{100 * row[name]:.0f}" for name in ("contrast", "low", "high"))
    wanted = f"model is less accurate for group = b than for the rest, by {value} points"
    missed = math.ceil(1000 * harmed.verdicts.filter(measure="accuracy", verdict="better")["detectable"].max()) / 10
    (sentence,) = headline(harmed)
    assert sentence == (
        f"{wanted} (90% interval {low} to {high}). No other group is shown to fare worse than the rest; gaps in "
        f"accuracy under {missed:g} points could have been missed."
    )
    assert 35 < float(value) < 45
    for text in (terminal.text(harmed).splitlines()[1], Outline(page.html(harmed)).visible, markdown(harmed)):
        assert wanted in text


def test_details_have_the_counts_and_the_smallest_gap_that_would_have_been_found(harmed):
    meaning, counts, *_ = details(harmed)
    assert (
        meaning == "Where harm could have been missed, a larger one would have been found with a power of at least 80%."
    )
    assert counts.startswith("Gaps of model: worse in 3 of 12 comparisons (accuracy, group = b against the rest; ")
    detectable = 100 * harmed.verdicts.filter(measure="accuracy")["detectable"]
    least, most = f"{detectable.min():.1f}", f"{detectable.max():.1f}"
    assert counts.endswith(
        "The smallest gap in accuracy between a group and the rest that this study detects with 80% power is between "
        f"{least} and {most} points."
    )


def test_where_no_group_fares_worse_the_first_sentence_says_which_gaps_are_excluded():
    results = one_model(harm=0, shares=(0.4, 0.3, 0.3))
    bounds = results.verdicts.filter(measure="accuracy").sort("high", descending=True)["high"].to_list()
    assert "worse" not in results.verdicts["verdict"]
    (sentence,) = gap_lines(results.verdicts, results.design)
    found = float(re.search(r"gaps in accuracy above ([\d.]+) points are excluded", sentence)[1])
    assert sentence.startswith("No group is shown to fare worse than the rest; ")
    assert 100 * bounds[0] <= found < 100 * bounds[0] + 0.1 and sentence.endswith("excluded for every group.")


def gaps(*rows: dict) -> pl.DataFrame:
    """Verdicts on gaps of one model with these values."""
    base = one_model(n=300).verdicts.head(1)
    return pl.concat(
        [base.with_columns(**{name: pl.lit(value, base.schema[name]) for name, value in row.items()}) for row in rows]
    )


def test_a_group_whose_excluded_gap_is_far_above_the_others_is_named(harmed):
    accuracy = {"measure": "accuracy", "verdict": "inconclusive", "low": -0.1}
    rows = gaps(
        {**accuracy, "group": "a", "high": 0.0181},
        {**accuracy, "group": "b", "high": -0.02},
        {**accuracy, "group": "c", "high": 0.134},
    )
    assert gap_lines(rows, harmed.design) == [
        "No group is shown to fare worse than the rest; gaps in accuracy above 1.9 points are excluded for every group "
        "but group = c, for which only those above 14 points are."
    ]


def test_a_bound_that_excludes_nothing_is_no_answer(harmed):
    accuracy = {"measure": "accuracy", "verdict": "inconclusive", "low": -0.1}
    rows = gaps({**accuracy, "group": "a", "high": 1.0}, {**accuracy, "group": "b", "high": 0.2})
    assert gap_lines(rows, harmed.design) == [
        "No group is shown to fare worse than the rest; only gaps in accuracy above 20 points are excluded for every "
        "group but group = a, for which none is."
    ]
    rows = gaps(*({**accuracy, "group": group, "high": 1.0} for group in "ab"))
    assert gap_lines(rows, harmed.design) == [
        "No group is shown to fare worse than the rest; no gap in accuracy is excluded."
    ]


def test_an_excluded_gap_is_rounded_upward_and_a_group_without_interval_is_named(harmed):
    accuracy = {"measure": "accuracy", "verdict": "inconclusive", "low": -0.1}
    rows = gaps(
        {**accuracy, "group": "a", "high": 0.0731},
        {**accuracy, "group": "b", "high": 0.0602},
        {**accuracy, "group": "c", "contrast": None, "low": None, "high": None},
    )
    assert gap_lines(rows, harmed.design) == [
        "No group is shown to fare worse than the rest; gaps in accuracy above 7.4 points are excluded for every other "
        "group; group = c could not be judged."
    ]
    few = rows.with_columns(note=pl.lit("a note; fewer than 10 examples: shown, not judged"))
    assert gap_lines(few, harmed.design)[0].endswith("; group = c could not be judged (fewer than 10 examples).")
    large = gaps({**accuracy, "group": "a", "high": 0.1201}, {**accuracy, "group": "b", "high": 0.1})
    assert "above 13 points are excluded for every group." in gap_lines(large, harmed.design)[0]


def test_a_group_that_is_worse_in_another_measure_is_named_and_accuracy_is_not_left_out(harmed):
    rows = gaps(
        {"measure": "accuracy", "group": "a", "verdict": "inconclusive", "low": -0.01, "high": 0.03},
        {
            "measure": "false_positive_rate",
            "group": "a",
            "verdict": "worse",
            "contrast": 0.05,
            "low": 0.012,
            "high": 0.09,
        },
    )
    assert gap_lines(rows, harmed.design) == [
        "model has a worse false positive rate for group = a than for the rest, by 5.0 points (90% interval 1.2 to "
        "9.0). No group is shown to fare worse than the rest in accuracy; gaps in accuracy above 3 points are excluded "
        "for every group."
    ]


def test_a_gap_that_is_worse_never_has_an_interval_that_reads_as_if_it_began_at_0(harmed):
    rows = gaps({"measure": "accuracy", "group": "a", "verdict": "worse", "contrast": 0.04, "low": 0.003, "high": 0.08})
    assert "by 4.0 points (90% interval 0.3 to 8.0)" in gap_lines(rows, harmed.design)[0]


def test_without_a_reference_nothing_is_compared_with_none(harmed):
    assert compared("lora", None) == "gaps of lora"
    assert "None" not in everything(harmed)
    (shown,) = verdict_tables(harmed.verdicts, harmed.design)
    assert (shown.title, shown.scope, shown.reference) == ("gaps of model", "this model", None)
    assert glance(harmed.verdicts, harmed.design)[0].head == ["measure", "gaps of model"]
    assert {row[1] for row in detectable_grid(harmed.verdicts, harmed.design).rows} == {"gaps of model"}
    assert "## Gaps of model (table, test)\n\nAbout this model.\n" in markdown(harmed)


def test_the_chart_of_one_model_has_its_gaps_and_the_axis_says_against_whom(harmed):
    spec = charts.verdict_chart(harmed.verdicts, harmed.design).to_dict()
    assert "worse than the rest by" in str(spec) and "'gaps of ' + datum.value" in str(spec)
    values = [row for name, rows in spec["datasets"].items() for row in rows]
    assert {row["y"] for row in values} == {"a", "b", "c"} and len(values) == 15


def test_one_model_is_not_called_a_method_with_seeds(harmed, models):
    assert trained(harmed.trials) == ["1 model"] and trained(models.trials) == ["2 models"]
    assert trained(two((3, 1), n=300).trials) == ["2 methods", "1 to 3 seeds"]
    assert trained(two((3, 3), n=300).trials) == ["2 methods", "3 seeds"]
    for results in (harmed, models):
        facts = page._facts(results)[0]
        assert "split" not in facts and "seed" not in facts
        about = Outline(page.html(results)).visible
        assert not re.search(r"over seeds|each seed|random split|some run\b", about)
    assert "one fixed split" in page._facts(two((3, 3), n=300))[0]


def test_a_page_has_no_section_without_content(harmed):
    found = re.findall(r'<section id="(\w+)">', page.html(harmed))
    assert found[0] == "verdicts" and not {"trials", "training", "calibration", "harm"} & set(found)
    links = re.findall(r'<a href="#(\w+)">', page.html(harmed).partition("</nav>")[0])
    assert links == found


def test_a_page_explains_gaps_to_those_who_have_gaps_and_scopes_to_those_who_have_one_run(harmed, models):
    of_one, of_two = (Outline(page.html(results)).visible for results in (harmed, models))
    several, methods = (Outline(page.html(two(runs, n=300))).visible for runs in ((3, 1), (3, 3)))
    for text, gap, fixed, single in ((of_one, 1, 0, 0), (of_two, 0, 1, 0), (several, 0, 0, 1), (methods, 0, 0, 0)):
        assert text.count("A gap compares a group with the rest") == gap
        assert text.count("These models, not the methods.") == fixed
        assert text.count("This model, not its method.") == single
    assert "is a method’s measure minus the reference’s" in of_two and "minus the reference’s" not in of_one


def test_verdicts_of_two_fixed_models_are_about_these_models_which_the_headline_says_once(models):
    about = [line for line in headline(models) if "about these two models" in line]
    assert about == [
        "These verdicts are about these two models, with one run of each: they show nothing about the methods, whose "
        "other runs may differ."
    ]
    assert headline(models)[0].startswith("candidate is less accurate than current for group = b, by ")
    assert details(models)[1].startswith("candidate against current: worse in ")
    (shown,) = verdict_tables(models.verdicts, models.design)
    assert shown.scope == "these models" and not any(row.scope for part in shown.parts for row in part.rows)
    assert "About these models." in markdown(models) and "about these models" in Outline(page.html(models)).visible


@pytest.mark.parametrize(
    ("runs", "single", "other"), [((4, 1), "candidate", "current"), ((1, 4), "current", "candidate")]
)
def test_one_model_against_several_runs_is_named_with_their_number(runs, single, other):
    results = two(runs, n=600)
    about = [line for line in headline(results) if "is one model" in line]
    assert about == [
        f"{single} is one model, compared with the mean of 4 runs of {other}: these verdicts are about that model and "
        "show nothing about its method, whose other runs may differ."
    ]
    (shown,) = verdict_tables(results.verdicts, results.design)
    assert shown.scope == "this model against the mean of 4 runs"
    assert " N runs" not in everything(results)


def test_verdicts_on_methods_have_no_sentence_and_no_word_about_their_scope():
    results = two((3, 3), n=300)
    assert not any("about th" in line for line in headline(results))
    (shown,) = verdict_tables(results.verdicts, results.design)
    assert shown.scope == "" and "About th" not in markdown(results)


def test_a_table_whose_rows_have_several_scopes_shows_them_row_by_row(models):
    mixed = models.verdicts.with_columns(
        scope=pl.when(pl.col("measure") == "accuracy").then(pl.lit("the methods")).otherwise("scope")
    )
    (shown,) = verdict_tables(mixed, models.design)
    scopes = {part.title: {row.scope for row in part.rows if row.contrast != "—"} for part in shown.parts}
    assert shown.scope == "" and scopes["accuracy"] == {"the methods"}
    assert scopes["true positive rate"] == {"these models"}


def test_several_methods_without_a_reference_and_several_settings_are_each_named(simulate):
    results = simulate(methods=("full", "lora"), references=(), settings=("faces", "posts"), seeds=3)
    lines = gap_lines(results.verdicts, results.design)
    assert [line.split(": ")[0] for line in lines] == ["faces", "faces", "posts", "posts"]
    assert lines[0].startswith("faces: No group is shown to fare worse than the rest under full; ")
    assert re.search(r"; (only )?gaps in accuracy above [0-9.]+ points are excluded", lines[0])
    assert lines[3].startswith("posts: lora is less accurate for shape = circle than for the rest, by ")
    assert any(line.startswith("Across settings, gaps of lora: worse in ") for line in details(results))
    said = headline(results)
    assert said[0].startswith("Across 2 settings lora is less accurate for shape = circle than for the rest, by ")
    assert said[1].startswith("Across 2 settings no group is shown to fare worse than the rest under full; ")
    assert [line.split(": ")[0] for line in said[2:]] == ["posts", "faces", "faces", "posts"]
    assert "Across settings: gaps of lora" in markdown(results) and "lora against None" not in everything(results)


def test_one_run_of_each_in_several_settings_is_more_than_two_models(simulate):
    results = simulate(settings=("faces", "posts"), seeds=1)
    (about,) = [line for line in headline(results) if "one run of each" in line]
    assert about.startswith("These verdicts are about these models, with one run of each")


def test_several_seeds_of_one_method_have_gaps_of_the_method():
    rows = table(runs=(0, 3), n=600)
    results = evenhand.audit(rows, label="label", prediction="guess", groups="group", seed="seed", example="id")
    assert set(results.verdicts.drop_nulls("contrast")["scope"]) == {"the methods"}
    assert "is less accurate for group = b than for the rest" in headline(results)[0]
    assert "3 seeds" in terminal.text(results)


def test_without_groups_one_model_has_estimates_and_the_reason_why_there_are_no_verdicts(simulate):
    results = simulate(methods=("model",), references=(), groups=())
    (sentence,) = headline(results)
    assert "a comparison needs a reference method or groups" in sentence
    assert "values of single examples" in Outline(page.html(results)).visible
    assert results.verdicts.is_empty() and "accuracy" in terminal.text(results)


def test_a_gap_larger_than_any_accuracy_is_not_called_detectable():
    rows = gaps({"measure": "accuracy", "detectable": 1.5, "verdict": "inconclusive"})
    assert smallest_harm(rows).startswith(
        "With so few runs or examples this study reliably detects no gap in accuracy between a group and the rest"
    )


def test_a_notebook_shows_the_headline_and_a_short_table_and_no_name_is_markup(harmed, models):
    shown = Outline(harmed._repr_html_())
    assert headline(harmed)[0] in shown.visible and "group = b against the rest" in shown.visible
    rows = [tag for tag, _ in Outline(models._repr_html_()).elements if tag == "tr"]
    assert len(rows) == MOST_ROWS + 1 and "more in the table of verdicts" in Outline(models._repr_html_()).visible
    attack = replace(harmed, design=harmed.design.model_copy(update={"source": "<script>alert(1)</script>"}))
    assert (
        "<script" not in attack._repr_html_() and "<script>alert(1)</script>" in Outline(attack._repr_html_()).visible
    )


@pytest.mark.parametrize(("favourable", "sign"), [(None, "higher"), ("positive", "worse")])
def test_a_chart_of_a_measure_without_direction_says_higher_and_not_worse(favourable, sign):
    frame = pl.DataFrame({"y": [0, 1] * 200, "p": [0, 1, 1, 1] * 100, "g": ["a", "b", "b", "a"] * 100})
    results = evenhand.audit(frame, label="y", prediction="p", groups="g", favourable=favourable)
    spec = str(charts.verdict_chart(results.verdicts, results.design, measures=["selection_rate"]).to_dict())
    assert f"right of 0: {sign}" in spec and f"{sign} than the rest by" in spec


def test_intervals_without_width_exclude_nothing():
    rows = table().with_columns(p=0.5)
    one = rows.filter(pl.col("method") == "current")
    alone = evenhand.audit(one, label="label", probability="p", groups="group", measures=["roc_auc"])
    paired = {"method": "method", "reference": "current", "example": "id"}
    same = evenhand.audit(rows, label="label", probability="p", groups="group", measures=["brier_score"], **paired)
    for results in (alone, same):
        said = " ".join(headline(results))
        assert "excluded" not in said and "could not be judged" in said


@pytest.mark.parametrize("measure", ["prevalence", "demographic_parity_difference", "r2_score"])
def test_a_terminal_shows_the_estimates_that_it_promises(measure: str):
    rows = table().filter(pl.col("method") == "current").with_columns(number=pl.col("guess") + 0.5)
    numbers = {"prediction": "number", "task": "regression"} if measure == "r2_score" else {"prediction": "guess"}
    results = evenhand.audit(rows, label="label", groups="group", measures=[measure], **numbers)
    said = terminal.text(results)
    assert "estimates and no verdicts" in said
    head, *shown = said.partition("95% interval")[2].splitlines()
    assert "examples" in head and len([line for line in shown if " model " in line]) >= 1


def test_a_terminal_says_what_decides_in_place_of_a_measure():
    rows = table().filter(pl.col("method") == "current")
    asked = {"label": "label", "prediction": "guess", "groups": "group", "measures": ["false_negative_rate"]}
    said = terminal.text(evenhand.audit(rows, **asked))
    assert (
        "no verdicts: for false negative rate, what decides is the true positive rate, which is 1 minus this." in said
    )
    assert "0 of 0" not in said and "95% interval" in said


def test_of_one_group_a_report_says_that_there_is_nobody_to_compare_it_with():
    rows = table().filter(pl.col("method") == "current").with_columns(group=pl.lit("a"))
    said = terminal.text(evenhand.audit(rows, label="label", prediction="guess", groups="group"))
    assert "nothing could be judged (group has one group only, so that there is nobody to compare it with)." in said
