"""The audit of probes: what was planted comes back, with the sign that was declared; what is refused or not judged."""

from __future__ import annotations

import polars as pl
import pytest

from evenhand import records
from evenhand.audit.kinds.probes import DESCRIBED, readings
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.reading import assess
from evenhand.audit.results import Results
from evenhand.errors import InputError
from probe_records import tables

RATES = {"base": 0.6, "more": 0.9, "same": 0.6}


def probed(examples, trials, probes, design) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Estimates and verdicts of probes."""
    found = assess(readings(examples, trials, probes, design), design)
    return found.estimates, found.verdicts


def row(frame: pl.DataFrame, **where) -> dict:
    for name, value in where.items():
        frame = frame.filter(pl.col(name).eq_missing(pl.lit(value)))
    return frame.row(0, named=True)


@pytest.fixture(scope="module")
def audit():
    return probed(*tables(RATES))


def test_estimates_are_the_shares_of_right_answers_and_their_difference(audit):
    probes = tables(RATES)[2].filter(target="author", layer=2).filter(pl.col("trial").str.contains("-more-"))
    real, control = (
        probes.filter(pl.col("control_seed").is_null() == is_real)["correct"].mean() for is_real in (True, False)
    )
    found = {name: row(audit[0], measure=name, condition="author/2", method="more", seed=None) for name in PROBES}
    assert found["probe_accuracy"]["value"] == pytest.approx(real)
    assert found["control_accuracy"]["value"] == pytest.approx(control)
    assert found["selectivity"]["value"] == pytest.approx(real - control)
    assert all(one["low"] < one["value"] < one["high"] and one["n"] == 120 for one in found.values())
    assert found["selectivity"]["low"] > 0.25
    nothing = row(audit[0], measure="selectivity", condition="author/1", method="more", seed=None)
    assert nothing["low"] < 0 < nothing["high"]
    assert len(audit[0].filter(method="more", measure="selectivity")) == 3 * (3 + 1)


def test_untrained_models_stand_beside_the_methods(audit):
    bare = row(audit[0], measure="selectivity", condition="author/2", method="untrained", seed=None)
    assert bare["low"] < 0 < bare["high"]
    against = row(audit[1], method="more", reference="untrained")
    assert against["verdict"] is None and against["margin"] is None and DESCRIBED in against["note"]
    assert against["low"] > 0.2
    without = probed(*tables(RATES, untrained=False))
    assert "untrained" not in set(without[0]["method"]) | set(without[1]["reference"])


def test_what_more_of_a_target_means_is_declared(audit):
    assert row(audit[1], method="more", reference="base")["verdict"] == "worse"
    assert row(audit[1], method="same", reference="base")["verdict"] == "equivalent"
    verdicts = probed(*tables(RATES, targets=("label", "author"), more={"label": "better", "author": "neither"}))[1]
    label = row(verdicts, method="more", reference="base", condition="label/2")
    assert label["verdict"] == "better" and label["contrast"] < -0.2
    author = row(verdicts, method="more", reference="base", condition="author/2")
    assert author["verdict"] is None and author["low"] > 0.2 and DESCRIBED in author["note"]


def test_a_target_is_a_family_of_the_layers_that_are_judged(audit):
    assert set(audit[1]["condition"]) == {"author/2"}
    assert row(audit[1], method="more", reference="base")["family"].startswith(
        "selectivity by layer of author, more vs"
    )
    verdicts = probed(*tables(RATES, targets=("author", "age"), judged=(0, 2)))[1]
    own = verdicts.filter(method="more", reference="base")
    assert set(own["condition"]) == {"author/0", "author/2", "age/0", "age/2"}
    assert own["family"].n_unique() == 2 and own["family"].str.contains("2 contrasts").all()
    alone, together = (row(one, method="more", reference="base", condition="author/2") for one in (audit[1], verdicts))
    assert together["low"] < alone["low"]  # two questions cost width


def test_the_last_layers_of_models_of_several_depths_are_pooled():
    verdicts = probed(*tables(RATES, targets=("author", "age"), settings={"small": 3, "large": 5}))[1]
    pooled = verdicts.filter(pl.col("setting").is_null())
    assert set(pooled["condition"]) == {"author/last", "age/last"}
    assert set(pooled["reference"]) == {"base"}
    mean = verdicts.filter(pl.col("condition").is_in(["author/2", "author/4"]), method="more", reference="base")
    found = row(pooled, method="more", condition="author/last")
    assert found["contrast"] == pytest.approx(mean["contrast"].mean()) and found["runs"] == 2


def test_a_failed_trial_is_said_and_one_run_decides_about_these_models():
    estimates, verdicts = probed(*tables(RATES, seeds=4, failed=[("more", 1)]))
    found = row(estimates, measure="selectivity", condition="author/2", method="more", seed=None)
    assert "1 of 4 seeds have no probes: training failed (diverged)" in found["note"]
    compared = row(verdicts, method="more", reference="base")
    assert compared["runs"] == 3 and "seed 1 has probes of one method only" in compared["note"]
    one = row(probed(*tables(RATES, seeds=1))[1], method="more", reference="base")
    assert one["verdict"] == "worse" and one["scope"] == "these models"
    assert "one run of each: about these two models" in one["note"]


def test_few_examples_and_few_differences_are_no_proof():
    few = row(probed(*tables(RATES, n=9))[1], method="more", reference="base")
    assert few["verdict"] == "inconclusive" and few["low"] is None
    assert "fewer than 10 tested examples" in few["note"]
    same = row(probed(*tables(RATES))[1], method="same", reference="base")
    assert same["contrast"] == 0 and same["low"] < 0 < same["high"]
    assert "fewer than 10 discordant units: the interval is adjusted" in same["note"]


def test_measures_and_examples_that_are_not_there():
    examples, trials, probes, design = tables(RATES)
    only = design.model_copy(update={"measures": ("probe_accuracy",)})
    estimates, verdicts = probed(examples, trials, probes, only)
    assert set(estimates["measure"]) == {"probe_accuracy"} and verdicts.is_empty()
    with pytest.raises(InputError, match="probes are of examples that the table examples lacks, such as 'e0000'"):
        probed(examples.filter(pl.col("example") != "e0000"), trials, probes, design)
    other = design.model_copy(
        update={"settings": {"main": design.settings["main"].model_copy(update={"probed": None})}}
    )
    assert probed(examples, trials, probes, other)[0].is_empty()


def test_probes_are_kept_with_the_results_and_read_back(tmp_path):
    examples, trials, probes, design = tables(RATES)
    results = Results.compute(examples, trials, records.TABLES["predictions"].empty(), design, probes=probes)
    results.save(tmp_path)
    again = Results.load(tmp_path)
    assert again.probes.equals(results.probes) and len(again.probes)
    assert again.verdicts.equals(results.verdicts)
