"""The nearest checkpoint: closest to a target in loss or accuracy, and put back as if training had ended there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand.training import loop
from evenhand.training.batches import ProcessedImages
from evenhand.training.checkpoints import MatchTarget, NearestCheckpoint
from evenhand.training.pack import Validation, single_pack
from evenhand.training.recipe import TrainSpec

BATCH, EPOCHS, STEPS = 8, 3, 5


class Linear(torch.nn.Module):
    """A classifier of tiny images, with a part that does not learn and batch normalisation, whose buffers move."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = torch.nn.Linear(12, 6).requires_grad_(False)
        self.norm = torch.nn.BatchNorm1d(6)
        self.head = torch.nn.Linear(6, 2)

    def forward(self, pixel_values):
        from types import SimpleNamespace

        return SimpleNamespace(logits=self.head(self.norm(self.frozen(pixel_values.flatten(1)))))


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, BATCH * STEPS - 3)
    pixels = rng.normal(size=(len(labels), 3, 2, 2)).astype(np.float32) + labels[:, None, None, None]
    return ProcessedImages(pixels.astype(np.float32)), labels


def fitted(examples, target: MatchTarget | None, epochs: int = EPOCHS):
    torch.manual_seed(0)
    inputs, labels = examples
    pack = single_pack(
        Linear(), inputs, labels, seed=3, lr=0.05, epochs=epochs, train=TrainSpec(batch_size=BATCH, schedule="constant")
    )
    rows: list[dict] = []
    nearest = None if target is None else NearestCheckpoint(target)
    (found,) = loop.fit(pack, [Validation(*examples)], lambda _, row: rows.append(row), None, nearest)
    return pack, found, [row for row in rows if "train_loss" in row]


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_the_checkpoint_of_an_epoch_is_the_training_that_ends_there(examples, epoch):
    _, _, epochs = fitted(examples, None)
    pack, found, _ = fitted(examples, MatchTarget("train_loss", epochs[epoch]["train_loss"]))
    ended, _, _ = fitted(examples, None, epochs=epoch + 1)
    assert found.step == epochs[epoch]["step"] == STEPS * (epoch + 1)
    assert found.train_loss == found.reached == pytest.approx(epochs[epoch]["train_loss"])
    assert found.validation_loss == pytest.approx(epochs[epoch]["validation_loss"])
    inputs = examples[0]
    np.testing.assert_array_equal(pack.predict(0, inputs), ended.predict(0, inputs))
    assert not pack.module.training


@pytest.mark.parametrize("by", ["validation_loss", "validation_accuracy"])
def test_what_is_matched_may_be_of_validation_examples(examples, by):
    _, _, epochs = fitted(examples, None)
    _, found, _ = fitted(examples, MatchTarget(by, epochs[0][by]))
    assert found.reached == pytest.approx(epochs[0][by])


def test_a_target_that_is_not_met_gives_the_nearest(examples):
    _, _, epochs = fitted(examples, None)
    losses = [row["train_loss"] for row in epochs]
    assert losses == sorted(losses, reverse=True), "the losses fall"
    assert fitted(examples, MatchTarget("train_loss", 99.0))[1].step == STEPS
    assert fitted(examples, MatchTarget("train_loss", -99.0))[1].step == STEPS * EPOCHS


def test_checkpoints_may_be_closer_than_epochs_and_the_last_step_is_one(examples):
    pack, found, _ = fitted(examples, MatchTarget("train_loss", -99.0, every=7))
    assert pack.replicas[0].steps == 15
    steps = {fitted(examples, MatchTarget("train_loss", value, every=7))[1].step for value in np.linspace(-1, 2, 25)}
    assert steps <= {7, 14, 15} and 7 in steps and found.step in (14, 15)


def test_the_mean_of_a_checkpoint_counts_examples_since_the_one_before(examples):
    rows: list[dict] = []
    torch.manual_seed(0)
    train = TrainSpec(batch_size=BATCH, schedule="constant")
    pack = single_pack(Linear(), *examples, seed=3, lr=0.05, epochs=1, train=train)
    nearest = NearestCheckpoint(MatchTarget("train_loss", 99.0, every=3))
    (found,) = loop.fit(pack, [None], lambda _, row: rows.append(row), None, nearest)
    losses = [row["loss"] for row in rows if "loss" in row]
    sizes = [len(batch) for batch in pack.replicas[0].batches(0)]
    means = [np.average(losses[:3], weights=sizes[:3]), np.average(losses[3:], weights=sizes[3:])]
    assert found.step in (3, 5)
    assert found.train_loss == pytest.approx(max(means), rel=1e-6)
    assert found.validation_loss is None


def test_of_equals_the_earliest_is_taken(examples):
    assert fitted(examples, MatchTarget("train_loss", float("nan")))[1].step == STEPS
