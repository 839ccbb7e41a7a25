"""Small records of every kind, of which `frozen` holds what the audit made of them: the arguments of `Results.compute`.

Nothing here may change without need: other records are other numbers. Where they must, `freeze.py` says what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl

import harness_records
import option_records
import pool_records
import probe_records
import small_records
from evenhand import records
from evenhand.audit.design import (
    AskedDesign,
    DeclaredMeasure,
    Design,
    RegressionDesign,
    SettingDesign,
    SubgroupsDesign,
)
from evenhand.records.prompts import CONTENT_FREE
from small_records import examples, predictions, several, study, trials

Given = dict[str, Any]
"""Keyword arguments of `Results.compute`."""

CASES: dict[str, Callable[[], Given]] = {}
"""What makes each case's records, by its name."""
SEARCHED = ("subgroups", "subgroups_of_units")
"""The cases in which subgroups are searched."""

MARGINS = {"default": 0.05, "calibration_error_squared": 0.01}


def case(build: Callable[[], Given]) -> Callable[[], Given]:
    """Make a function that builds records a case of its name."""
    CASES[build.__name__] = build
    return build


def given(tables: Sequence[pl.DataFrame], design: Design, **more: pl.DataFrame) -> Given:
    """The arguments of a study with predictions."""
    return {**dict(zip(("examples", "trials", "predictions"), tables, strict=True)), "design": design, **more}


def empty(name: str) -> pl.DataFrame:
    """A table without rows."""
    return records.TABLES[name].empty()


def fixed(methods: Sequence[str] = ("full", "lora"), **more: Any) -> Design:
    """A design whose seeds share a test set, with margins."""
    setting = {"vary": False, **more.pop("setting", {})}
    return small_records.design(methods, setting=setting, **{"margins": MARGINS, **more})


def positive(score: np.ndarray) -> np.ndarray:
    """Probabilities [n, 2] of scores of the second class."""
    share = 1 / (1 + np.exp(-2 * score))
    return np.stack([1 - share, share], axis=1)


# Predictions


@case
def overlapping_groups() -> Given:
    """Three methods and two references; who may be of two groups, of one or of none, and lives in one region."""
    rng = np.random.default_rng(1)
    n, label = 240, rng.integers(0, 2, 240)
    inside = rng.random((n, 3)) < (0.5, 0.4, 0.15)
    who = [[name for name, yes in zip("abc", row, strict=True) if yes] for row in inside]
    region = [[name] for name in rng.choice(["north", "south"], n)]
    ease, uses, frames = rng.normal(size=n), [], []
    for seed in range(3):
        for method, harm in (("full", 0.0), ("lora", 0.9), ("base", 0.3)):
            signal = 1.1 - harm * inside[:, 1]
            score = signal * (2 * label - 1) + ease + 0.3 * rng.normal(size=n)
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(n), positive(score)))
    tables = examples(list(label), {"who": who, "region": region}), trials(uses), pl.concat(frames)
    return given(tables, fixed(["full", "lora", "base"], setting={"references": ("full", "base")}))


@case
def subgroups() -> Given:
    """Two methods, one of which is worse where two attributes meet; groups that overlap, and ages."""
    rng = np.random.default_rng(11)
    n, label = 400, rng.integers(0, 2, 400)
    inside = rng.random((n, 2)) < 0.5
    who = [[name for name, yes in zip("ab", row, strict=True) if yes] for row in inside]
    sex, age = rng.choice(["f", "m"], n), rng.integers(18, 70, n)
    harmed = inside[:, 0] & (sex == "f")
    ease, uses, frames = rng.normal(size=n), [], []
    for seed in range(3):
        for method, harm in (("full", 0.0), ("lora", 1.6)):
            score = (1.2 - harm * harmed) * (2 * label - 1) + ease + 0.2 * rng.normal(size=n)
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(n), positive(score)))
    attributes = {"who": who, "sex": [[one] for one in sex], "age": [[str(one)] for one in age]}
    tables = examples(list(label), attributes), trials(uses), pl.concat(frames)
    searched = SubgroupsDesign(depth=3, support=30, cuts={"age": (30.0, 50.0)})
    return given(tables, fixed(subgroups=searched, gaps=True, measures=("accuracy", "selection_rate")))


