"""One trial from examples to predictions: again the same, kept as asked, and nothing around it disturbed."""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.errors import InputError, TrainingError
from evenhand.models.find import find_model
from evenhand.models.load import load_classifier
from evenhand.tasks.classification import Work, predict, train
from small_models import CLASSES, IMAGE, TEXT, base, encoded, examples_for, work

FULL = {"kind": "full", "lr": 1e-3, "epochs": 2}
LORA = {"kind": "lora", "lr": 5e-3, "epochs": 2, "rank": 4, "dropout": 0.2}
HEAD = {"kind": "head", "lr": 5e-3, "epochs": 2}
BASE = {"kind": "base"}
METHODS = {"full": FULL, "lora": LORA, "head": HEAD, "base": BASE}
WEIGHTS = {"full": ["weights"], "lora": ["adapter"], "head": ["head.safetensors"], "base": []}


def evaluations(model_type: str) -> dict[str, Dataset]:
    """The 16 validation examples of `work`, and 16 that no trial has seen."""
    dataset = examples_for(model_type, 96)
    return {"validation": dataset.take(np.arange(64, 80)), "test": dataset.take(np.arange(80, 96))}


def ran(task: Work, folder: Path, model_type: str = "bert", keep: str = "none") -> pl.DataFrame:
    return train(task, folder, evaluations(model_type), keep=keep)[1]


def logits(rows: pl.DataFrame) -> np.ndarray:
    return np.stack(rows["logits"].to_list())


def log_of(folder: Path) -> list[dict]:
    """The rows of the log, which must be JSON and no dialect of it."""

    def refuse(name: str):
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("model_type", ["bert", "llama", "swinv2"])
@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_a_trial_repeated_gives_the_same_bits_whatever_was_run_in_between(method, model_type, tmp_path):
    task = work(METHODS[method], model_type, seed=5, base_dropout=0.1)
    first = ran(task, tmp_path, model_type)
    log = log_of(tmp_path)
    ran(work(LORA, "bert", seed=1), tmp_path)
    with torch.random.fork_rng():
        torch.manual_seed(1234)
        again = ran(task, tmp_path, model_type)
    assert first.equals(again)
    assert [row.get("loss") for row in log_of(tmp_path)] == [row.get("loss") for row in log]
    other = ran(replace(task, seed=6), tmp_path, model_type)
    assert (logits(other) != logits(first)).any(axis=1).all()


def test_dropout_follows_the_seed_and_makes_a_difference(tmp_path):
    drawn = [
        logits(ran(work({**LORA, "dropout": dropout}, base_dropout=share), tmp_path))
        for dropout, share in ((0.0, 0.0), (0.2, 0.0), (0.0, 0.1), (0.2, 0.1))
    ]
    assert len({found.tobytes() for found in drawn}) == 4


@pytest.mark.parametrize("method", METHODS)
def test_no_global_generator_or_setting_is_touched(method, tmp_path):
    def state():
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global one is what must stay
            random.getstate(),
            torch.are_deterministic_algorithms_enabled(),
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
        )

    before = state()
    task = work(METHODS[method], base_dropout=0.1)
    ran(task, tmp_path, keep="weights")
    assert state() == before
    assert predict(task, tmp_path, evaluations("bert")) is not None
    assert state() == before


@pytest.mark.parametrize("model_type", [*TEXT, *IMAGE])
@pytest.mark.parametrize("method", METHODS)
def test_predictions_from_kept_weights_are_those_of_training(method, model_type, tmp_path):
    task = work(METHODS[method], model_type)
    rows = ran(task, tmp_path, model_type, keep="weights")
    again = predict(task, tmp_path, evaluations(model_type))
    assert again.drop("logits").equals(rows.drop("logits"))
    # Whole weights lie elsewhere in memory when they are read again, and some products round by that.
    assert logits(again) == pytest.approx(logits(rows), rel=0, abs=2e-6 if method == "full" else 0)
    alone = predict(task, tmp_path, {"new": evaluations(model_type)["test"]})
    assert alone["split"].to_list() == ["new"] * 16
    assert logits(alone) == pytest.approx(logits(rows)[16:], rel=0, abs=2e-6)


