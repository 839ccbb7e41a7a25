"""The audit of translations: shares, BLEU and ROUGE-L against plain functions, influences, verdicts, bad input."""

from __future__ import annotations

import re

import numpy as np
import polars as pl
import pytest

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Run
from evenhand.audit.kinds.translations import evaluations, readings
from evenhand.audit.measures import measure_named
from evenhand.audit.measures.run_data import RunData, RunSubset
from evenhand.audit.measures.translations import TRANSLATIONS
from evenhand.audit.reading import assess
from evenhand.audit.results import Results
from evenhand.errors import InputError
from evenhand.metrics import bleu, bleu_paper, pronoun_class, pronoun_readings, rouge_l, stereotype_shares

SEEDS = (0, 1, 2)
PRONOUN = {"male": ("he", "his"), "female": ("she", "her")}
OTHER = {"male": "female", "female": "male"}


def records_of(pro: dict[str, float], units: int = 40, slips: float = 0.0, seed: int = 0):
    """Examples, trials and responses: two sentences a unit; method to the chance of the stereotypical pronoun."""
    rng = np.random.default_rng(seed)
    rows, said, trials = [], [], []
    for unit in range(units):
        for place, gender in enumerate(PRONOUN):
            he, _ = PRONOUN[gender]
            sentence = f"The worker {unit} called the office {unit % 7} because {he} was late on day {unit % 5}."
            rows.append(
                {
                    "setting": "main",
                    "example": f"{unit}-{place}",
                    "label": None,
                    "weight": 1.0,
                    "unit": f"unit-{unit}",
                    "references": [sentence],
                    "attribute.stereotype": [gender],
                }
            )
    for method, chance in pro.items():
        for number in SEEDS:
            trial = f"{method}-{number}"
            place = {"setting": "main", "method": method, "seed": number, "role": "study"}
            trials.append({**place, "trial": trial, "status": "done"})
            for row in rows:
                gender = row["attribute.stereotype"][0]
                drawn = gender if rng.random() < chance else OTHER[gender]
                text = row["references"][0].replace(f" {PRONOUN[gender][0]} ", f" {PRONOUN[drawn][0]} ")
                if rng.random() < slips:
                    text = text.replace("called", "has seen").replace("office", "whole house")
                said.append({"trial": trial, "split": "test", "example": row["example"], "step": None, "text": text})
    return (
        pl.DataFrame(rows, schema_overrides={"label": pl.Int64}),
        pl.DataFrame(trials),
        pl.DataFrame(said, schema_overrides={"step": pl.Int64}),
    )


def design(**more) -> Design:
    setting = SettingDesign(references=("general",), methods=("general", "pro"), kind="translation")
    return Design(settings={"main": setting}, **{"margins": {"default": 0.1, "bleu": 2.0}, **more})


