"""Claims about attacked pools of language models: scores come from the log-probabilities of texts' tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
import pytest

from evenhand import Results, records
from evenhand.audit.design import Design, MembershipDesign, SettingDesign
from evenhand.audit.membership.pool import attacked
from evenhand.errors import InputError
from evenhand.metrics import (
    attack_pool,
    likelihood_score,
    membership_auc,
    min_k_plus_plus_score,
    min_k_score,
    text_confidence,
    zlib_score,
)
from evenhand.stats.discrimination import pooled_auc
from pool_records import examples, halves, trial, trials_of

MODELS = 8
ATTACKS = ("loss", "reference", "zlib", "min_k", "min_k_plus_plus", "difficulty", "lira", "rmia")
TWIN = (np.arange(MODELS) + MODELS // 2) % MODELS


def tokens_of(rng: np.random.Generator, sizes: np.ndarray, hard: np.ndarray, gain: np.ndarray) -> dict[str, list]:
    """Columns of `tokens` of one model: a text of size n has n tokens, likelier where the text gained."""
    columns: dict[str, list] = {"log_probs": [], "means": [], "deviations": []}
    for size, difficulty, more in zip(sizes, hard, gain, strict=True):
        columns["log_probs"].append((-rng.gamma(2.0, difficulty, size) * np.exp(-more)).tolist())
        columns["means"].append((-3 + 0.3 * rng.normal(size=size)).tolist())
        columns["deviations"].append(rng.uniform(0.5, 1.5, size).tolist())
    return columns


def pool(leaks: Mapping[str, float], n: int = 300, seed: int = 0) -> dict[str, pl.DataFrame]:
    """Records of a pool of each method, whose models remember texts so much, and of the base model."""
    rng = np.random.default_rng(seed)
    table = examples(n).with_columns(
        label=pl.lit(None, dtype=pl.Int64), zlib_bytes=pl.Series(rng.integers(10, 40, n), dtype=pl.Int64)
    )
    member, hard, sizes = halves(n, MODELS, seed), rng.uniform(0.5, 2, n), rng.integers(2, 9, n)
    rows, frames = [], []

    def add(row: dict[str, Any], inside: np.ndarray, leak: float) -> None:
        rows.append(row)
        columns = tokens_of(rng, sizes, hard, leak * inside)
        split = np.where(inside, "train", "test")
        frame = {"trial": [row["trial"]] * n, "split": split, "example": table["example"], **columns}
        frames.append(pl.DataFrame(frame))

    for method, leak in leaks.items():
        for model in range(MODELS):
            twin = f"{method}-pool-{TWIN[model]}"
            add(trial(method, model, "pool", subset="pool", pair=twin), member[model], leak)
    add(trial("base", 0, "pool", subset="base"), np.zeros(n, dtype=bool), 0.0)
    lists = pl.col("log_probs", "means", "deviations").cast(pl.List(pl.Float32))
    tokens = records.validate(pl.concat(frames).with_columns(lists), "tokens")
    return {"examples": records.validate(table, "examples"), "trials": trials_of(rows), "tokens": tokens}


def design(attack: str = "lira", methods: tuple[str, ...] = ("full", "lora"), **options: Any) -> Design:
    setting = SettingDesign(
        references=methods[:1],
        methods=methods,
        membership=MembershipDesign.parse({"attack": attack}, "membership"),
        vary=False,
        kind="sft",
    )
    return Design(settings={"s": setting}, **options)


def attack(tables: Mapping[str, pl.DataFrame], how: Design):
    predictions = records.TABLES["predictions"].empty()
    return attacked(tables["examples"], tables["trials"], predictions, how, tables["tokens"])


def standardised(part: pl.DataFrame) -> np.ndarray:
    """Min-K%++ of one model's texts."""
    log_probs, means, deviations = (part[name].to_list() for name in ("log_probs", "means", "deviations"))
    return min_k_plus_plus_score(log_probs, means, deviations, 0.2)


@pytest.fixture(scope="module")
def leaky():
    return pool({"full": 0.8, "lora": 0.3})


@pytest.mark.parametrize("name", ATTACKS)
def test_scores_are_those_of_the_attack_on_what_the_models_say_of_tokens(leaky, name):
    found = attack(leaky, design(name)).settings["s"].methods["full"]
    parts = [leaky["tokens"].filter(trial=f"full-pool-{model}") for model in range(MODELS)]
    mean = np.array([likelihood_score(part["log_probs"].to_list()) for part in parts])
    base = likelihood_score(leaky["tokens"].filter(trial="base-pool-0")["log_probs"].to_list())
    member = np.array([(part["split"] == "train").to_numpy() for part in parts])
    expected = {
        "loss": lambda: mean,
        "reference": lambda: mean - base,
        "zlib": lambda: mean / leaky["examples"]["zlib_bytes"].to_numpy(),
        "min_k": lambda: np.array([min_k_score(part["log_probs"].to_list(), 0.2) for part in parts]),
        "min_k_plus_plus": lambda: np.array([standardised(part) for part in parts]),
        "difficulty": lambda: attack_pool(mean, member, TWIN, "difficulty"),
        "lira": lambda: attack_pool(mean, member, TWIN, "lira", variance="auto"),
        "rmia": lambda: attack_pool(text_confidence(mean), member, TWIN, "rmia"),
    }[name]()
    np.testing.assert_allclose(found.score, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.member, member)
    assert found.loss is not None
    np.testing.assert_allclose(found.loss, -mean, rtol=1e-6)