@pytest.mark.parametrize("method", METHODS)
def test_a_folder_holds_what_keep_says_and_the_log(method, tmp_path):
    small = [] if method == "full" else WEIGHTS[method]
    for keep, kept in {"none": [], "adapters": small, "weights": WEIGHTS[method]}.items():
        folder = tmp_path / keep
        folder.mkdir()
        task = work({**METHODS[method], "epochs": int(method != "base")})
        ran(task, folder, keep=keep)
        assert sorted(path.name for path in folder.iterdir()) == sorted(["log.jsonl", *kept])
        assert (predict(task, folder, evaluations("bert")) is None) == (not kept and method != "base")


def test_rows_are_one_per_example_in_their_order_with_a_logit_per_class(tmp_path):
    labels = np.arange(64) % 3
    task = work(HEAD)
    task = replace(task, classes=("a", "b", "c"), examples=TrainingExamples(task.examples.inputs, labels))
    task = replace(task, validation=None)
    outcome, rows = train(task, tmp_path, evaluations("bert"))
    assert rows.schema == {
        "split": pl.String,
        "example": pl.String,
        "step": pl.Int64,
        "predicted": pl.Int64,
        "logits": pl.Array(pl.Float32, 3),
    }
    assert rows["split"].to_list() == ["validation"] * 16 + ["test"] * 16
    assert rows["example"].to_list() == [f"p{i}" for i in range(64, 96)]
    assert rows["step"].null_count() == rows["predicted"].null_count() == 32
    assert outcome.validation_loss is None


def test_the_outcome_counts_what_learns_and_repeats_the_logs_last_losses(tmp_path):
    total = sum(parameter.numel() for parameter in load_classifier(base("bert"), CLASSES, 0).parameters())
    # Rank 4 beside query and value of two layers of 32; a head of 32 · 2 weights and 2 biases.
    update = 4 * (32 + 32) * 4
    expected = {"full": (total, total), "lora": (update + 66, total + update), "head": (66, total), "base": (0, total)}
    for method, (learning, every) in expected.items():
        outcome, _ = train(work(METHODS[method]), tmp_path, evaluations("bert"))
        assert (outcome.parameters, outcome.parameters_total) == (learning, every)
        assert outcome.seconds > 0
        assert outcome.peak_bytes > 2**20
        if method == "base":
            assert outcome.train_loss is None
            assert log_of(tmp_path) == []
        else:
            last = log_of(tmp_path)[-1]
            assert (last["train_loss"], last["validation_loss"]) == (outcome.train_loss, outcome.validation_loss)


def test_the_validation_loss_is_that_of_the_predictions(tmp_path):
    outcome, rows = train(work(FULL), tmp_path, evaluations("bert"))
    found = torch.tensor(logits(rows)[:16]).double()
    labels = torch.tensor(evaluations("bert")["validation"].labels)
    assert outcome.validation_loss == pytest.approx(torch.nn.functional.cross_entropy(found, labels).item(), abs=1e-12)
    accuracy = log_of(tmp_path)[-1]["validation_accuracy"]
    assert accuracy == (found.argmax(1) == labels).double().mean().item()


@pytest.mark.parametrize("model_type", ["bert", "llama"])
def test_what_stands_beyond_max_length_is_not_read(model_type, tmp_path):
    def with_tails(tail: str, **choices) -> pl.DataFrame:
        task = work(LORA, model_type, **choices)
        long = TrainingExamples([f"{text} {tail}" for text in task.examples.inputs], task.examples.labels)
        tests = {
            split: replace(dataset, inputs=[f"{text} {tail}" for text in dataset.inputs])
            for split, dataset in evaluations(model_type).items()
        }
        return train(replace(task, examples=long, validation=None), tmp_path, tests)[1]

    # No text has fewer than two words, so that 3 tokens cut into every one.
    assert logits(with_tails("cold", max_length=3)).tobytes() == logits(with_tails("warm", max_length=3)).tobytes()
    assert logits(with_tails("cold", max_length=64)).tobytes() != logits(with_tails("warm", max_length=64)).tobytes()