@case
def subgroups_of_units() -> Given:
    """Gaps of one model in weighted examples of which three are a unit; an attribute that does not exist for some."""
    rng = np.random.default_rng(12)
    n, label = 300, rng.integers(0, 2, 300)
    ease = np.repeat(rng.normal(size=n // 3), 3)
    who = [None if draw < 0.15 else ["a"] if draw < 0.6 else ["b"] for draw in rng.random(n)]
    place = [[str(name)] for name in rng.choice(["x", "y", "z"], n)]
    score = 1.1 * (2 * label - 1) + ease
    unit = [f"u{row // 3}" for row in range(n)]
    table = examples(list(label), {"who": who, "place": place}, weight=rng.uniform(0.5, 3.0, n), unit=unit)
    told = predictions("full-0", range(n), positive(score))
    chosen = fixed(["full"], setting={"references": ()}, subgroups=SubgroupsDesign(depth=2, support=10))
    return given((table, trials([("full", 0)]), told), chosen)


@case
def weights_and_units() -> Given:
    """Three examples a unit, with weights; of some nobody knows the group. Predictions lie in no order."""
    rng = np.random.default_rng(2)
    n = 240
    label, ease = rng.integers(0, 2, n), np.repeat(rng.normal(size=n // 3), 3)
    who = [None if draw < 0.15 else ["a"] if draw < 0.6 else ["b"] for draw in rng.random(n)]
    uses, frames = [], []
    for seed in range(3):
        for method, signal in (("full", 1.2), ("lora", 0.9)):
            score = signal * (2 * label - 1) + ease + 0.4 * rng.normal(size=n)
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(n), positive(score)))
    unit = [f"u{place // 3}" for place in range(n)]
    table = examples(list(label), {"who": who}, weight=rng.uniform(0.5, 3.0, n), unit=unit)
    told = pl.concat(frames)
    return given((table, trials(uses), told[rng.permutation(len(told))]), fixed())


@case
def three_classes() -> Given:
    """Probabilities of three classes."""
    rng = np.random.default_rng(3)
    n, label = 180, rng.integers(0, 3, 180)
    who = [["a"] if draw < 0.6 else ["b"] for draw in rng.random(n)]
    ease, uses, frames = rng.normal(size=(n, 3)), [], []
    for seed in range(3):
        for method, signal in (("full", 2.0), ("lora", 1.4)):
            raw = np.exp(signal * np.eye(3)[label] + ease + 0.3 * rng.normal(size=(n, 3)))
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(n), raw / raw.sum(axis=1, keepdims=True)))
    tables = examples(list(label), {"who": who}), trials(uses), pl.concat(frames)
    return given(tables, fixed(setting={"classes": ("young", "middle", "old")}))


@case
def unpaired() -> Given:
    """Methods that were tested on different examples."""
    table, uses, told = study(n=300, seeds=3, harm={"b": 0.8}, seed=4)
    row = pl.col("example").str.slice(1).cast(pl.Int64)
    of_full = pl.col("trial").str.starts_with("full")
    return given((table, uses, told.filter(of_full == (row < 150))), fixed(paired="none"))


@case
def one_seed() -> Given:
    """One run of each method, and no margins."""
    return given(study(n=240, seeds=1, harm={"c": 1.0}, seed=5), fixed(margins={}))


@case
def few_discordant_units() -> Given:
    """Two methods that hardly differ, and groups so small that some are shown and not judged. Labels only."""
    rng = np.random.default_rng(6)
    n = 120
    label = np.arange(n) % 2
    said = np.where(rng.random(n) < 0.2, 1 - label, label)
    who = [["a"] if place < 70 else ["b"] if place < 95 else ["c"] if place < 114 else ["d"] for place in range(n)]
    uses, frames = [], []
    for seed in range(3):
        for method in ("full", "lora"):
            other = said.copy()
            changed = [7 + seed, 80, 100] if method == "lora" else [30]
            other[changed] = 1 - other[changed]
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", range(n), other))
    return given((examples(list(label), {"who": who}), trials(uses), pl.concat(frames)), fixed())


@case
def failed_runs() -> Given:
    """One run failed, one is missing; the methods' examples overlap in part."""
    table, uses, told = study(n=240, seeds=5, harm={"b": 0.6}, seed=7)
    kept = [use for use in uses.select("method", "seed").iter_rows() if use != ("full", 4)]
    uses = trials(kept, failed={("lora", 2): "the loss is not finite"})
    row = pl.col("example").str.slice(1).cast(pl.Int64)
    lost = (pl.col("trial").str.starts_with("lora") & (row % 7 == 0)) | ((pl.col("trial") == "full-1") & (row < 20))
    told = told.filter(~lost, ~pl.col("trial").is_in(["lora-2", "full-4"]))
    return given((table, uses, told), fixed())


@case
def a_method_that_failed() -> Given:
    """Every run of a method failed; the others are compared with it and with each other."""
    table, uses, told = study(n=150, seeds=3, seed=8)
    more = [*uses.select("method", "seed").iter_rows(), *(("base", seed) for seed in range(3))]
    uses = trials(more, failed={("base", seed): "out of memory" for seed in range(3)})
    names = ("accuracy", "true_positive_rate", "equalized_odds_difference", "accuracy_difference")
    design = fixed(["full", "lora", "base"], setting={"references": ("base", "full")}, measures=names, alpha=0.1)
    return given((table, uses, told), design)


