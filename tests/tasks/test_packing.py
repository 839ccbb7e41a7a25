"""Trials that are trained together leave what they leave alone; whether it pays is timed and changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from evenhand.errors import TrainingError
from evenhand.tasks.classification import Job, TrainingOutcome, predict, train, train_together
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.packing import pack_key, replicas_that_pay, speedup
from small_models import examples_for, work

LORA = {"kind": "lora", "lr": 1e-3, "epochs": 2, "rank": 4, "dropout": 0.1}
HEAD = {"kind": "head", "lr": 5e-3, "epochs": 2}


def evaluations(model_type: str = "bert"):
    dataset = examples_for(model_type, 96)
    return {"validation": dataset.take(np.arange(64, 80)), "test": dataset.take(np.arange(80, 96))}


def jobs_of(works, folder, keep="adapters", model_type="bert"):
    made = []
    for place, one in enumerate(works):
        own = folder / str(place)
        own.mkdir(parents=True)
        made.append(Job(one, own, evaluations(model_type), keep))
    return made


def logits(rows) -> np.ndarray:
    return np.stack(rows["logits"].to_list())


def log_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_what_can_share_a_pack_has_one_key():
    shared = pack_key(work(LORA))
    assert shared == pack_key(work({**LORA, "rank": 9, "lr": 0.1, "epochs": 7}, seed=5, max_length=9, warmup=0.5))
    others = [
        work(HEAD),
        work(LORA, "llama"),
        work(LORA, precision="bfloat16"),
        work(LORA, batch_size=8),
        replace(work(LORA), classes=("a", "b", "c")),
    ]
    keys = [shared, *map(pack_key, others)]
    assert None not in keys
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("alone", [
    work({"kind": "full"}),
    work({"kind": "dora", "rank": 4}),
    work({"kind": "base"}),
    work({**LORA, "epochs": 0}),
    work(LORA, base_dropout=0.1),
])  # fmt: skip
def test_what_no_pack_can_hold_has_none(alone):
    assert pack_key(alone) is None


@pytest.mark.parametrize(("model_type", "method"), [("bert", LORA), ("vit", LORA), ("bert", HEAD)])
def test_trials_of_a_pack_leave_what_they_leave_alone(model_type, method, tmp_path):
    works = [
        work(method, model_type, seed=0),
        work({**method, "lr": 5e-4, "epochs": 3}, model_type, seed=1),
        replace(work(method, model_type, seed=2), validation=None),
    ]
    together = list(train_together(jobs_of(works, tmp_path / "together", model_type=model_type)))
    for place, one in enumerate(works):
        folder = tmp_path / "alone" / str(place)
        folder.mkdir(parents=True)
        expected, rows = train(one, folder, evaluations(model_type))
        outcome, found = together[place]
        assert isinstance(outcome, TrainingOutcome)
        assert outcome.train_loss == pytest.approx(expected.train_loss, abs=1e-5)
        assert outcome.validation_loss == pytest.approx(expected.validation_loss, abs=1e-5)
        assert (outcome.parameters, outcome.parameters_total) == (expected.parameters, expected.parameters_total)
        assert found.drop("logits").equals(rows.drop("logits"))
        assert logits(found) == pytest.approx(logits(rows), abs=1e-4)
        kept = tmp_path / "together" / str(place)
        assert sorted(path.name for path in kept.iterdir()) == sorted(path.name for path in folder.iterdir())
        mine, theirs = log_of(kept), log_of(folder)
        assert [(row["step"], row.get("lr")) for row in mine] == [(row["step"], row.get("lr")) for row in theirs]
        assert logits(predict(one, kept, evaluations(model_type))) == pytest.approx(logits(found), abs=0)


def test_the_shares_of_a_packs_time_add_up(tmp_path):
    import time

    works = [work(LORA), work({**LORA, "epochs": 6}, seed=1)]
    started = time.perf_counter()
    first, second = (outcome.seconds for outcome, _ in train_together(jobs_of(works, tmp_path)))
    assert 0 < first < second
    assert first + second == pytest.approx(time.perf_counter() - started, rel=0.1)


def test_a_trial_that_fails_says_why_and_its_neighbours_are_whole(tmp_path):
    works = [work(LORA), work({**LORA, "lr": 1e30, "epochs": 4}, seed=1), work(LORA, seed=2)]
    first, failed, third = train_together(jobs_of(works, tmp_path))
    assert isinstance(failed, TrainingError)
    assert "learning rate" in str(failed)
    assert not (tmp_path / "1" / "adapter").exists()
    for place, (_, rows) in ((0, first), (2, third)):
        own = tmp_path / f"alone{place}"
        own.mkdir()
        assert logits(rows) == pytest.approx(logits(train(works[place], own, evaluations())[1]), abs=1e-4)
        assert (tmp_path / str(place) / "adapter").is_dir()


def test_what_trials_share_is_encoded_once():
    one, encoder = work(LORA), InputEncoder()
    found = encoder(one, one.examples.inputs)
    assert encoder(work(HEAD, seed=4), one.examples.inputs) is found
    assert encoder(work(LORA, max_length=5), one.examples.inputs) is not found
    for _ in range(InputEncoder.LATEST):
        encoder(one, list(one.examples.inputs))
    again = encoder(one, one.examples.inputs)
    assert again is not found
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(again.tokens, found.tokens, strict=True))


def test_what_is_too_short_to_be_timed_at_three_hundredths_of_its_length_is_not(monkeypatch):
    """Four replicas take four steps twice, so that 1067 steps of all trials are the least: 20 each of 54 trials."""
    short, long = ([work({**LORA, "epochs": 5}, seed=seed) for seed in range(count)] for count in (53, 54))
    asked: list[int] = []

    def timed(works):
        asked.append(len(works))
        return 0.0

    monkeypatch.setattr("evenhand.tasks.packing.speedup", timed)
    assert replicas_that_pay(short) == replicas_that_pay(long) == 1
    assert asked == [4]


@pytest.mark.parametrize(("gains", "found"), [
    ({4: 1.05}, 1),
    ({4: 2.0, 8: 2.1}, 4),
    ({4: 2.0, 8: 3.0, 16: 3.1}, 8),
    ({4: 2.0, 8: 3.0, 16: 4.0}, 16),
    ({4: 0.0}, 1),
])  # fmt: skip
def test_more_are_trained_together_as_long_as_each_doubling_pays(gains, found, monkeypatch):
    monkeypatch.setattr("evenhand.tasks.packing.speedup", lambda works: gains[len(works)])
    assert replicas_that_pay([work({**LORA, "epochs": 15}, seed=seed) for seed in range(20)]) == found


@pytest.mark.parametrize("method", [HEAD, LORA], ids=["head", "lora"])
def test_what_is_timed_starts_from_features_where_training_does(method, monkeypatch):
    from evenhand.training import loop
    from evenhand.training.features import CachedFeatures

    seen: list[tuple[int, bool]] = []
    step = loop.take_step

    def watched(pack, batch):
        seen.extend((len(pack.replicas), isinstance(replica.inputs, CachedFeatures)) for replica in pack.replicas)
        return step(pack, batch)

    monkeypatch.setattr(loop, "take_step", watched)
    assert speedup([work(method, seed=seed) for seed in range(3)], timed=1) > 0
    assert set(seen) == {(1, method is HEAD), (3, method is HEAD)}


def test_predictions_from_kept_weights_start_from_the_features_of_training(tmp_path):
    """A test set that is added later: what is below a head is not computed again."""
    (tmp_path / "one").mkdir()
    one = work(HEAD)
    _, rows = train(one, tmp_path / "one", evaluations(), features=tmp_path / "features")
    kept = sorted((tmp_path / "features").rglob("*.bin"))
    assert kept
    assert predict(one, tmp_path / "one", evaluations(), tmp_path / "features").equals(rows)
    assert sorted((tmp_path / "features").rglob("*.bin")) == kept
    whole = predict(one, tmp_path / "one", evaluations())
    assert logits(whole) == pytest.approx(logits(rows), abs=1e-5)
    more = {"added": examples_for("bert", 20, seed=5)}
    found = predict(one, tmp_path / "one", more, tmp_path / "features")
    assert len(list((tmp_path / "features").rglob("*.bin"))) == len(kept) + 1
    assert logits(found) == pytest.approx(logits(predict(one, tmp_path / "one", more)), abs=1e-5)


@pytest.mark.parametrize("method", [{"kind": "last", "layers": 1, "epochs": 1}, {"kind": "base"}, LORA], ids=str)
def test_with_features_or_without_kept_weights_give_one_answer(method, tmp_path):
    (tmp_path / "one").mkdir()
    one = work(method)
    _, rows = train(one, tmp_path / "one", evaluations())
    again = predict(one, tmp_path / "one", evaluations(), tmp_path / "features")
    assert logits(again) == pytest.approx(logits(rows), abs=1e-5)
    assert (tmp_path / "features").exists() == (method is not LORA)


def test_timing_gives_a_ratio_and_leaves_the_trials_what_they_are(tmp_path):
    works = [work(LORA, seed=seed) for seed in range(2)]
    before = torch.get_rng_state()
    assert speedup(works, timed=2) > 0
    assert torch.equal(torch.get_rng_state(), before)
    (tmp_path / "after").mkdir()
    (tmp_path / "fresh").mkdir()
    after = train(works[0], tmp_path / "after", evaluations())[1]
    fresh = train(work(LORA, seed=0), tmp_path / "fresh", evaluations())[1]
    assert after.equals(fresh)
