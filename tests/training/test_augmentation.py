"""Mirrored training images: who is mirrored when, and what never is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from evenhand import Study
from evenhand.errors import InputError
from evenhand.study.plan import make_plan
from evenhand.tasks.classification import Job, train, train_together
from evenhand.training.augmentation import flip_images
from evenhand.training.batches import ProcessedImages
from evenhand.training.recipe import TrainSpec
from small_models import pictures, work

CPU = torch.device("cpu")
HEAD = {"kind": "head", "lr": 1e-2, "epochs": 2}
STILL = {"kind": "full", "lr": 1e-12, "epochs": 1}
"""Learns next to nothing."""


def images(n: int = 400) -> ProcessedImages:
    return ProcessedImages(np.random.default_rng(0).normal(size=(n, 3, 4, 4)).astype(np.float32))


def test_half_of_the_images_are_mirrored_and_others_in_each_epoch_and_seed():
    first, later, other = (flip_images(images(), seed, epoch).mirrored for seed, epoch in ((0, 0), (0, 1), (1, 0)))
    for one in (first, later, other):
        assert 150 < one.sum() < 250
    for one in (later, other):
        assert 150 < (one != first).sum() < 250


def test_an_image_is_mirrored_left_to_right_or_not_at_all():
    found = flip_images(images(), 0, 3)
    plain = images().batch(np.arange(50), CPU)["pixel_values"]
    seen = found.batch(np.arange(50), CPU)["pixel_values"]
    for row in range(50):
        assert torch.equal(seen[row], plain[row].flip(-1) if found.mirrored[row] else plain[row])


def test_who_is_mirrored_depends_on_the_image_itself_and_not_on_its_neighbours():
    whole = flip_images(images(), 5, 2).mirrored
    order = np.random.default_rng(1).permutation(400)[:100]
    assert np.array_equal(flip_images(ProcessedImages(images().pixels[order]), 5, 2).mirrored, whole[order])


def test_an_epoch_does_not_depend_on_those_before_it():
    straight = flip_images(images(), 0, 2)
    after = flip_images(flip_images(images(), 0, 0), 0, 2)
    assert np.array_equal(straight.mirrored, after.mirrored)
    assert not isinstance(after.inputs, type(after))


def test_what_is_validated_and_tested_is_not_mirrored(tmp_path):
    data = pictures(96).take(np.arange(80, 96))

    def trained(**options):
        outcome, rows = train(work(STILL, "vit", **options), tmp_path, {"test": data})
        return outcome, rows["logits"].to_numpy()

    plain, mirrored = trained(), trained(augment="flip")
    assert np.allclose(plain[1], mirrored[1], atol=1e-6)
    assert plain[0].validation_loss == pytest.approx(mirrored[0].validation_loss, abs=1e-6)
    assert abs(plain[0].train_loss - mirrored[0].train_loss) > 1e-5


def test_a_trial_is_the_same_in_a_pack_and_alone(tmp_path):
    tested = {"test": pictures(96).take(np.arange(80, 96))}
    works = [work(HEAD, "vit", seed=seed, augment="flip") for seed in (0, 1)]
    jobs = []
    for place, one in enumerate(works):
        (tmp_path / str(place)).mkdir()
        jobs.append(Job(one, tmp_path / str(place), tested))
    for one, packed in zip(works, train_together(jobs), strict=True):
        alone = train(one, tmp_path, tested)
        assert alone[0].train_loss == pytest.approx(packed[0].train_loss, abs=1e-5)
        assert np.allclose(alone[1]["logits"].to_numpy(), packed[1]["logits"].to_numpy(), atol=1e-4)


def test_the_same_trial_is_trained_twice_to_the_same_numbers(tmp_path):
    found = [
        train(work(HEAD, "vit", augment="flip"), tmp_path, {"test": pictures(8)})[1]["logits"].to_numpy()
        for _ in range(2)
    ]
    assert np.array_equal(*found)
    assert not np.array_equal(found[0], train(work(HEAD, "vit"), tmp_path, {"test": pictures(8)})[1]["logits"])


def test_cached_features_are_not_used_with_it(tmp_path):
    tested = {"test": pictures(8)}
    train(work(HEAD, "vit", augment="flip"), tmp_path, tested, features=tmp_path / "mirrored")
    train(work(HEAD, "vit"), tmp_path, tested, features=tmp_path / "plain")
    assert not (tmp_path / "mirrored").exists() and (tmp_path / "plain").exists()


def test_it_is_part_of_a_trials_identity_only_where_it_is_asked_for(small_study):
    faces = {**small_study, "task": {"name": "synthetic/faces", "n": 60}, "model": "tiny-vit"}
    plain = make_plan(Study(**faces), None).trials
    mirrored = make_plan(Study(**faces, train={"augment": "flip"}), None).trials
    assert "augment" not in plain[0].identity["train"]
    assert mirrored[0].identity["train"]["augment"] == "flip"
    assert {trial.hash for trial in plain}.isdisjoint(trial.hash for trial in mirrored)
    assert TrainSpec.parse(TrainSpec(augment="flip").model_dump(), "train").augment == "flip"


def test_texts_are_not_mirrored(small_study):
    with pytest.raises(InputError, match=r"train.augment: flip is for images, and tiny-bert reads texts"):
        make_plan(Study(**small_study, train={"augment": "flip"}), None)