@case
def a_new_split_per_seed() -> Given:
    """Each seed tests another 40% of the examples, and not for each of them every group."""
    table, uses, told = study(n=360, seeds=5, harm={"c": 1.0}, seed=9)
    rng = np.random.default_rng(9)
    frames = []
    for seed in range(5):
        rows = rng.permutation(360)[:144]
        tested = [f"e{row}" for row in rows]
        own = told.filter(pl.col("trial").str.ends_with(f"-{seed}"), pl.col("example").is_in(tested))
        frames.append(own)
    design = small_records.design(setting={"vary": True, "test_share": 0.4}, margins=MARGINS)
    return given((table, uses, pl.concat(frames)), design)


@case
def a_fixed_split() -> Given:
    """Each seed tests the same examples. Nobody audits the split `validation`, earlier steps, or trials that tuned."""
    table, uses, told = study(n=300, seeds=4, harm={"c": 1.2}, seed=10)
    row = pl.col("example").str.slice(1).cast(pl.Int64)
    place = pl.when(row % 5 == 0).then(pl.lit("validation")).otherwise(pl.lit("test"))
    told = told.with_columns(split=place)
    earlier = told.filter(trial="lora-0").with_columns(step=pl.lit(10, pl.Int64), logits=pl.col("logits").reverse())
    tuned = told.filter(trial="full-0").with_columns(trial=pl.lit("tuned"))
    tuning = uses.head(1).with_columns(trial=pl.lit("tuned"), role=pl.lit("tuning"), candidate=pl.lit("lr 1"))
    return given((table, pl.concat([uses, tuning]), pl.concat([told, earlier, tuned])), fixed())


@case
def an_extra_test_set() -> Given:
    """A second test set with an attribute of its own, of which there are labels only."""
    table, uses, told = study(n=200, seeds=3, seed=11)
    rng = np.random.default_rng(11)
    label = np.arange(80) % 2
    case_of = [["x"] if draw < 0.5 else ["y"] for draw in rng.random(80)]
    other = examples(list(label), {"case": case_of}).with_columns(
        example=pl.format("other/{}", "example"), unit=pl.format("other/{}", "unit")
    )
    frames = [told]
    for trial in uses["trial"]:
        said = np.where(rng.random(80) < (0.15 if trial.startswith("full") else 0.3), 1 - label, label)
        frame = predictions(trial, range(80), said, "other").with_columns(example=pl.format("other/{}", "example"))
        frames.append(frame.with_columns(logits=pl.lit(None, dtype=told.schema["logits"])))
    table = records.validate(pl.concat([table, other], how="diagonal"), "examples")
    return given((table, uses, pl.concat(frames)), fixed())


@case
def a_group_without_positives() -> Given:
    """A group has no example of the positive class; two have some in three and in two seeds of four."""
    rng = np.random.default_rng(12)
    label = np.array([1, 0] * 50 + [0] * 30 + [0] * 25 + [1] * 6 + [0] * 20 + [1] * 6)
    who = [["a"]] * 60 + [["b"]] * 40 + [["none"]] * 30 + [["some"]] * 31 + [["rare"]] * 26
    uses, frames = [], []
    for seed in range(4):
        lost = [*(range(155, 161) if seed == 3 else ()), *(range(181, 187) if seed > 1 else ())]
        rows = [row for row in range(len(label)) if row not in lost]
        for method, flipped in (("full", 0.15), ("lora", 0.25)):
            said = np.where(rng.random(len(rows)) < flipped, 1 - label[rows], label[rows])
            score = (2 * said - 1) * rng.uniform(0.2, 1.5, len(rows))
            uses.append((method, seed))
            frames.append(predictions(f"{method}-{seed}", rows, positive(score)))
    return given((examples(list(label), {"who": who}), trials(uses), pl.concat(frames)), fixed())


# Translations

PRONOUN = {"male": "he", "female": "she", "neutral": "they"}
OTHER = {"male": "female", "female": "male"}


def translation_tables(chances: dict[str, float], units: int, seeds: int, seed: int) -> tuple[pl.DataFrame, ...]:
    """Examples, trials and responses: two sentences a unit; by method the chance of the stereotypical pronoun."""
    rng = np.random.default_rng(seed)
    rows, said, uses = [], [], []
    for unit in range(units):
        for place, gender in enumerate(OTHER):
            sentence = f"The worker {unit} called the office {unit % 7} because {PRONOUN[gender]} was late, {unit % 5}."
            row = {"setting": "main", "example": f"{unit}-{place}", "label": None, "weight": 1.0, "unit": f"u{unit}"}
            rows.append({**row, "references": [sentence], "attribute.stereotype": [gender]})
    for method, chance in chances.items():
        for number in range(seeds):
            trial = f"{method}-{number}"
            uses.append({"setting": "main", "method": method, "seed": number, "role": "study", "trial": trial})
            for row in rows:
                gender = row["attribute.stereotype"][0]
                draw = rng.random()
                drawn = gender if draw < chance else "neutral" if draw > 0.95 else OTHER[gender]
                text = row["references"][0].replace(f" {PRONOUN[gender]} ", f" {PRONOUN[drawn]} ")
                if rng.random() < 0.3:
                    text = text.replace("called", "has seen").replace("office", "whole house")
                if rng.random() < 0.05:
                    text = "Nobody was late."
                said.append({"trial": trial, "split": "test", "example": row["example"], "step": None, "text": text})
    return (
        pl.DataFrame(rows, schema_overrides={"label": pl.Int64}),
        pl.DataFrame(uses).with_columns(status=pl.lit("done")),
        pl.DataFrame(said, schema_overrides={"step": pl.Int64}),
    )


