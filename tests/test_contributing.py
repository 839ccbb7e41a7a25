"""CONTRIBUTING.md keeps its promises: every Python block runs as printed, and one registry entry makes a measure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from evenhand.audit.measures import Measure, known, list_measures, registry
from evenhand.audit.measures.benchmarks import BENCHMARKS
from evenhand.audit.measures.membership import MEMBERSHIP
from evenhand.audit.measures.options import OPTIONS
from evenhand.audit.measures.predictions import PREDICTIONS
from evenhand.audit.measures.probes import PROBES
from evenhand.audit.measures.translations import TRANSLATIONS
from evenhand.audit.results import Results
from evenhand.records import VERDICTS
from evenhand.records.prompts import CONTENT_FREE
from golden import golden_records
from harness_records import document, with_totals

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"

REGISTRIES = {
    "predictions": PREDICTIONS,
    "translations": TRANSLATIONS,
    "options": OPTIONS,
    "benchmarks": BENCHMARKS,
    "probes": PROBES,
    "membership": MEMBERSHIP,
}

Given = dict[str, Any]


def blocks(heading: str) -> list[str]:
    """The Python blocks below a heading."""
    (section,) = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def ran(block: str) -> dict[str, Any]:
    """What a block defines."""
    names: dict[str, Any] = {}
    exec(compile(block, str(GUIDE), "exec"), names)
    return names


MEASURES = {measure.kind: (measure, block) for block in blocks("A measure") for measure in [ran(block)["MEASURE"]]}


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Measure], None]]:
    """Put a measure into the registry of its kind until the test is over."""

    def register(measure: Measure) -> None:
        monkeypatch.setitem(REGISTRIES[measure.kind], measure.name, measure)
        registry.cache_clear()

    yield register
    monkeypatch.undo()
    registry.cache_clear()


def with_f1() -> Given:
    """Benchmarks of which the harness also gives F1, which is lower for the method `biased`."""
    given = golden_records.benchmarks()
    rows = []
    for place, (trial, method) in enumerate(given["trials"].select("trial", "method").iter_rows()):
        rng = np.random.default_rng([23, place])
        for number in range(40):
            value = float(rng.uniform() ** (3 if method == "biased" else 1))
            group = f"topic={('art', 'law')[number % 2]}"
            rows.append(document(trial, "squad", number, "f1", value, f"question-{number}", [group]))
    return given | {"harness": pl.concat([given["harness"], with_totals(rows)], how="diagonal")}


def confident_errors(given: Given) -> float:
    told = given["predictions"].filter(trial="lora-0").join(given["examples"], on="example")
    raw = np.exp(told["logits"].to_numpy().astype(float))
    probability = raw / raw.sum(axis=1, keepdims=True)
    wrong = probability.argmax(axis=1) != told["label"].to_numpy()
    return float((wrong & (probability.max(axis=1) >= 0.9)).mean())


def gendered(given: Given) -> float:
    texts = given["responses"].filter(trial="pro-0")["text"]
    return float(np.mean([(" he " in text) != (" she " in text) for text in texts]))


def outside_options(given: Given) -> float:
    told = given["options"].filter(pl.col("trial") == "male-0", pl.col("prompt").str.starts_with("cloze1/"))
    told = told.filter(~pl.col("example").str.starts_with(CONTENT_FREE))
    return float(np.mean(1 - told.group_by("example").agg(pl.col("log_prob").exp().sum())["log_prob"].to_numpy()))


def f1(given: Given) -> float:
    rows = given["harness"].filter(trial="main-biased-0", metric="f1").drop_nulls("example")
    return float(np.mean(rows["value"].to_numpy()))


def beyond_control(given: Given) -> float:
    told = given["probes"].filter(trial="main-more-0", target="author", layer=2)
    real = told.filter(pl.col("control_seed").is_null()).select("example", "correct")
    both = told.drop_nulls("control_seed").join(real, on="example", suffix="_real")
    return float((both["correct_real"] & ~both["correct"]).to_numpy().mean())


def found_at_five_percent(given: Given) -> float:
    own = given["scores"].join(given["members"], on=["trial", "example"])
    own = own.filter(pl.col("trial").str.starts_with("lora-"))
    others = np.sort(own.filter(~pl.col("member"))["score"].to_numpy())[::-1]
    # The k-th largest of n others has the false positive rate k/(n + 1); between whole ranks the rate is interpolated.
    rank, part = divmod(0.05 * (len(others) + 1), 1)
    members = own.filter("member")["score"].to_numpy()
    found = [(members > others[int(place)]).mean() for place in (rank - 1, rank)]
    return float((1 - part) * found[0] + part * found[1])


@dataclass(frozen=True)
class Case:
    """Small records of a kind, and one value of the new measure, computed in a plain way.

    Attributes:
        given: makes the arguments of `Results.compute`.
        value: computes the value.
        row: which row of `estimates` it is.
        groups: whether there are rows of groups.
    """

    given: Callable[[], Given]
    value: Callable[[Given], float]
    row: Mapping[str, Any]
    groups: bool = True


CASES = {
    "predictions": Case(golden_records.overlapping_groups, confident_errors, {"method": "lora", "seed": 0}),
    "translations": Case(golden_records.translations, gendered, {"method": "pro", "seed": 0}),
    "options": Case(
        golden_records.options,
        outside_options,
        {"method": "male", "seed": 0, "condition": "cloze1/plain/male-female"},
        groups=False,
    ),
    "benchmarks": Case(with_f1, f1, {"method": "biased", "seed": 0, "condition": "squad"}),
    "probes": Case(
        golden_records.probes, beyond_control, {"method": "more", "seed": 0, "condition": "author/2"}, groups=False
    ),
    "membership": Case(golden_records.membership_scores, found_at_five_percent, {"method": "lora", "seed": None}),
}


def matching(frame: pl.DataFrame, row: Mapping[str, Any]) -> pl.DataFrame:
    return frame.filter(pl.col(name).eq_missing(pl.lit(value)) for name, value in row.items())


def test_there_is_one_short_example_for_each_kind_of_records_and_none_is_built_in():
    assert list(MEASURES) == list(REGISTRIES) == list(CASES)
    assert all(sum(bool(line.strip()) for line in block.splitlines()) <= 15 for _, block in MEASURES.values())
    assert not {measure.name for measure, _ in MEASURES.values()} & set(known())


@pytest.mark.parametrize("kind", REGISTRIES)
def test_one_entry_in_a_registry_makes_a_measure_of_estimates_verdicts_and_reports(kind, registered, tmp_path):
    measure, _ = MEASURES[kind]
    case, given = CASES[kind], CASES[kind].given()
    registered(measure)
    design = given["design"]
    margins = dict(design.margins) | {measure.name: 0.05}
    given["design"] = design.model_copy(update={"measures": (measure.name,), "margins": margins})
    results = Results.compute(**given)

    assert set(results.estimates["measure"]) == {measure.name}
    own = matching(results.estimates, {"group": None, **case.row})
    assert len(own) == 1 and own["value"][0] == pytest.approx(case.value(given), abs=1e-7)
    assert own["low"][0] < own["value"][0] < own["high"][0]
    assert results.estimates["group"].is_not_null().any() == case.groups

    judged = results.verdicts.drop_nulls("contrast")
    assert set(results.verdicts["measure"]) == {measure.name}
    assert set(judged["verdict"].drop_nulls()) <= set(VERDICTS) and judged["low"].is_not_null().any()
    assert judged["verdict"].is_not_null().any() and set(judged["margin"].drop_nulls()) == {0.05}

    results.report(tmp_path / "report.md")
    assert measure.title in (tmp_path / "report.md").read_text("utf-8")
    assert (measure.name, measure.summary) in list_measures()


def test_the_task_reads_its_file(tmp_path):
    (block,) = blocks("A task")
    (tmp_path / "rows.csv").write_text("id,text,score,race\n1,good,0.9,a\n2,bad,0.1,b\n3,fair,0.6,a\n")
    dataset = ran(block)["MyData"](threshold=0.5).load(tmp_path)
    assert dataset.labels.tolist() == [1, 0, 1] and dataset.example.tolist() == ["1", "2", "3"]
    assert dataset.attributes["race"].lists() == [["a"], ["b"], ["a"]]


def test_the_method_trains_what_it_says_and_is_a_kind_of_a_study(monkeypatch):
    pytest.importorskip("torch")
    from evenhand import methods
    from small_models import classifier

    (block,) = blocks("A method")
    norms = ran(block)["Norms"]
    monkeypatch.setattr(methods, "METHODS", {**methods.METHODS, norms.kind: norms})
    model = methods.parse_method("mine", {"kind": "norms", "lr": 1e-4}).apply(classifier("bert", 0), 0)
    learned = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learned and all("LayerNorm" in name or name.startswith("classifier") for name in learned)
    assert any("LayerNorm" in name for name in learned) and any(name.startswith("classifier") for name in learned)
