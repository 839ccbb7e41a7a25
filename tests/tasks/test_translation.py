"""Translation as a trial: what it leaves, what it refuses, and that kept weights say the same again."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

import evenhand as eh
from evenhand.audit.results import Results
from evenhand.data.synthetic_translation import SyntheticTranslation
from evenhand.errors import InputError, TrainingError
from evenhand.methods import parse_method
from evenhand.models.find import find_model
from evenhand.models.load import load_tokenizer
from evenhand.study.plan import make_plan
from evenhand.study.store import Store
from evenhand.tasks import trainer, translation
from evenhand.tasks.work import Job, TrainingOutcome, Work
from evenhand.training.recipe import TrainSpec

TRAINER = trainer("translation")
KINDS = ("full", "base", "lora", "dora", "vera", "ia3", "oft", "boft", "last")


def work(**method) -> Work:
    spec = SyntheticTranslation(n=48)
    data = spec.load()
    examples = spec.training_examples(data, np.arange(64), {"part": "pro"}, 0)
    train = TrainSpec(batch_size=16, max_length=128, precision="float32")
    return Work(
        find_model("tiny-llama"),
        parse_method("m", method),
        train,
        0,
        data.classes,
        examples,
        data.take(np.arange(64, 70)),
    )


def trained(job: Job) -> tuple[TrainingOutcome, pl.DataFrame]:
    (found,) = TRAINER.train_together([job])
    assert not isinstance(found, TrainingError)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_method_that_fits_is_trained_kept_and_read_back(kind, tmp_path):
    trial = work(**({"kind": kind} if kind == "base" else {"kind": kind, "lr": 3e-3, "epochs": 1}))
    tested = {"test": SyntheticTranslation(n=48).load().take(np.arange(80, 88))}
    outcome, rows = trained(Job(trial, tmp_path, tested, "weights"))
    assert rows.columns == ["split", "example", "step", "text"]
    assert rows["example"].to_list() == list(tested["test"].example)
    assert outcome.validation_loss is not None
    assert (outcome.train_loss is None) == (kind == "base")
    assert (outcome.parameters > 0) == (kind != "base")
    again = TRAINER.predict(trial, tmp_path, tested)
    assert again is not None
    assert again.equals(rows)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert all(row.get("validation_accuracy") is None for row in log)


def test_the_same_trial_writes_the_same_again(tmp_path):
    tested = {"test": SyntheticTranslation(n=48).load().take(np.arange(80, 88))}
    said = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        trial = work(kind="lora", rank=2, lr=1e-2, epochs=2)
        outcome, rows = trained(Job(trial, tmp_path / name, tested, "none"))
        said.append((outcome.train_loss, rows["text"].to_list()))
        assert TRAINER.predict(trial, tmp_path / name, tested) is None
    assert said[0] == said[1]


def study(**more) -> eh.Study:
    values = {
        "task": {"name": "synthetic/translation", "n": 64},
        "model": "tiny-llama",
        "methods": {
            "general": {"kind": "lora", "rank": 2, "epochs": 1},
            "pro": {"kind": "lora", "rank": 2, "epochs": 1, "data": {"part": "pro"}},
        },
        "reference": "general",
        "seeds": 2,
        "split": {"test": 0.4, "validation": 0.0},
        "margins": {"default": 0.1, "bleu": 2.0},
    }
    return eh.Study(**{**values, **more})


def test_methods_that_differ_in_their_data_are_different_trials():
    planned = make_plan(study(), None)
    assert len({trial.hash for trial in planned.trials}) == 4
    assert {trial.identity["task"] for trial in planned.trials} == {"translation"}
    general = make_plan(
        study(methods={"general": {"kind": "lora", "rank": 2, "epochs": 1, "data": {"part": "general"}}}), None
    )
    assert general.trials[0].hash == planned.trials[0].hash


def test_the_examples_have_references_and_no_labels():
    examples = make_plan(study(), None).examples()
    assert examples["label"].null_count() == len(examples) == 128
    assert examples["references"].list.len().unique().to_list() == [1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"methods": {"m": {"kind": "head"}}, "reference": []}, "methods.m: head trains a classification head"),
        (
            {"methods": {"m": {"kind": "prefix", "train": {"checkpointing": True}}}, "reference": []},
            "methods.m: train.checkpointing computes layers without the keys and values of prefix",
        ),
        (
            {"methods": {"m": {"kind": "p_tuning", "train": {"packing": True}}}, "reference": []},
            "methods.m: train.packing puts several texts into a row, and the virtual tokens of p_tuning",
        ),
        ({"model": "tiny-bert"}, "tiny-bert: a bert cannot continue a text"),
        ({"model": "tiny-vit"}, "tiny-vit reads images, but the task synthetic/translation has texts"),
        ({"evaluate": ["synthetic/posts"]}, "the test set synthetic/posts is for classification"),
        ({"data": {"part": "por"}}, 'no part "por"'),
    ],
)
def test_what_cannot_be_trained_is_refused_before_training(more, said):
    with pytest.raises(InputError) as refused:
        make_plan(study(**more), None)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"match": {"by": "validation_accuracy"}, "split": {"validation": 0.1}}, "has no accuracy to match by"),
        (
            {"tuning": {"grid": {"pro": {"lr": [1e-3]}}, "score": "accuracy"}, "split": {"validation": 0.1}},
            "has no accuracy to choose by",
        ),
        ({"margins": {"bluw": 1}}, 'no measure "bluw"; did you mean "bleu"'),
    ],
)
def test_a_study_that_asks_for_what_there_is_not_is_refused(more, said):
    with pytest.raises(InputError) as refused:
        study(**more)
    assert said in str(refused.value)


@pytest.mark.slow
def test_a_study_of_translations_runs_resumes_and_grows(tmp_path):
    first = study().run(tmp_path)
    store = Store(tmp_path)
    trials = make_plan(study(), None).trials
    assert all(store.complete(trial) for trial in trials)
    assert not (store.folder(trials[0].hash) / "predictions.parquet").exists()
    assert len(first.responses) == 4 * len(trials[0].sample.asked)
    changed = {trial.hash: (store.folder(trial.hash) / "responses.parquet").stat().st_mtime_ns for trial in trials}
    # The weights are kept: what is missing is said again, not learned again.
    (store.folder(trials[0].hash) / "responses.parquet").unlink()
    again = study(seeds=3).run(tmp_path)
    assert again.responses.filter(pl.col("trial") == trials[0].hash)["text"].to_list() == (
        first.responses.filter(pl.col("trial") == trials[0].hash)["text"].to_list()
    )
    kept = {trial.hash: (store.folder(trial.hash) / "responses.parquet").stat().st_mtime_ns for trial in trials[1:]}
    assert kept == {name: changed[name] for name in kept}
    assert again.trials["seed"].n_unique() == 3
    assert Results.load(tmp_path).responses.equals(again.responses)
    assert set(again.verdicts["measure"]) == {"pro_share", "stereotype_lean", "bleu", "rouge_l"}


def test_lines_that_are_too_long_are_refused_before_anything_is_trained():
    task = {"name": "synthetic/translation", "n": 48}
    study = {"task": task, "model": "tiny-llama", "methods": {"full": {"kind": "full"}}, "seeds": 1}
    with pytest.raises(
        InputError, match=r"^the prompt of the example 'sentence-.*' has \d+ tokens, which leaves no room"
    ):
        make_plan(eh.Study(**study, train={"max_length": 20}), None)
    make_plan(eh.Study(**study, evaluate={"same": task}), None)


@pytest.mark.parametrize("kind", [{"kind": "full"}, {"kind": "prompt", "tokens": 6}], ids=lambda each: each["kind"])
def test_training_lines_of_any_seed_that_are_too_long_are_refused_before_anything_is_trained(kind):
    task = {"name": "synthetic/translation", "n": 48}
    values = {"task": task, "model": "tiny-llama", "methods": {"m": kind}, "seeds": 3}
    room = kind.get("tokens", 0)
    longest = {}
    for trial in make_plan(eh.Study(**values), None).trials:
        encoded = translation.encode(work(**kind), load_tokenizer(find_model("tiny-llama")), trial.examples)
        longest[trial.seed] = int(encoded.lengths.max())
        assert encoded.prompts.max() < min(longest.values()), "every prompt fits"
    most = max(longest.values())
    said = rf"{'beside 6 virtual tokens of prompt, ' if room else ''}a prompt with its target has {most} tokens, and "
    with pytest.raises(InputError, match=f"^{said}{most - 1} is the most that train.max_length or the model allows"):
        make_plan(eh.Study(**values, train={"max_length": most - 1}), None)
    make_plan(eh.Study(**values, train={"max_length": most}), None)