def translated(design: Design, table: pl.DataFrame, uses: pl.DataFrame, responses: pl.DataFrame) -> Given:
    """The arguments of a study with responses only."""
    return given((table, uses, empty("predictions")), design, responses=responses)


@case
def translations() -> Given:
    """Three methods that follow the stereotype more or less, two seeds."""
    chances = {"general": 0.5, "pro": 0.85, "twin": 0.5}
    setting = SettingDesign(references=("general",), methods=tuple(chances), kind="translation", vary=False)
    design = Design(settings={"main": setting}, margins={"default": 0.1, "bleu": 2.0})
    return translated(design, *translation_tables(chances, units=30, seeds=2, seed=13))


@case
def translations_of_several_settings() -> Given:
    """Two settings with the same sentences; a run of one failed, and of some sentences the stereotype is unknown."""
    chances = {"general": 0.45, "pro": 0.9}
    table, uses, said = translation_tables(chances, units=24, seeds=3, seed=14)
    other_said = translation_tables({"general": 0.5, "pro": 0.8}, units=24, seeds=3, seed=15)[2]
    row = pl.int_range(pl.len())
    known = pl.when(row % 9 == 0).then(pl.lit(None, pl.List(pl.String))).otherwise("attribute.stereotype")
    table = table.with_columns(known.alias("attribute.stereotype"))
    parts = [(uses, said.filter(pl.col("trial") != "pro-1")), (uses, other_said)]
    failed = pl.col("trial") == "first-pro-1"
    tables, all_uses, responses = [], [], []
    for name, (own, told) in zip(("first", "second"), parts, strict=True):
        trial = pl.concat_str(pl.lit(f"{name}-"), pl.col("trial"))
        tables.append(table.with_columns(setting=pl.lit(name)))
        all_uses.append(own.with_columns(setting=pl.lit(name), trial=trial))
        responses.append(told.with_columns(trial=trial))
    joined = pl.concat(all_uses).with_columns(
        status=pl.when(failed).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit("the loss is not finite")),
    )
    setting = SettingDesign(references=("general",), methods=tuple(chances), kind="translation", vary=False)
    design = Design(settings={"first": setting, "second": setting}, margins={"default": 0.1, "bleu": 2.0})
    return translated(design, pl.concat(tables), joined, pl.concat(responses))


# Options


def answered(table: pl.DataFrame, uses: pl.DataFrame, options: pl.DataFrame, design: Design) -> Given:
    """The arguments of a study with options only."""
    return given((table, uses, empty("predictions")), design, options=options)


PLANTED = {"base": {}, "lover": {"letter": 3.0}, "male": {"content": 1.2}, "both": {"letter": 3.0, "content": 1.0}}


@case
def options() -> Given:
    """Six questions of three kinds, asked of texts without content as well: raw and with every correction."""
    methods = {name: PLANTED[name] for name in ("base", "male", "both")}
    return answered(*option_records.tables(methods, n=14, seeds=(0, 1, 2), content_free=("N/A", "[MASK]")))


@case
def options_in_one_order() -> Given:
    """Options that are listed in one order only: what confounds is shown and not judged. Two seeds, one failed."""
    methods = {name: PLANTED[name] for name in ("base", "lover")}
    table, uses, told, design = option_records.tables(methods, n=12, seeds=(0, 1, 2), straight=True)
    failed = pl.col("trial") == "lover-2"
    uses = uses.with_columns(
        status=pl.when(failed).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit("the loss is not finite")),
    )
    return answered(table, uses, told.filter(pl.col("trial") != "lover-2"), design)