def test_zlib_is_the_metric_of_that_name(leaky):
    part = leaky["tokens"].filter(trial="lora-pool-3")
    found = attack(leaky, design("zlib")).settings["s"].methods["lora"].score[3]
    bytes_of = leaky["examples"]["zlib_bytes"].to_numpy()
    np.testing.assert_allclose(found, zlib_score(part["log_probs"].to_list(), bytes_of))


@pytest.mark.parametrize("name", ATTACKS)
def test_models_that_remember_nothing_have_an_area_of_a_half(name):
    areas = []
    for seed in range(6):
        found = attack(pool({"full": 0.0}, seed=seed), design(name, ("full",))).settings["s"].methods["full"]
        areas.append(membership_auc(found.score, found.member))
    n, pools = 300, 6
    error = np.sqrt((n + 1) / (3 * n**2) / MODELS / pools)  # of independent targets with n/2 members each
    assert abs(np.mean(areas) - 0.5) < 4 * error


def test_a_leak_is_found_and_methods_are_compared_pair_by_pair(leaky):
    results = Results.of_valid(leaky, design(margins={"membership_auc": 0.02}))
    area = results.verdicts.filter(pl.col("group").is_null(), measure="membership_auc").row(0, named=True)
    assert area["verdict"] == "better" and area["runs"] == MODELS // 2
    levels = results.estimates.filter(pl.col("group").is_null(), pl.col("seed").is_null())
    value = {(row["measure"], row["method"]): row["value"] for row in levels.iter_rows(named=True)}
    assert value["membership_auc", "full"] > value["membership_auc", "lora"] > 0.55
    assert value["membership_test_loss", "full"] > value["membership_train_loss", "full"]
    assert not any("accuracy" in name and "balanced" not in name for name, _ in value)
    assert {"a", "b"} <= set(results.verdicts["group"].drop_nulls())
    assert set(results.scores["trial"]) == {f"{method}-pool-{m}" for method in ("full", "lora") for m in range(MODELS)}


def test_the_area_of_a_loss_is_that_of_its_scores_without_a_jackknife(leaky):
    found = attack(leaky, design("min_k")).settings["s"].methods["full"]
    assert found.pool is not None and not found.pool.jackknifed and found.pool.without == ()
    assert pooled_auc(found.score, found.member).estimate == pytest.approx(membership_auc(found.score, found.member))


def refused(leaky, how: Design, **changed: pl.DataFrame) -> str:
    with pytest.raises(InputError) as error:
        attack({**leaky, **changed}, how)
    return str(error.value)


def test_records_that_do_not_suffice_are_refused(leaky):
    tokens, texts = leaky["tokens"], leaky["examples"]
    assert "scores of the base model" in refused(
        leaky, design("reference"), tokens=tokens.filter(pl.col("trial") != "base-pool-0")
    )
    lacking = tokens.filter((pl.col("trial") != "base-pool-0") | (pl.col("example") != "e7"))
    assert "no scores of the text 'e7'" in refused(leaky, design("reference"), tokens=lacking)
    unknown = texts.with_columns(zlib_bytes=pl.lit(None, dtype=pl.Int64))
    assert "zlib_bytes" in refused(leaky, design("zlib"), examples=unknown)
    empty = tokens.with_columns(
        log_probs=pl.when(pl.col("example") == "e3").then(pl.lit([], dtype=pl.List(pl.Float32))).otherwise("log_probs")
    )
    assert "the text 'e3' has no tokens" in refused(leaky, design(), tokens=empty)
    twice = tokens.filter(trial="full-pool-0", split="train").with_columns(split=pl.lit("test"))
    assert "share no text" in refused(leaky, design(), tokens=pl.concat([tokens, twice]))


def test_a_pool_that_is_too_small_says_so(leaky):
    kept = leaky["trials"].filter(pl.col("seed").is_in([0, 4]) | (pl.col("subset") == "base"))
    found = attack({**leaky, "trials": kept}, design("lira")).settings["s"].methods["full"]
    assert found.absent is not None and "needs a pool of 8 models" in found.absent
