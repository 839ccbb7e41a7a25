"""A study that compresses trained models: nothing is trained twice, and flips against the uncompressed are counted."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from evenhand import Study, records
from evenhand.errors import InputError
from evenhand.methods import Rounded
from evenhand.models.language import load_language_model
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.study.trial_work import work_of
from evenhand.study.watcher import SilentWatcher
from evenhand.tasks import sft

pytestmark = pytest.mark.usefixtures("unreported")
FULL = {"kind": "full", "lr": 1e-3, "epochs": 1}


class Heard(SilentWatcher):
    def __init__(self) -> None:
        self.done: list[tuple[str, str, str | None]] = []

    def finish(self, trial, outcome, seconds) -> None:
        self.done.append((trial.label, outcome.status, outcome.reason))


def study(**changes) -> dict:
    values = {
        "task": {"name": "synthetic/posts", "n": 300},
        "model": "tiny-bert",
        "methods": {
            "eight": {"kind": "rounded", "format": "int8", "of": "full"},
            "full": FULL,
            "lora": {"kind": "lora", "epochs": 1, "train": {"max_length": 40}},
            "small": {"kind": "magnitude", "sparsity": 0.7, "of": "full"},
            "unused": {"kind": "wanda", "sparsity": 0.5, "of": "lora", "examples": 20},
        },
        "reference": "full",
        "seeds": 2,
        "split": {"test": 0.3, "vary": False},
        "measures": ["default", "prediction_flip_rate"],
        "train": {"replicas": 1},
    }
    return {**values, **changes}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out, heard = tmp_path_factory.mktemp("compressed"), Heard()
    return out, Study(**study()).run(out, watcher=heard), heard


def predictions(out, results, method: str, seed: int) -> pl.DataFrame:
    trial = results.trials.row(by_predicate=(pl.col("method") == method) & (pl.col("seed") == seed), named=True)
    rows = records.read(out / "trials" / trial["trial"] / "predictions.parquet", "predictions").filter(split="test")
    groups = results.examples.select("example", group=pl.col("attribute.topic").list.first())
    found = rows["logits"].to_numpy().argmax(axis=1)
    return rows.join(groups, on="example", maintain_order="left").select("example", "group", predicted=pl.Series(found))


@pytest.mark.slow
def test_each_model_is_trained_once_and_compressed_after_that(finished):
    out, results, heard = finished
    labels = [label for label, _, _ in heard.done]
    assert len(labels) == len(set(labels)) == 10
    assert {label.split(" ")[0] for label in labels[:4]} == {"full", "lora"}
    compressed = results.trials.filter(pl.col("method").is_in(["eight", "small", "unused"]))
    assert (compressed["parameters"] == 0).all() and compressed["train_loss"].null_count() == len(compressed)
    full = results.trials.filter(method="full", seed=0)["trial"][0]
    assert (out / "trials" / full / "weights").is_dir(), "kept, though keep is adapters"
    identity = json.loads((out / "trials" / compressed["trial"][0] / "trial.json").read_text())["identity"]
    assert identity["of"] in set(results.trials.filter(method="full")["trial"]) and "full" not in str(
        identity["method"]
    )


@pytest.mark.slow
def test_flip_rates_by_group_are_those_that_a_count_gives(finished):
    out, results, _ = finished
    table = results.estimates.filter(measure="prediction_flip_rate", split="test", condition="full")
    table = table.filter(pl.col("comparison").is_null(), pl.col("seed").is_not_null())
    for method in ("eight", "small"):
        for seed in (0, 1):
            full, other = (predictions(out, results, name, seed) for name in ("full", method))
            both = full.join(other, on="example")
            rates = both.group_by("group").agg(value=(pl.col("predicted") != pl.col("predicted_right")).mean())
            for group, value in [(None, (both["predicted"] != both["predicted_right"]).mean()), *rates.iter_rows()]:
                row = table.filter(pl.col("group").eq_missing(group), method=method, seed=seed)
                assert row["value"].to_list() == [pytest.approx(value)]
    changes = results.verdicts.filter(measure="prediction_flip_rate", comparison="change", method="eight")
    assert len(changes.filter(pl.col("group").is_not_null())) == 4, "beyond what retraining flips, by topic"


@pytest.mark.slow
def test_a_compressed_model_predicts_what_the_compressed_weights_do(finished):
    out, _, _ = finished
    plan = make_plan(Study(**study()), None)
    trial = next(each for each in plan.trials if each.method == "eight" and each.seed == 1)
    work = work_of(trial, Store(out))
    from evenhand.methods.layers import linear_layers
    from evenhand.methods.rounded import rounded_weight
    from evenhand.tasks.classification import kept_model, predict

    assert work.uncompressed is not None
    model = kept_model(work.uncompressed.work, work.uncompressed.folder)
    for layer in linear_layers(model).values():
        layer.weight.data = rounded_weight(layer.weight, "int8")
    again = work.uncompressed.folder.parent / "by-hand"
    again.mkdir()
    work.uncompressed.work.method.save(model, again)
    rows = predict(work.uncompressed.work, again, trial.evaluations).filter(split="test")
    kept = records.read(out / "trials" / trial.hash / "predictions.parquet", "predictions").filter(split="test")
    assert np.allclose(rows["logits"].to_numpy(), kept["logits"].to_numpy(), atol=1e-5)


@pytest.mark.slow
def test_running_again_does_nothing_and_another_compression_trains_nothing(finished):
    out, results, _ = finished
    again = Heard()
    assert Study(**study()).run(out, watcher=again).verdicts.equals(results.verdicts) and not again.done
    values = study()
    values["methods"] = {**values["methods"], "less": {"kind": "magnitude", "sparsity": 0.2, "of": "full"}}
    grown = Heard()
    Study(**values).run(out, watcher=grown)
    assert sorted(label for label, _, _ in grown.done) == ["less · seed 0", "less · seed 1"]


@pytest.mark.slow
def test_weights_that_were_not_kept_are_trained_again_and_their_compressions_follow(tmp_path):
    few = {"seeds": 1, "reference": [], "measures": "default"}
    Study(**study(**few, methods={"full": FULL})).run(tmp_path)
    both = study(**few, methods={"full": FULL, "small": {"kind": "magnitude", "of": "full"}})
    heard = Heard()
    Study(**both).run(tmp_path, watcher=heard)
    assert heard.done == [
        ("full · seed 0", "trained", "its weights were not kept"),
        ("small · seed 0", "trained", None),
    ]
    (kept,) = tmp_path.glob("trials/*/weights/model.safetensors")
    kept.write_bytes(kept.read_bytes()[:-4] + b"\0\0\0\0")
    facts = kept.parents[1] / "trial.json"
    values = json.loads(facts.read_text())
    values["weights"] = {"weights/model.safetensors": "another training's"}
    facts.write_text(json.dumps(values))
    later = Heard()
    Study(**both).run(tmp_path, watcher=later)
    assert later.done == [("small · seed 0", "trained", "the model that it compresses was trained again")]


@pytest.mark.slow
def test_where_training_failed_there_is_nothing_to_compress(tmp_path):
    diverging = {**FULL, "lr": 1e18, "train": {"clip_norm": None}}
    methods = {"bad": diverging, "full": FULL, "small": {"kind": "magnitude", "of": "bad"}}
    results = Study(**study(methods=methods, seeds=1)).run(tmp_path)
    row = results.trials.row(by_predicate=pl.col("method") == "small", named=True)
    assert row["status"] == "failed" and row["reason"].startswith("bad, whose model this trial compresses, failed: the")


@pytest.mark.slow
def test_language_models_are_compressed_after_training_and_as_they_come(tmp_path):
    values = {
        "task": {"name": "synthetic/instructions", "n": 60},
        "model": "tiny-llama",
        "methods": {
            "base": {"kind": "base"},
            "lora": {"kind": "lora", "epochs": 1},
            "rounded_base": {"kind": "rounded", "format": "int8"},
            "rounded_lora": {"kind": "rounded", "format": "int8", "of": "lora"},
            "pruned_base": {"kind": "wanda", "sparsity": 0.3, "epochs": 0, "examples": 8},
            "pruned_lora": {"kind": "magnitude", "sparsity": 0.3, "of": "lora"},
        },
        "reference": ["base", "lora"],
        "seeds": 1,
        "train": {"max_length": 128},
    }
    results = Study(**values).run(tmp_path)
    assert (results.trials["status"] == "done").all()
    plan = make_plan(Study(**values), None)
    trial = next(each for each in plan.trials if each.method == "rounded_base")
    losses = results.values.filter(trial=trial.hash, name="response_loss", split="test").sort("example")
    model = Rounded(format="int8").apply(load_language_model(trial.setting.base), 0)
    from evenhand.models.load import load_tokenizer
    from evenhand.training.language import response_scores

    test = trial.evaluations["test"]
    tokenizer = load_tokenizer(trial.setting.base)
    inputs = sft.encode(work_of(trial), tokenizer, test)
    scores = response_scores(model, inputs, np.arange(len(test)), "cpu", [tokenizer.eos_token_id])
    expected = pl.DataFrame({"example": [str(name) for name in test.example], "value": scores[:, 0]}).sort("example")
    assert np.allclose(losses["value"], expected["value"], atol=1e-5)


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ({"kind": "rounded", "of": "ful"}, 'methods.m.of: "ful" is not a method of this setting; did you mean "full"'),
        ({"kind": "rounded"}, "methods.m.of: a classifier answers at random before it is trained"),
        ({"kind": "magnitude", "epochs": 0}, "methods.m.of: a classifier answers at random before it is trained"),
        ({"kind": "rounded", "of": "eight"}, "methods.m.of: eight is itself a model that is compressed"),
        ({"kind": "rounded", "of": "m"}, "methods.m.of: m is itself a model that is compressed"),
        ({"kind": "rounded", "of": "prompt"}, "methods.m.of: what prompt adds to its base cannot be merged"),
        ({"kind": "rounded", "of": "base"}, "methods.m.of: base trains nothing"),
        ({"kind": "wanda", "of": "full", "train": {"max_length": 9}}, "methods.m.train: nothing is trained after"),
        ({"kind": "wanda", "of": "full", "data": {"noise": 0.1}}, "methods.m.data: nothing is trained after"),
    ],
)
def test_compressions_that_make_no_sense_are_refused_before_anything_is_trained(method, says):
    values = study()
    others = {"prompt": {"kind": "prompt"}, "base": {"kind": "base"}}
    with pytest.raises(InputError) as error:
        Study(**{**values, "methods": {**values["methods"], **others, "m": method}})
    assert says in str(error.value)


def test_a_compression_is_not_tuned():
    with pytest.raises(InputError, match=r"methods.small.of: tuning.grid names small, which trains nothing"):
        Study(**study(tuning={"grid": {"small": {"sparsity": [0.1, 0.2]}}}, split={"test": 0.3, "validation": 0.2}))


def test_a_compression_has_the_examples_and_the_training_keys_of_what_it_compresses():
    trials = {trial.method: trial for trial in make_plan(Study(**study(seeds=1)), None).trials}
    assert trials["unused"].train.max_length == 40 and trials["small"].train.max_length != 40
    assert trials["unused"].uncompressed is trials["lora"] or trials["unused"].uncompressed.hash == trials["lora"].hash
    assert trials["full"].keep == "weights" and trials["eight"].keep == "adapters"