@case
def options_of_known_authors() -> Given:
    """Yes and no, listed in every order and in one; the authors' genders are known. Two reviews a unit, scores per
    token."""
    planted = {"base": {}, "yes": {"yes": 2.0}, "male": {"content": 1.0}}
    table, uses, _, design = option_records.tables(planted, n=16)
    names, rows = table["example"].to_list(), []
    for place, use in enumerate(uses.iter_rows(named=True)):
        own, rng = planted[use["method"]], np.random.default_rng([16, place])
        values = [own.get(key, 0.0) for key in ("yes", "content", "letter")]
        rows += [{"trial": use["trial"], **one} for one in option_records.listed_yes_no("yn2", *values, names, rng)]
        rows += [{"trial": use["trial"], **one} for one in option_records.cloze("cloze1", values[1], names, rng)]
        listed = option_records.listed_yes_no("yn3", *values, names, rng)
        rows += [{"trial": use["trial"], **one} for one in listed if one["prompt"].endswith("@01.01")]
    told = pl.DataFrame(rows, infer_schema_length=None, schema_overrides={"step": pl.Int64})
    told = told.with_columns(sequence_loss=pl.lit(None, pl.Float64))
    author = [["male"] if place % 3 else ["female"] if place % 2 else [] for place in range(16)]
    table = table.with_columns(
        pl.Series("attribute.author", author, dtype=pl.List(pl.String)),
        unit=pl.Series([f"u{i // 2}" for i in range(16)]),
    )
    setting = design.settings["main"].model_copy(update={"asked": AskedDesign(score="per_token"), "vary": True})
    return answered(table, uses, told, design.model_copy(update={"settings": {"main": setting}}))


@case
def options_of_several_settings() -> Given:
    """Two settings that were asked about the same reviews."""
    tables, uses, told, designs = [], [], [], {}
    for name, content in (("small", 1.0), ("large", 0.6)):
        own, rows, answers, design = option_records.tables({"base": {}, "male": {"content": content}}, n=12)
        trial = pl.concat_str(pl.lit(f"{name}-"), pl.col("trial"))
        tables.append(own.with_columns(setting=pl.lit(name)))
        uses.append(rows.with_columns(setting=pl.lit(name), trial=trial))
        told.append(answers.with_columns(trial=trial).filter(~pl.col("example").str.starts_with(CONTENT_FREE)))
        designs[name] = design.settings["main"]
    design = Design(settings=designs, margins={"default": 0.1})
    return answered(pl.concat(tables), pl.concat(uses), pl.concat(told), design)


# Benchmarks


def scored(uses: pl.DataFrame, harness: pl.DataFrame, design: Design) -> Given:
    """The arguments of a study with benchmarks only."""
    return given((empty("examples"), uses, empty("predictions")), design, harness=harness)


@case
def benchmarks() -> Given:
    """Distances, gaps, groups, a score of categories apart, and a number that is no mean; a run failed."""
    methods = {"base": {}, "biased": {"share": 0.9}, "gap": {"gap": 0.5}}
    uses, harness, design = harness_records.tables(methods, n=48)
    rows, bare = [], []
    for place, trial in enumerate(uses["trial"]):
        rng = np.random.default_rng([17, place])
        for number in range(48):
            category = ["category=Age", "category=SES"][number % 2]
            groups = [category, f"context_condition={number % 2}"]
            unit, value = f"template-{number // 2}", 0.2 + (number % 5 - 2) / 10 + 0.1 * rng.normal()
            rows.append(harness_records.document(trial, "bbq", number, "amb_bias_score", value, unit, groups))
            if number % 2 == 0:
                own = harness_records.document(
                    trial, "bbq", number, "amb_bias_score_Age", value - 0.5, unit, [category]
                )
                rows.append(own)
        number = harness_records.document(trial, "stereoset_intrasentence", 0, "icat", 0.6 + place / 50, None, None)
        bare.append({**number, "example": None})
    more = pl.DataFrame(bare, schema=dict(records.TABLES["harness"].columns))
    harness = pl.concat([harness, harness_records.with_totals(rows), more], how="diagonal")
    failed = pl.col("trial") == "main-gap-1"
    uses = uses.with_columns(
        status=pl.when(failed).then(pl.lit("failed")).otherwise("status"),
        reason=pl.when(failed).then(pl.lit("the loss is not finite")),
    )
    return scored(uses, harness.filter(pl.col("trial") != "main-gap-1"), design)


@case
def benchmarks_of_several_settings() -> Given:
    """Three settings, each scored on two benchmarks."""
    methods = {"base": {}, "biased": {"share": 0.85, "others": 0.8}}
    return scored(*harness_records.tables(methods, n=40, settings=("a", "b", "c")))


# Probes


def probed(table: pl.DataFrame, uses: pl.DataFrame, probes: pl.DataFrame, design: Design) -> Given:
    """The arguments of a study with probes only."""
    return given((table, uses, empty("predictions")), design, probes=probes)


@case
def probes() -> Given:
    """Three targets of which more is worse, better and neither, three layers of which two are judged, and untrained
    models; a run failed."""
    more = {"author": "worse", "label": "better", "age": "neither"}
    rates = {"base": 0.6, "more": 0.85, "same": 0.6}
    return probed(
        *probe_records.tables(
            rates, targets=tuple(more), more=more, seeds=4, n=60, judged=(1, 2), failed=[("same", 3)], margin=0.08
        )
    )