def translated(examples, trials, responses, design) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimates and verdicts of translations."""
    found = assess(readings(examples, trials, responses, design), design)
    return found.estimates, found.verdicts


def empty_columns(trials: pl.DataFrame) -> pl.DataFrame:
    from evenhand.records import TABLES

    return pl.concat([TABLES["trials"].empty(), trials], how="diagonal")


@pytest.fixture(scope="module")
def tables():
    examples, trials, responses = records_of({"general": 0.5, "pro": 0.9}, slips=0.3)
    return examples, empty_columns(trials), responses


@pytest.fixture(scope="module")
def evaluation(tables) -> Evaluation:
    (found,) = evaluations(*tables, design=design())
    return found


def value(estimates: pl.DataFrame, measure: str, method: str, seed: int | None, group: str | None) -> float:
    rows = estimates.filter(
        pl.col("comparison").is_null(),
        pl.col("measure") == measure,
        pl.col("method") == method,
        pl.col("seed").eq_missing(pl.lit(seed, pl.Int64)),
        pl.col("group").eq_missing(pl.lit(group, pl.String)),
    )
    return rows["value"].item()


@pytest.mark.parametrize("group", [None, "male", "female"])
def test_values_are_those_of_the_plain_functions(tables, group):
    examples, _, responses = tables
    estimates, _ = translated(*tables, design=design())
    own = responses.filter(trial="pro-1").join(examples, on="example", maintain_order="left")
    if group is not None:
        own = own.filter(pl.col("attribute.stereotype").list.first() == group)
    texts = own["text"].to_list()
    references = [pronoun_readings(one[0]) for one in own["references"].to_list()]
    shares = stereotype_shares([pronoun_class(text) for text in texts], [one[0] for one in own["attribute.stereotype"]])
    for outcome in ("pro", "anti", "neutral", "mixed", "none"):
        assert value(estimates, f"{outcome}_share", "pro", 1, group) == pytest.approx(getattr(shares, outcome))
    assert value(estimates, "stereotype_lean", "pro", 1, group) == pytest.approx(shares.pro - shares.anti)
    assert value(estimates, "bleu", "pro", 1, group) == pytest.approx(bleu(texts, references))
    assert value(estimates, "rouge_l", "pro", 1, group) == pytest.approx(rouge_l(texts, references).mean())


@pytest.mark.parametrize("group", [None, "female"])
def test_bleu_of_the_paper_is_computed_where_it_is_asked_for(tables, group):
    examples, trials, responses = tables
    shouted = responses.with_columns(text=pl.col("text").str.to_uppercase() + pl.lit("  "))
    assert "bleu_paper" not in set(translated(examples, trials, shouted, design())[0]["measure"])
    estimates, verdicts = translated(examples, trials, shouted, design(measures=("bleu_paper", "bleu")))
    own = responses.filter(trial="pro-1").join(examples, on="example", maintain_order="left")
    if group is not None:
        own = own.filter(pl.col("attribute.stereotype").list.first() == group)
    references = [pronoun_readings(one[0]) for one in own["references"].to_list()]
    oracle = bleu_paper(own["text"].to_list(), references)
    assert value(estimates, "bleu_paper", "pro", 1, group) == pytest.approx(oracle)
    assert value(estimates, "bleu", "pro", 1, group) < 20 < oracle
    assert "bleu_paper" in set(verdicts["measure"])


def test_a_pronoun_costs_no_points():
    examples, trials, responses = records_of({"general": 0.0, "pro": 1.0})
    estimates, _ = translated(examples, empty_columns(trials), responses, design())
    for method in ("general", "pro"):
        assert value(estimates, "bleu", method, None, None) == pytest.approx(100)


def influence_of(evaluation: Evaluation, run: Run, measure: str):
    """A measure of everyone in one run, and the resampling unit of each of its rows."""
    population = evaluation.population
    weight, everyone = population.weight[run.rows], RunSubset("everyone", np.arange(len(run.rows)))
    data = RunData(population.label[run.rows], run.predicted, None, weight, None, run.texts)
    found = measure_named(measure).influence(data, everyone)
    return found, population.unit[run.rows[found.rows]]


@pytest.mark.parametrize("measure", [name for name in TRANSLATIONS if name not in ("neutral_share", "mixed_share")])
def test_an_influence_is_what_a_units_absence_changes(evaluation, measure):
    """The jackknife over units, by hand: exact for means, and what BLEU's influences are made of."""
    run = evaluation.runs["pro", 0]
    found, units = influence_of(evaluation, run, measure)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    for unit in np.unique(units)[:6]:
        rest = run.take(run.rows[evaluation.population.unit[run.rows] != unit])
        without = influence_of(evaluation, rest, measure)[0].value
        moved = found.influence[units == unit].sum() / (1 - found.weights[units == unit].sum())
        tolerance = 0.05 * abs(moved) + 1e-3 if measure.startswith("bleu") else 1e-9
        assert found.value - without == pytest.approx(moved, abs=tolerance)


def test_bleu_of_the_jackknife_agrees_with_a_bootstrap_of_units(evaluation):
    """The standard error of one run's BLEU against 400 resamples of whole units."""
    from evenhand.metrics.text_quality import bleu_of

    run = evaluation.runs["general", 0]
    found, units = influence_of(evaluation, run, "bleu")
    by_unit = np.zeros((units.max() + 1, 10), dtype=np.int64)
    assert run.texts is not None
    assert run.texts.bleu is not None
    np.add.at(by_unit, units, run.texts.bleu)
    rng = np.random.default_rng(0)
    drawn = [bleu_of(by_unit[rng.integers(0, len(by_unit), len(by_unit))].sum(axis=0)) for _ in range(400)]
    error = np.sqrt((np.bincount(units, weights=found.influence) ** 2).sum())
    assert error == pytest.approx(np.std(drawn), rel=0.15)


