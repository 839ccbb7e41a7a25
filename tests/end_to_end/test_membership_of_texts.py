"""Membership inference of language models from a study file to the report, with real trainings."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import yaml

from evenhand import Study
from evenhand.audit.membership.pool import attacked
from evenhand.audit.results import Results
from evenhand.metrics import membership_auc

ATTACKS = ("loss", "reference", "zlib", "min_k", "min_k_plus_plus", "difficulty", "rmia", "lira")


@pytest.fixture(scope="module")
def study():
    """A study that learns few pairs by heart, and hardly at all with privacy."""
    return {
        "task": {"name": "synthetic/instructions", "n": 80, "noise": {"food": 0.5, "music": 0.5}},
        "model": "tiny-llama",
        "methods": {
            "base": {"kind": "base"},
            "full": {"kind": "full", "lr": 3e-3, "epochs": 20},
            "private": {"kind": "dp_lora", "rank": 4, "lr": 1e-2, "epsilon": 0.5, "epochs": 2},
        },
        "reference": "private",
        "seeds": 0,
        "membership": {"models": 8, "canaries": {"texts": 8, "copies": [1, 4]}},
        "train": {"batch_size": 16},
        "margins": {"membership_auc": 0.02},
        "keep": "none",
    }


@pytest.fixture(scope="module")
def ran(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(study))
    Study(**study).run(folder / "out")
    return path, folder / "out"


def area(results: Results, method: str, group: str | None = None) -> dict:
    rows = results.estimates.filter(pl.col("seed").is_null(), measure="membership_auc", method=method)
    return rows.filter(pl.col("comparison").is_null(), pl.col("group").eq_missing(pl.lit(group))).row(0, named=True)


@pytest.mark.slow
def test_many_epochs_leak_and_a_private_model_does_not(ran):
    _, out = ran
    results = Results.load(out)
    assert area(results, "full")["low"] > 0.6
    private = area(results, "private")
    assert private["low"] < 0.5 < private["high"] and abs(private["value"] - 0.5) < 0.08
    assert area(results, "full", "4 copies")["value"] > 0.9 > area(results, "private", "4 copies")["value"]
    verdict = results.verdicts.filter(
        pl.col("group").is_null(), measure="membership_auc", comparison="change", method="full"
    ).row(0, named=True)
    assert verdict["verdict"] == "worse" and verdict["runs"] == 4
    results.report(out / "page.html")
    page = (out / "page.html").read_text()
    assert "Membership is inferred from the tokens of responses (attack: lira)" in page
    assert "loss on members (train) and non-members (test)" in page


@pytest.mark.slow
def test_another_attack_needs_no_weights_and_trains_nothing_but_scores_the_base_model(ran, evenhand):
    path, out = ran
    for attack in ("min_k_plus_plus", "reference"):
        again = evenhand("run", path, "--out", out, "--set", f"membership.attack={attack}")
        done = "all 16 trials are complete" if attack != "reference" else "16 of 17 trials are complete"
        assert again.returncode == 0 and done in again.stderr, again.stderr
        assert area(Results.load(out), "full")["value"] > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_membership_that_is_drawn_again_after_training_has_an_area_of_a_half(ran, attack):
    """Real models, and a coin for each pair of twins and text: no attack may tell who is a member."""
    _, out = ran
    results = Results.load(out)
    trials, tokens = results.trials, results.tokens
    setting = results.design.settings["main"]
    assert setting.membership is not None
    how = setting.membership.model_copy(update={"attack": attack})
    design = results.design.model_copy(update={"settings": {"main": setting.model_copy(update={"membership": how})}})
    if attack == "reference":
        trial = trials.filter(method="full").row(0, named=True)
        base = tokens.filter(trial=trial["trial"]).with_columns(trial=pl.lit("base"), split=pl.lit("test"))
        row = pl.DataFrame([{**trial, "method": "base", "trial": "base", "subset": "base", "pair": None}])
        trials, tokens = pl.concat([trials, row.cast(trials.schema)]), pl.concat([tokens, base])
    model_of = trials.filter(subset="pool").select("trial", pair_of=pl.col("seed") // 2)
    areas = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        coins = pl.DataFrame(
            [
                {"pair_of": pair, "example": example, "swap": bool(rng.random() < 0.5)}
                for pair in range(4)
                for example in results.examples["example"]
            ],
            schema_overrides={"pair_of": pl.Int64},
        )
        other = pl.col("split").replace({"train": "test", "test": "train"})
        drawn = tokens.join(model_of, on="trial", how="left").join(coins, on=["pair_of", "example"], how="left")
        drawn = drawn.with_columns(split=pl.when(pl.col("swap")).then(other).otherwise("split")).select(tokens.columns)
        found = attacked(results.examples, trials, results.predictions, design, drawn).settings["main"].methods["full"]
        areas.append(membership_auc(found.score, found.member))
    error = np.std(areas, ddof=1) / np.sqrt(len(areas))
    assert abs(np.mean(areas) - 0.5) < max(4 * error, 0.02), areas