@case
def probes_of_several_settings() -> Given:
    """Two models of different depths, of which the last layers are pooled."""
    settings = {"small": 2, "large": 4}
    rates = {"base": 0.6, "more": 0.8}
    return probed(*probe_records.tables(rates, targets=("author", "age"), settings=settings, n=60))


# Membership


@case
def a_pool_attacked_by_lira() -> Given:
    """A pool of eight models of each method; the second leaks more, and more of a group."""
    tables = pool_records.pool({"full": 0.4, "lora": {"a": 0.8, "b": 1.8}}, n=1100, seed=18)
    return given(tables, pool_records.design(margins={"default": 0.05}))


@case
def a_pool_attacked_by_loss() -> Given:
    """The same attack of every model on its own; enough groups that leakage may go with their sizes."""
    shares = (0.3, 0.25, 0.2, 0.15, 0.1)
    leaks = dict(zip("abcde", (0.2, 0.5, 0.9, 1.3, 1.8), strict=True))
    tables = pool_records.pool({"full": 0.5, "lora": leaks}, n=300, seed=19, shares=shares)
    return given(tables, pool_records.design(membership={"attack": "loss"}, margins={"default": 0.05}))


@case
def a_pool_with_failures() -> Given:
    """A model of one method failed, which its twin and the other method's pair lack as well; shadows of one method."""
    failed = {("lora", 3): "out of memory"}
    tables = pool_records.pool({"full": 0.4, "lora": 1.4}, n=200, models=10, seed=20, failed=failed)
    how = {"attack": "rmia", "mode": "offline", "a": 0.5, "shadows": "lora"}
    return given(tables, pool_records.design(membership=how))


@case
def a_pool_that_lacks_a_pair() -> Given:
    """A model of one method failed: the other's pool is attacked anew without that pair, to be compared with it."""
    failed = {("lora", 3): "out of memory"}
    tables = pool_records.pool({"full": 0.4, "lora": 1.4}, n=200, models=10, seed=30, failed=failed)
    return given(tables, pool_records.design())


@case
def separate_shadows() -> Given:
    """Targets with shadows of their own; what they predicted is audited as accuracy as well. A seed lacks shadows."""
    table, uses, told = pool_records.separate({"full": 0.4, "lora": 1.5}, n=240, shadows=5, seed=21)
    failed = pl.col("trial").is_in([f"lora-shadow-1-{shadow}" for shadow in range(3)])
    uses = uses.with_columns(status=pl.when(failed).then(pl.lit("failed")).otherwise("status"))
    return given((table, uses, told), pool_records.design(membership={"design": "shadows"}))


@case
def membership_scores() -> Given:
    """Scores that somebody else made of four models of three methods; of one the models were trained on others."""
    rng = np.random.default_rng(22)
    n, models = 600, 4
    table = pool_records.examples(n)
    race = np.array([names[0] for names in table["attribute.race"].to_list()])
    halves, others = pool_records.halves(n, models, 22), pool_records.halves(n, models, 23)
    uses, member, score = [], [], []
    for method, delta in (("full", 0.3), ("lora", 1.0), ("other", 0.5)):
        for model in range(models):
            inside = (others if method == "other" else halves)[model]
            uses.append((method, model))
            place = {"trial": [f"{method}-{model}"] * n, "example": table["example"]}
            member.append(pl.DataFrame({**place, "member": inside}))
            leak = delta * np.where(race == "b", 1.5, 1.0) * inside
            score.append(pl.DataFrame({**place, "score": rng.normal(size=n) + leak}))
    tables = table, trials(uses), empty("predictions")
    design = pool_records.design(["full", "lora", "other"], attacked=False, margins={"default": 0.05})
    return given(tables, design, members=pl.concat(member), scores=pl.concat(score))


@case
def membership_scores_that_hardly_differ() -> Given:
    """Scores of two methods that differ of a few examples; two examples a unit, and a group without members."""
    rng = np.random.default_rng(31)
    n, models = 160, 3
    half = rng.random((models, n)) < 0.5
    half[:, 150:] = False
    race = [["c"] if row >= 150 else ["a"] if row % 3 else ["b"] for row in range(n)]
    table = pool_records.examples(n).with_columns(
        pl.Series("attribute.race", race, dtype=pl.List(pl.String)),
        unit=pl.Series([f"u{row // 2}" for row in range(n)]),
    )
    uses, member, score = [], [], []
    for model in range(models):
        said = rng.normal(size=n) + 0.8 * half[model]
        for method in ("full", "lora"):
            uses.append((method, model))
            place = {"trial": [f"{method}-{model}"] * n, "example": table["example"]}
            member.append(pl.DataFrame({**place, "member": half[model]}))
            score.append(pl.DataFrame({**place, "score": said + 0.7 * (method == "lora") * (np.arange(n) % 50 == 7)}))
    design = pool_records.design(attacked=False, margins={"default": 0.05})
    tables = table, trials(uses), empty("predictions")
    return given(tables, design, members=pl.concat(member), scores=pl.concat(score))


