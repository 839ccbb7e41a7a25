"""Metrics of benchmarks that the audit does not know: what is declared, what is said, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import evenhand as eh
from evenhand.errors import InputError
from evenhand.study.benchmark_measures import benchmark_measures, found_metrics, metric_notes
from evenhand.study.harness_spec import HarnessSpec
from evenhand.study.plan import make_plan
from evenhand.tasks.harness.loading import Benchmarks, load_benchmarks
from own_benchmarks import write_benchmarks

pytest.importorskip("lm_eval")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_benchmarks(folder)
    return folder


@pytest.fixture(scope="module")
def benchmarks(folder) -> Benchmarks:
    return load_benchmarks(("capitals", "sums", "essays"), include=folder)


def rows(**values: list[float]) -> pl.DataFrame:
    """Rows of the table `harness` with these values of each metric of essays."""
    of = [
        {"task": "essays", "metric": name, "example": str(i), "value": v}
        for name in values
        for i, v in enumerate(values[name])
    ]
    return pl.DataFrame(of)


def study(folder: Path, **more) -> eh.Study:
    values = {
        "task": {"name": "synthetic/instructions", "n": 40},
        "model": "tiny-llama",
        "methods": {"base": {"kind": "base"}, "full": {"kind": "full", "epochs": 1}},
        "reference": "base",
        "seeds": 1,
        "split": {"test": 0.4, "validation": 0},
        "harness": {"tasks": ["capitals", "sums", "essays"], "include_path": str(folder)},
    }
    return eh.Study(**{**values, **more})


def test_every_metric_that_the_audit_does_not_know_is_found(benchmarks):
    found = {metric.name: metric for metric in found_metrics([benchmarks])}
    assert set(found) == {"exact_match", "grade", "oddness", "perplexity"}  # and not acc, acc_norm
    assert (found["exact_match"].mean, found["exact_match"].more_is) == (True, "better")
    assert (found["grade"].mean, found["grade"].more_is) == (True, "better")
    assert (found["oddness"].mean, found["oddness"].more_is) == (True, "worse")
    assert not found["perplexity"].mean
    unlisted = found_metrics([benchmarks], rows(length=[3.0], grade=[1.0]))[-1]
    assert (unlisted.name, unlisted.mean, unlisted.more_is) == ("length", True, "neither")


def test_values_of_zero_and_one_are_shares_and_other_ranges_are_declared(benchmarks):
    found = found_metrics([benchmarks])
    scored = rows(grade=[3.0, 0.0], oddness=[0.0, 1.0])
    plain = {each.name: each for each in benchmark_measures([], found, scored)}
    assert plain["grade"].range is None and plain["oddness"].range == (0, 1)
    spec = HarnessSpec.parse(
        {"tasks": "essays", "metrics": {"grade": {"range": [0, 10], "more_is": "worse"}}}, "harness"
    )
    said = {each.name: each for each in benchmark_measures([spec], found, scored)}
    assert (said["grade"].range, said["grade"].more_is) == ((0, 10), "worse")
    with pytest.raises(InputError, match="grade has the value 11, which is outside of 0 to 10; correct the range"):
        benchmark_measures([spec], found, rows(grade=[11.0]))
    other = HarnessSpec.parse({"tasks": "essays", "metrics": {"grade": {"range": [0, 12]}}}, "harness")
    with pytest.raises(InputError, match="declare grade differently"):
        benchmark_measures([spec, other], found, scored)


def test_the_notes_say_direction_range_and_what_has_no_verdict(benchmarks):
    scored = rows(oddness=[0.0, 1.0], grade=[2.5])
    notes = " ".join(metric_notes(benchmarks, benchmark_measures([], found_metrics([benchmarks]), scored)))
    assert "oddness (essays), a mean over documents: more is worse; from 0 to 1." in notes
    assert "grade (essays), a mean over documents: more is better; no range is declared (harness.metrics)" in notes
    assert "perplexity (essays) is not a mean over documents" in notes


def test_a_name_that_responses_have_is_marked(folder):
    plan = make_plan(study(folder), None)
    declared = {measure.name: measure for measure in plan.design("s").declared}
    assert declared["exact_match"].kind == "values"
    assert declared["exact_match (lm-eval)"].recorded == "exact_match"


@pytest.mark.parametrize(
    ("harness", "more", "said"),
    [
        ({"metrics": {"acc": {}}}, {}, "the audit knows what acc means"),
        ({"metrics": {"grades": {}}}, {}, 'called "grades"; did you mean "grade"'),
        (
            {"metrics": {"perplexity": {"range": [0, 9]}}},
            {},
            'no task lists a mean over documents that is called "perpl',
        ),
        ({}, {"margins": {"exact_match (lm-evil)": 0.1}}, 'no measure "exact_match (lm-evil)"'),
        (
            {"tasks": ["capitals"]},
            {"task": {"name": "synthetic/reviews", "n": 40}, "margins": {"exact_match": 0.1}},
            "no m",
        ),
        ({"metrics": {"grade": {"range": [3, 3]}}}, {}, "should be a least and a larger number, not 3 and 3"),
        ({"metrics": {"grade": {"more": "better"}}}, {}, 'did you mean "more_is"'),
    ],
)
def test_what_means_nothing_is_refused_before_training(harness, more, said, folder):
    with pytest.raises(InputError) as refused:
        named = {"tasks": ["capitals", "sums", "essays"], "include_path": str(folder), **harness}
        make_plan(study(folder, harness=named, **more), None)
    assert said in str(refused.value)


def test_a_declared_metric_may_have_a_margin(folder):
    metrics = {"grade": {"range": [0, 10]}, "exact_match": {}}
    harness = {"tasks": ["sums", "essays"], "include_path": str(folder), "metrics": metrics}
    margins = {"grade": 0.5, "exact_match (lm-eval)": 0.1, "exact_match": 0.2}
    plan = make_plan(study(folder, harness=harness, margins=margins), None)
    assert json.loads(plan.design("s").model_dump_json())["margins"]["grade"] == 0.5