def test_a_stereotype_that_is_learned_is_worse_by_a_verdict(tables):
    _, verdicts = translated(*tables, design=design())
    row = verdicts.filter(pl.col("measure") == "pro_share", pl.col("group").is_null()).row(0, named=True)
    assert row["verdict"] == "worse"
    assert row["low"] < 0.4 < row["high"]
    assert {"male_share", "anti_share", "none_share"}.isdisjoint(verdicts["measure"])


def test_twins_are_never_worse():
    examples, trials, responses = records_of({"general": 0.7, "pro": 0.7}, slips=0.3, seed=5)
    _, verdicts = translated(examples, empty_columns(trials), responses, design())
    assert "worse" not in set(verdicts.filter(pl.col("group").is_null())["verdict"])


def test_what_cannot_be_known_is_null_with_the_reason(tables):
    examples, trials, responses = tables
    bare = examples.drop("attribute.stereotype").with_columns(references=pl.lit(None, pl.List(pl.String)))
    estimates, _ = translated(bare, trials, responses, design())
    over = estimates.filter(pl.col("seed") == 0, pl.col("method") == "pro")
    notes = dict(over.select("measure", "note").iter_rows())
    assert over.filter(pl.col("measure") != "male_share")["value"].null_count() == len(over) - 1
    assert "no references" in notes["bleu"]
    assert "stereotype" in notes["pro_share"]


def test_without_sacrebleu_the_rest_is_audited(tables, monkeypatch):
    from evenhand.metrics import text_quality

    monkeypatch.setattr(text_quality, "find_spec", lambda name: None)
    estimates, _ = translated(*tables, design=design())
    rows = estimates.filter(pl.col("measure") == "bleu")
    assert rows["value"].null_count() == len(rows)
    assert "pip install 'evenhand[generation]'" in rows["note"][0]
    assert estimates.filter(pl.col("measure") == "pro_share")["value"].null_count() == 0


def test_a_failed_trial_is_said(tables):
    examples, trials, responses = tables
    failed = trials.with_columns(
        status=pl.when(pl.col("trial") == "pro-2").then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(pl.col("trial") == "pro-2").then(pl.lit("the loss was nan")),
    )
    estimates, _ = translated(examples, failed, responses.filter(pl.col("trial") != "pro-2"), design())
    notes = estimates.filter(pl.col("seed").is_null(), pl.col("method") == "pro")["note"].to_list()
    assert all("1 of 3 seeds have no predictions: training failed (the loss was nan)" in note for note in notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e, t, r: (e.head(10), t, r), "responses are to examples that the table examples lacks"),
        (
            lambda e, t, r: (e.with_columns(pl.lit(["mail"]).alias("attribute.stereotype")), t, r),
            "the attribute stereotype has the group 'mail'",
        ),
    ],
)
def test_records_that_do_not_fit_are_refused(tables, change, said):
    with pytest.raises(InputError, match=re.escape(said)):
        translated(*change(*tables), design=design())


@pytest.mark.slow
def test_results_of_translations_are_kept_and_read_back(tables, tmp_path):
    examples, trials, responses = tables
    from evenhand.records import TABLES

    results = Results.compute(examples, trials, TABLES["predictions"].empty(), design(), responses=responses)
    results.save(tmp_path)
    again = Results.load(tmp_path)
    assert again.responses.equals(results.responses)
    assert again.verdicts.equals(results.verdicts)
    for name in ("report.html", "report.md"):
        again.report(tmp_path / name)
    page = (tmp_path / "report.html").read_text()
    assert 'id="translation"' in page
    assert 'id="calibration"' not in page
    assert "BLEU" in (tmp_path / "report.md").read_text()
    assert "translations.png" in {path.name for path in again.figures(tmp_path / "figures")}