@case
def membership_scores_of_unpaired_models() -> Given:
    """One model of a method and three of another, which nobody pairs."""
    rng = np.random.default_rng(32)
    n, table = 320, pool_records.examples(320)
    uses, member, score = [], [], []
    for method, seeds, delta in (("full", range(1), 0.4), ("lora", range(3), 0.9)):
        for seed in seeds:
            inside = rng.random(n) < 0.5
            uses.append((method, seed))
            place = {"trial": [f"{method}-{seed}"] * n, "example": table["example"]}
            member.append(pl.DataFrame({**place, "member": inside}))
            score.append(pl.DataFrame({**place, "score": rng.normal(size=n) + delta * inside}))
    tables = table, trials(uses), empty("predictions")
    design = pool_records.design(attacked=False, paired="none", margins={"default": 0.05})
    return given(tables, design, members=pl.concat(member), scores=pl.concat(score))


# Several settings


@case
def several_settings() -> Given:
    """Three settings with examples of their own; in one of them a group is too small to be judged."""
    parts = [study(n=150, seeds=3, harm={"b": 0.8}, seed=seed) for seed in (24, 25, 26)]
    row = pl.int_range(pl.len())
    few = pl.when(row < 6).then(pl.lit(["c"])).when(row % 2 == 0).then(pl.lit(["a"])).otherwise(pl.lit(["b"]))
    parts[2] = (parts[2][0].with_columns(few.alias("attribute.who")), *parts[2][1:])
    return given(*several(parts, ("one", "two", "three"), margins=MARGINS))


@case
def several_settings_on_the_same_examples() -> Given:
    """Two settings with the same examples in other orders, of labels only."""
    first = study(n=200, seeds=3, harm={"c": 0.8}, probabilities=False, seed=27)
    rng = np.random.default_rng(27)
    flipped = rng.random(len(first[2])) < 0.08
    said = np.where(flipped, 1 - first[2]["predicted"].to_numpy(), first[2]["predicted"].to_numpy())
    second = (first[0].reverse(), first[1], first[2].with_columns(predicted=pl.Series(said)))
    return given(*several([first, second], ("one", "two"), apart=False, margins=MARGINS))


def joined(parts: dict[str, Given]) -> Given:
    """Studies of one setting each as a study of all of them, their settings named anew."""
    found: dict[str, list[pl.DataFrame]] = {}
    settings = {}
    for name, part in parts.items():
        (settings[name],) = part["design"].settings.values()
        for table, frame in part.items():
            if table != "design":
                frame = records.validate(frame, table)
                own = {"setting": pl.lit(name)} if "setting" in frame.columns else {}
                hashes = [column for column in ("trial", "pair") if column in frame.columns]
                own |= {column: pl.lit(f"{name}-") + pl.col(column) for column in hashes}
                found.setdefault(table, []).append(frame.with_columns(**own))
    tables = {table: pl.concat(frames, how="diagonal") for table, frames in found.items() if table != "predictions"}
    told = records.stacked([frame for frame in found["predictions"] if len(frame)])
    return {**tables, "predictions": told, "design": Design(settings=settings, margins=MARGINS)}


@case
def settings_of_every_kind() -> Given:
    """Six settings, each of another kind of record."""
    chances = {"general": 0.5, "pro": 0.9}
    translation = SettingDesign(references=("general",), methods=tuple(chances), kind="translation", vary=False)
    sentences = translation_tables(chances, units=12, seeds=2, seed=28)
    rates = {"base": 0.6, "more": 0.9}
    attacked = pool_records.design(membership={"attack": "difficulty"})
    return joined(
        {
            "read": given(study(n=120, seeds=2, seed=28), fixed()),
            "translated": translated(Design(settings={"main": translation}), *sentences),
            "asked": answered(*option_records.tables({"base": {}, "male": {"content": 1.5}}, n=8, seeds=(0, 1))),
            "scored": scored(*harness_records.tables({"base": {}, "gap": {"gap": 0.6}}, n=24, seeds=(0, 1))),
            "probed": probed(*probe_records.tables(rates, seeds=2, n=40, untrained=False)),
            "attacked": given(pool_records.pool({"full": 0.2, "lora": 1.5}, n=120, seed=28), attacked),
        }
    )