@pytest.mark.parametrize("model_type", [*TEXT, *IMAGE])
def test_without_base_dropout_training_mode_answers_as_evaluation_mode(model_type):
    rows = encoded(examples_for(model_type, 16), model_type).batch(np.arange(16), torch.device("cpu"))
    for share, same in ((0.0, True), (0.3, False)):
        model = load_classifier(base(model_type, 0.1), CLASSES, 0, base_dropout=share)
        with torch.inference_mode(), torch.random.fork_rng():
            assert torch.equal(model.train()(**rows).logits, model.eval()(**rows).logits) == same


def test_a_tokenizer_that_pads_on_the_left_changes_nothing(tmp_path):
    found = base("llama")
    copied = shutil.copytree(found.folder, tmp_path / "left")
    path = copied / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "padding_side": "left"}))
    task = work(LORA, "llama")
    left = ran(replace(task, base=find_model(str(copied))), tmp_path, "llama")
    assert left.equals(ran(task, tmp_path, "llama"))


@pytest.mark.parametrize("model_type", [*TEXT, *IMAGE])
def test_an_answer_does_not_depend_on_what_else_is_asked(model_type, tmp_path):
    task = work(LORA, model_type)
    _, rows = train(task, tmp_path, evaluations(model_type))
    test = evaluations(model_type)["test"]
    few = {f"{i}": test.take(np.arange(i, i + 1)) for i in range(4)}
    assert logits(predict(task, tmp_path, few)) == pytest.approx(logits(rows)[16:20], rel=0, abs=1e-5)


def test_a_loss_that_is_no_number_fails_the_trial_and_keeps_nothing(tmp_path):
    with pytest.raises(TrainingError, match=r"the loss was \S+ at step \d+ of 80 \(learning rate 1e\+30\)"):
        ran(work({**FULL, "lr": 1e30, "epochs": 20}, schedule="constant", warmup=0.0), tmp_path, keep="weights")
    assert [path.name for path in tmp_path.iterdir()] == ["log.jsonl"]
    assert all(np.isfinite(row["loss"]) for row in log_of(tmp_path) if "loss" in row)


def test_weights_that_break_in_the_last_step_fail_the_trial_too(tmp_path):
    with pytest.raises(TrainingError, match=r"logits that are not finite \(validation examples\)"):
        ran(work({**FULL, "lr": 1e30, "epochs": 1}, batch_size=64, warmup=0.0), tmp_path)
    step, epoch = log_of(tmp_path)
    assert step["loss"] == epoch["train_loss"] > 0
    assert epoch["validation_loss"] is None


def test_a_method_that_does_not_fit_the_base_is_refused(tmp_path):
    with pytest.raises(InputError, match="rank 33 is above 32"):
        ran(work({**LORA, "rank": 33}), tmp_path)


@pytest.mark.parametrize(
    ("method", "model_type", "lr"), [("full", "vit", 3e-3), ("lora", "vit", 3e-3), ("full", "llama", 3e-3)]
)
def test_trials_learn(method, model_type, lr, tmp_path):
    """So that the claims above are about training that does something."""
    outcome, rows = train(
        work({**METHODS[method], "lr": lr, "epochs": 12}, model_type), tmp_path, evaluations(model_type)
    )
    labels = np.concatenate([dataset.labels for dataset in evaluations(model_type).values()])
    assert outcome.train_loss < 0.1
    assert (logits(rows).argmax(1) == labels).mean() > 0.8
