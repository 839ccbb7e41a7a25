"""Losses by group are their formulas, written out, and a replica in a pack has the loss of its own groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight
from torch import nn

from evenhand.data.dataset import MISSING, Attribute, TrainingExamples
from evenhand.errors import InputError, TrainingError
from evenhand.methods import parse_method
from evenhand.methods.group_loss import GroupLoss
from evenhand.tasks.classification import Job, assemble_pack, train_together
from evenhand.tasks.encoding import InputEncoder
from evenhand.tasks.work import Work
from evenhand.training.features import start_from_features
from evenhand.training.group_objectives import GroupDROLoss, example_weights, group_objective, loss_groups
from evenhand.training.loop import fit, take_step
from evenhand.training.pack import Pack, Replica, Single, single_pack
from evenhand.training.replicas import replica_pack
from small_models import classifier, encoded, examples_for, recipe, work

N = 60
RACE = Attribute.from_values((["a"] * 4 + ["b", None]) * (N // 6))
TARGETS = Attribute.from_lists(([["x"], ["x", "y"], ["y"], [], None, ["x"]]) * (N // 6))
LORA = {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 4}
HEAD = {"kind": "head", "lr": 5e-3, "epochs": 4}
DRO = {"kind": "group_dro", "attribute": "race", "step_size": 0.5}
EVEN = {"kind": "reweighted", "attribute": "race"}
FAIR = {"kind": "reweighted", "attribute": "race", "weights": "reweighing"}


def examples(seed: int = 0, n: int = N) -> TrainingExamples:
    dataset = examples_for("bert", n, seed)
    return TrainingExamples(
        dataset.inputs, dataset.labels, attributes={"race": RACE.take(np.arange(n)), "target": TARGETS}
    )


def loss_of(values: dict) -> GroupLoss:
    return GroupLoss.parse(values, "loss")


def test_inverse_frequencies_are_those_of_scikit_learn():
    group = [RACE.groups[column] for column in RACE.masks.argmax(axis=1)]
    balanced = compute_sample_weight("balanced", group)
    np.testing.assert_allclose(example_weights(loss_of(EVEN), examples()), balanced, rtol=1e-12)
    cells = [f"{name} {label}" for name, label in zip(group, examples().labels, strict=True)]
    both = example_weights(loss_of({**EVEN, "by_label": True}), examples())
    np.testing.assert_allclose(both, compute_sample_weight("balanced", cells), rtol=1e-12)


def test_inverse_frequencies_of_groups_that_overlap_give_the_mean_of_the_groups_mean_losses():
    losses = np.random.default_rng(0).random(N)
    masks = np.hstack([TARGETS.masks, ~TARGETS.masks.any(axis=1, keepdims=True)])
    weights = example_weights(loss_of({**EVEN, "attribute": "target"}), examples())
    assert weights.mean() == pytest.approx(1)
    assert (weights * losses).mean() == pytest.approx(np.mean([losses[mask].mean() for mask in masks.T]))


def test_reweighing_makes_group_and_label_independent():
    data = examples()
    weights = example_weights(loss_of(FAIR), data)
    joint = np.array([[weights[mask & (data.labels == y)].sum() for y in (0, 1)] for mask in RACE.masks.T]) / N
    np.testing.assert_allclose(joint, np.outer(RACE.masks.mean(0), [1 - data.labels.mean(), data.labels.mean()]))


def test_missing_values_and_examples_in_no_group_are_groups_of_their_own():
    assert MISSING in RACE.groups
    assert loss_groups(loss_of(DRO), examples()).shape == (N, 3)
    groups = loss_groups(loss_of({**DRO, "attribute": "target"}), examples())
    assert groups.shape == (N, 4) and groups[:, -1].sum() == N // 6 and groups.any(axis=1).all()


def test_a_group_without_training_examples_counts_for_nothing():
    attribute = Attribute(("a", "b", "none"), np.hstack([RACE.masks[:, 1:], np.zeros((N, 1), dtype=bool)]))
    data = replace(examples(), attributes={"race": attribute})
    assert loss_groups(loss_of(EVEN), data).any(axis=0).all()
    assert np.isfinite(example_weights(loss_of(EVEN), data)).all()


def test_what_cannot_be_weighed_is_refused():
    with pytest.raises(InputError, match='have no attribute "sex"; they have: race, target'):
        group_objective(loss_of({**DRO, "attribute": "sex"}), examples())
    with pytest.raises(InputError, match="the groups of target overlap"):
        group_objective(loss_of({**FAIR, "attribute": "target"}), examples())


def single(method: dict, loss: dict | None, seed: int = 0, **train) -> Single:
    data = examples(seed)
    spec = parse_method("m", {**method, **({} if loss is None else {"loss": loss})})
    model = spec.apply(classifier("bert", seed), seed).double()
    inputs = encoded(examples_for("bert", N, seed), "bert")
    training = recipe(warmup=0.1, weight_decay=0.1, **train)
    pack = single_pack(model, inputs, data.labels, seed=seed, lr=spec.lr, epochs=spec.epochs, train=training)
    pack.replicas[0].objective = group_objective(spec.loss, data)
    return pack


def learned(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


def by_hand(pack: Single, loss_by_hand: Callable[[torch.Tensor, np.ndarray], torch.Tensor]) -> list[float]:
    """Train a plain pack with a loss that is written out; gives the loss of each step."""
    (replica,) = pack.replicas
    seen = []
    pack.module.train()
    for epoch in range(replica.epochs):
        for batch in pack.batches(epoch):
            rows = np.concatenate([part.rows[0] for part in batch.micro_batches])
            logits = pack.module(**replica.inputs.batch(rows, pack.device)).logits
            each = -torch.log_softmax(logits, 1)[torch.arange(len(rows)), torch.from_numpy(replica.labels[rows])]
            loss = loss_by_hand(each, rows)
            loss.backward()
            pack.step(batch)
            seen.append(loss.item())
    return seen


def weighted(weights: np.ndarray) -> Callable[[torch.Tensor, np.ndarray], torch.Tensor]:
    def mean(each: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        return torch.stack([float(weights[row]) * each[place] for place, row in enumerate(rows)]).sum() / len(rows)

    return mean


def dro(masks: np.ndarray, step_size: float) -> Callable[[torch.Tensor, np.ndarray], torch.Tensor]:
    """Algorithm 1 of Sagawa et al., group by group and with weights that are multiplied."""
    q = [1 / masks.shape[1]] * masks.shape[1]

    def worst(each: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        group_losses = []
        for group in range(len(q)):
            inside = [each[place] for place, row in enumerate(rows) if masks[row, group]]
            group_losses.append(torch.stack(inside).mean() if inside else each.new_zeros(()))
        for group, value in enumerate(group_losses):
            q[group] *= np.exp(step_size * value.item())
        q[:] = [value / sum(q) for value in q]
        return torch.stack([value * loss for value, loss in zip(q, group_losses, strict=True)]).sum()

    return worst


def losses_of(pack: Pack) -> list[float]:
    rows: list[dict] = []
    fit(pack, [None], lambda place, row: rows.append(row))
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.parametrize("loss", [EVEN, FAIR, {**EVEN, "by_label": True}, {**EVEN, "attribute": "target"}])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_reweighted_loss_is_the_weighted_mean_written_out(loss, accumulate):
    ours = single(LORA, loss, batch_size=16 // accumulate, accumulate=accumulate)
    theirs = single(LORA, None, batch_size=16)
    expected = by_hand(theirs, weighted(example_weights(loss_of(loss), examples())))
    np.testing.assert_allclose(losses_of(ours), expected, rtol=1e-6)  # losses are logged in float32
    assert len(expected) == 16
    assert furthest(learned(ours.module), learned(theirs.module)) < 1e-9


def test_the_gradient_of_a_reweighted_loss_is_that_of_torch():
    ours, theirs = single(LORA, EVEN, batch_size=N), single(LORA, None, batch_size=N)
    weights = torch.from_numpy(example_weights(loss_of(EVEN), examples()))
    gradients = []
    for pack in (ours, theirs):
        (replica,) = pack.replicas
        batch = next(iter(pack.batches(0)))
        rows = batch.micro_batches[0].rows[0]
        if pack is ours:
            pack.backward(pack.losses(batch.micro_batches[0]))
        else:
            logits = pack.module(**replica.inputs.batch(rows, pack.device)).logits
            each = nn.functional.cross_entropy(logits, torch.from_numpy(replica.labels[rows]), reduction="none")
            ((each * weights[rows]).sum() / weights.sum()).backward()  # the weighted mean over all examples
        gradients.append({name: p.grad for name, p in pack.module.named_parameters() if p.requires_grad})
    assert furthest(*gradients) < 1e-12


@pytest.mark.parametrize("loss", [DRO, {**DRO, "by_label": True}, {**DRO, "attribute": "target"}])
def test_group_dro_is_its_algorithm_written_out(loss):
    ours, theirs = single(LORA, loss, batch_size=4), single(LORA, None, batch_size=4)
    expected = by_hand(theirs, dro(loss_groups(loss_of(loss), examples()), 0.5))
    np.testing.assert_allclose(losses_of(ours), expected, rtol=1e-6)
    assert len(expected) == 60
    assert furthest(learned(ours.module), learned(theirs.module)) < 1e-9


def test_group_dro_gives_the_worst_group_the_most_weight():
    pack = single(LORA, {**DRO, "step_size": 5.0}, batch_size=N)
    objective = pack.replicas[0].objective
    assert objective is not None
    losses = torch.tensor([3.0 if RACE.masks[row, 2] else 0.5 for row in range(N)], dtype=torch.float64)
    for _ in range(5):
        value = objective.total(losses, np.arange(N)) / N
    assert value.item() == pytest.approx(3.0, abs=1e-6)


def test_training_in_bfloat16_does_not_round_the_losses_of_groups():
    losses = torch.from_numpy(np.random.default_rng(0).random(N).astype(np.float32))
    exact, autocast = (group_objective(loss_of(DRO), examples()) for _ in range(2))
    assert exact is not None and autocast is not None
    with torch.autocast("cpu", torch.bfloat16):
        found = autocast.total(losses, np.arange(N))
    assert found.item() == exact.total(losses, np.arange(N)).item()


@pytest.mark.slow
def test_replicas_with_losses_of_their_own_are_the_trials_alone():
    choices = [(0, LORA, DRO), (1, {**LORA, "rank": 2}, EVEN), (2, LORA, None), (3, {**LORA, "epochs": 3}, FAIR)]
    chosen = []
    for seed, method, loss in choices:
        one = single(method, loss, seed).replicas[0]
        chosen.append(Replica(seed, one.lr, one.epochs, one.train, one.inputs, one.labels, objective=one.objective))
    pack = replica_pack(
        (parse_method("m", method).apply(classifier("bert", seed), seed).double() for seed, method, _ in choices),
        chosen,
    )
    fit(pack, [None] * len(choices), lambda place, row: None)
    for place, (seed, method, loss) in enumerate(choices):
        alone = single(method, loss, seed)
        losses_of(alone)
        assert furthest(learned(pack.model(place)), learned(alone.module)) < 1e-9
        if loss is not None:
            plain = single(method, None, seed)
            losses_of(plain)
            assert furthest(learned(plain.module), learned(alone.module)) > 1e-4


@pytest.mark.parametrize("loss", [DRO, EVEN])
def test_a_loss_by_group_is_the_same_from_cached_features(loss, tmp_path):
    plain, cached = single(HEAD, loss), single(HEAD, loss)
    start_from_features(cached, lambda place: cached.module, ["base"], tmp_path)
    assert losses_of(cached) == pytest.approx(losses_of(plain), rel=1e-6)
    assert furthest(learned(plain.module), learned(cached.module)) < 1e-9
    assert any(tmp_path.iterdir())


def works(loss: dict | None) -> list[Work]:
    made = [work({**LORA, "epochs": 2, **({} if loss is None else {"loss": loss})}, seed=s) for s in (0, 1)]
    groups = Attribute.from_values(["a", "b", "a", "a"] * 16)
    return [
        replace(one, examples=replace(one.examples, attributes={"race": groups.take(np.arange(len(one.examples)))}))
        for one in made
    ]


def logits(jobs: Sequence[Job]) -> list[np.ndarray]:
    found = []
    for result in train_together(jobs):
        assert not isinstance(result, TrainingError)
        found.append(result[1]["logits"].to_numpy())
    return found


def test_the_trainer_takes_the_loss_of_each_trial(tmp_path: Path):
    for loss in (DRO, EVEN):
        jobs, plain = [], []
        for place, (one, other) in enumerate(zip(works(loss), works(None), strict=True)):
            (tmp_path / f"{place}").mkdir(exist_ok=True)
            assert one.validation is not None
            jobs.append(Job(one, tmp_path / f"{place}", {"test": one.validation}))
            plain.append(replace(jobs[-1], work=other))
        for packed, job, without in zip(logits(jobs), jobs, plain, strict=True):
            (alone,), (other,) = logits([job]), logits([without])
            np.testing.assert_allclose(packed, alone, atol=1e-4)
            assert np.abs(alone - other).max() > 1e-3


def test_an_untrained_trial_has_no_group_weights_yet():
    pack, _ = assemble_pack([works(DRO)[0]], InputEncoder(), torch.device("cpu"))
    objective = pack.replicas[0].objective
    assert isinstance(objective, GroupDROLoss) and objective.log_weights is None
    take_step(pack, next(iter(pack.batches(0))))
    assert objective.log_weights is not None and objective.log_weights.exp().sum().item() == pytest.approx(1)