@case
def one_seed_of_every_kind() -> Given:
    """The same with one run each, about so few examples that most is shown and not judged; no model can be attacked."""
    chances = {"general": 0.5, "pro": 0.9}
    translation = SettingDesign(references=("general",), methods=tuple(chances), kind="translation", vary=False)
    table, *sentences = translation_tables(chances, units=8, seeds=1, seed=29)
    table = table.with_columns(references=pl.lit(None, pl.List(pl.String)))
    pool = pool_records.pool({"full": 0.2, "lora": 1.5}, n=60, seed=29, failed={("lora", 1): "out of memory"})
    labels = pool[2].with_columns(predicted=pl.lit(1, pl.Int64), logits=pl.lit(None, pool[2].schema["logits"]))
    said = pl.when(pl.col("trial").str.starts_with("full")).then("logits")
    mixed = pool[2].with_columns(labels["predicted"], said.alias("logits"))
    return joined(
        {
            "read": given(study(n=16, seeds=1, seed=29), fixed()),
            "translated": translated(Design(settings={"main": translation}), table, *sentences),
            "asked": answered(*option_records.tables({"base": {}, "male": {"content": 1.5}}, n=6, seeds=(0,))),
            "scored": scored(*harness_records.tables({"base": {}, "gap": {"gap": 0.6}}, n=16, seeds=(0,))),
            "probed": probed(*probe_records.tables({"base": 0.6, "more": 0.9}, seeds=1, n=9)),
            "attacked": given((*pool[:2], mixed), pool_records.design()),
        }
    )


# Numbers


def numbers(design: Design, named: dict[str, dict[tuple[str, int], np.ndarray]], units: int | None = None) -> Given:
    """Values of 240 examples by name, method and seed; nan where there is none."""
    rng = np.random.default_rng(31)
    n = 240
    ids = [f"e{number:03}" for number in range(n)]
    table = pl.DataFrame(
        {
            "setting": "s",
            "example": ids,
            "label": pl.Series([None] * n, dtype=pl.Int64),
            "weight": rng.uniform(0.5, 2, n),
            "unit": ids if units is None else [f"u{number % units}" for number in range(n)],
            "attribute.sex": [[name] for name in rng.choice(["f", "m"], n)],
            "attribute.race": [[name] for name in rng.choice(["a", "b", "c"], n, p=[0.7, 0.27, 0.03])],
        }
    )
    runs = list(dict.fromkeys(run for by_run in named.values() for run in by_run))
    parts = [
        pl.DataFrame({"trial": f"{method}-{seed}", "split": "test", "example": ids, "name": name, "value": values})
        for name, by_run in named.items()
        for (method, seed), values in by_run.items()
    ]
    values = records.validate(pl.concat(parts).filter(pl.col("value").is_not_nan()), "values")
    return given((records.validate(table, "examples"), trials(runs), empty("predictions")), design, values=values)


@case
def values_on_every_scale() -> Given:
    """A score in a range, latencies without one, as logarithms and by rank, and flags; two methods, three seeds."""
    rng = np.random.default_rng(32)
    declared = (
        DeclaredMeasure(name="toxicity", kind="values", more_is="worse", range=(0, 1)),
        DeclaredMeasure(name="latency", kind="values", more_is="worse"),
        DeclaredMeasure(name="delay", kind="values", more_is="worse", scale="log"),
        DeclaredMeasure(name="grade", kind="values", more_is="better", range=(1, 5), scale="rank"),
        DeclaredMeasure(name="flag", kind="values", range=(0, 1), shares=True),
    )
    named: dict[str, dict[tuple[str, int], np.ndarray]] = {measure.name: {} for measure in declared}
    for method, shift in (("full", 0.0), ("lora", 0.05)):
        for seed in range(3):
            toxicity = rng.beta(2, 8, 240)
            toxicity[rng.random(240) < shift] = np.nan
            run = (method, seed)
            named["toxicity"][run] = toxicity
            named["latency"][run] = rng.lognormal(shift, 0.7, 240)
            named["delay"][run] = rng.lognormal(shift, 1.0, 240)
            named["grade"][run] = rng.integers(1, 6, 240).astype(float)
            named["flag"][run] = (rng.random(240) < 0.04 + shift).astype(float)
    return numbers(fixed(declared=declared, gaps=True), named)


@case
def a_regression_in_units() -> Given:
    """Stars that two models predict, whose examples are resampled in units; labels of one group are all equal."""
    rng = np.random.default_rng(33)
    label = rng.integers(1, 6, 240).astype(float)
    runs = [("full", 0), ("lora", 0)]
    guesses = {run: np.clip(label + rng.normal(0, 0.5 + 0.3 * index, 240), 1, 5) for index, run in enumerate(runs)}
    design = fixed(
        setting={"regression": RegressionDesign(label="stars", prediction="guess", range=(1, 5), digits=2)},
        margins={"mean_absolute_error": 0.2},
        gaps=True,
    )
    return numbers(design, {"stars": dict.fromkeys(runs, label), "guess": guesses}, units=80)
