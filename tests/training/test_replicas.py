"""A replica in a pack is the trial that PEFT and the loop train alone: to rounding in float64, over fifty steps."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import nn

from evenhand.methods import parse_method
from evenhand.methods.method import Method
from evenhand.models.load import load_classifier
from evenhand.training.batches import ProcessedImages
from evenhand.training.loop import fit
from evenhand.training.pack import Pack, Replica, Single, Validation, predict_logits, single_pack
from evenhand.training.replicas import ReplicaPack, replica_pack
from evenhand.training.stacked_layers import LoRAStack
from small_models import CLASSES, base, classifier, encoded, examples_for, recipe

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Choice:
    """One replica: how it differs from its neighbours."""

    seed: int
    method: dict = field(default_factory=lambda: {"kind": "lora", "rank": 4, "lr": 5e-3, "epochs": 5})
    n: int = 70
    train: dict = field(default_factory=dict)

    @property
    def spec(self) -> Method:
        return parse_method("m", self.method)


LORA = {"kind": "lora", "lr": 5e-3, "epochs": 10}
# Seeds, ranks, scales, rates, dropout, numbers of examples, steps and ends: nothing is alike. 70 examples in batches of
# 16 are five steps, the last of six examples; fifty steps for the longest.
UNEQUAL = (
    Choice(0, {**LORA, "rank": 4, "alpha": 8}),
    Choice(1, {**LORA, "rank": 1, "lr": 1e-3, "epochs": 4}, n=33),
    Choice(2, {**LORA, "rank": 7, "alpha": 3, "lr": 2e-2}, n=64, train={"schedule": "linear", "weight_decay": 0.3}),
    Choice(3, {"kind": "head", "lr": 5e-3, "epochs": 7}, n=50, train={"clip_norm": None}),
    Choice(4, {**LORA, "rank": 8, "epochs": 3}, train={"clip_norm": 0.05, "batch_size": 8, "accumulate": 2}),
)
DROPPED = tuple(
    replace(one, method={**one.method, "dropout": share})
    for one, share in zip(UNEQUAL, (0.1, 0.5, 0.0, None, 0.3), strict=True)
    if share is not None
)


def model_of(choice: Choice, model_type: str, dtype: torch.dtype = torch.float64) -> nn.Module:
    return choice.spec.apply(classifier(model_type, choice.seed), choice.seed).to(dtype)


def data_of(choice: Choice, model_type: str, dtype: torch.dtype = torch.float64):
    """Inputs and labels; the examples are the replica's own."""
    dataset = examples_for(model_type, choice.n, seed=10 + choice.seed)
    inputs = encoded(dataset, model_type)
    if isinstance(inputs, ProcessedImages):
        inputs = ProcessedImages(inputs.pixels.astype({torch.float64: np.float64, torch.float32: np.float32}[dtype]))
    return inputs, dataset.labels


def training(choice: Choice):
    return recipe(**{"warmup": 0.1, "weight_decay": 0.1, **choice.train})


def replica_of(choice: Choice, model_type: str, dtype: torch.dtype = torch.float64) -> Replica:
    inputs, labels = data_of(choice, model_type, dtype)
    return Replica(choice.seed, choice.spec.lr, choice.spec.epochs, training(choice), inputs, labels)


def together(choices, model_type: str = "bert", dtype: torch.dtype = torch.float64) -> ReplicaPack:
    models = (model_of(choice, model_type, dtype) for choice in choices)
    return replica_pack(models, [replica_of(choice, model_type, dtype) for choice in choices])


def alone(choice: Choice, model_type: str = "bert", dtype: torch.dtype = torch.float64) -> Single:
    inputs, labels = data_of(choice, model_type, dtype)
    return single_pack(
        model_of(choice, model_type, dtype),
        inputs,
        labels,
        seed=choice.seed,
        lr=choice.spec.lr,
        epochs=choice.spec.epochs,
        train=training(choice),
    )


def trained(pack: Pack, validation: list[Validation | None] | None = None):
    rows: list[list[dict]] = [[] for _ in pack.replicas]
    fitted = fit(pack, validation or [None] * len(rows), lambda place, row: rows[place].append(row))
    return rows, fitted


def learned(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}


def furthest(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("model_type", ["bert", "vit", "llama", "mistral", "swinv2"])
@pytest.mark.parametrize("choices", [UNEQUAL, DROPPED], ids=["plain", "dropout"])
def test_replicas_that_differ_in_everything_are_the_trials_that_peft_trains_alone(choices, model_type):
    pack = together(choices, model_type)
    start = [learned(pack.model(place)) for place in range(len(choices))]
    rows, _ = trained(pack)
    assert max(replica.steps_taken for replica in pack.replicas) == 50
    for place, choice in enumerate(choices):
        own = alone(choice, model_type)
        assert furthest(start[place], learned(own.module)) == 0
        own_rows, _ = trained(own)
        found, expected = learned(pack.model(place)), learned(own.module)
        assert furthest(found, expected) < 1e-9
        assert furthest(found, start[place]) > 1e-3
        assert len(rows[place]) == len(own_rows[0])
        for mine, theirs in zip(rows[place], own_rows[0], strict=True):
            assert mine.keys() == theirs.keys()
            for key in mine.keys() - {"seconds"}:
                assert mine[key] == pytest.approx(theirs[key], rel=1e-5)  # losses are logged in float32


def test_a_replica_does_not_depend_on_its_neighbours():
    for choice, place in ((DROPPED[0], 0), (DROPPED[3], 3)):
        many, one = together(DROPPED), together([choice])
        trained(many)
        trained(one)
        assert furthest(learned(many.model(place)), learned(one.model(0))) < 1e-9


@pytest.mark.parametrize("method", [
    {"kind": "lora", "rank": 2, "init": "pissa"},
    {"kind": "lora", "rank": 2, "init": "orthogonal"},
    {"kind": "lora", "rank": 4, "rslora": True},
    {"kind": "lora", "rank": 0.5, "layers": "random"},
    {"kind": "lora", "rank": 2, "targets": ["query", "intermediate.dense", "pooler.dense"], "dropout": 0.2},
])  # fmt: skip
def test_other_starts_scales_and_targets_are_those_of_the_trial_alone(method):
    choices = [Choice(seed, {"lr": 1e-2, "epochs": 2, **method}) for seed in (0, 1)]
    choices.append(Choice(2, {"kind": "lora", "rank": 3, "lr": 1e-2, "epochs": 2}))
    pack = together(choices)
    trained(pack)
    for place, choice in enumerate(choices):
        own = alone(choice)
        trained(own)
        assert furthest(learned(pack.model(place)), learned(own.module)) < 1e-9


def test_linear_layers_that_are_transposed_are_adapted_too():
    choices = [Choice(seed, {"kind": "lora", "rank": seed + 2, "lr": 1e-2, "epochs": 2}) for seed in (0, 1)]
    pack = together(choices, "gpt2")
    trained(pack)
    for place, choice in enumerate(choices):
        own = alone(choice, "gpt2")
        trained(own)
        assert furthest(learned(pack.model(place)), learned(own.module)) < 1e-9


@pytest.mark.parametrize("kind", ["pooler", "head"])
def test_a_part_of_the_base_that_each_seed_draws_and_a_head_of_several_layers_stay_each_replicas_own(kind):
    """A pooler that the checkpoint lacks is drawn and frozen; a head may be more than one linear layer."""
    choices = [Choice(seed, {"kind": "lora", "rank": 2, "lr": 1e-2, "epochs": 2}) for seed in (0, 1, 2)]

    def model(choice: Choice) -> nn.Module:
        bare = classifier("bert", choice.seed)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(choice.seed)
            if kind == "pooler":
                bare.bert.pooler.dense.weight.normal_(std=0.2)
            else:
                bare.classifier = nn.Sequential(nn.LayerNorm(32), nn.Linear(32, 8), nn.Tanh(), nn.Linear(8, 2, False))
        return choice.spec.apply(bare, choice.seed).double()

    pack = replica_pack(map(model, choices), [replica_of(choice, "bert") for choice in choices])
    trained(pack)
    for place, choice in enumerate(choices):
        own = alone(choice)
        own = single_pack(
            model(choice),
            *data_of(choice, "bert"),
            seed=choice.seed,
            lr=choice.spec.lr,
            epochs=choice.spec.epochs,
            train=own.replicas[0].train,
        )
        trained(own)
        assert furthest(learned(pack.model(place)), learned(own.module)) < 1e-9
        assert predict_logits(pack.model(place), data_of(choice, "bert")[0], CPU) == pytest.approx(
            predict_logits(own.module, data_of(choice, "bert")[0], CPU), abs=1e-6
        )


@pytest.mark.parametrize("model_type", ["bert", "vit", "llama", "mistral", "swinv2"])
def test_in_float32_logits_agree_to_a_ten_thousandth_at_rates_up_to_a_thousandth(model_type):
    choices = [
        Choice(seed, {"kind": "lora", "rank": 4, "lr": lr, "epochs": 10}) for seed, lr in enumerate((1e-3, 5e-4, 1e-3))
    ]
    pack = together(choices, model_type, torch.float32)
    trained(pack)
    for place, choice in enumerate(choices):
        own = alone(choice, model_type, torch.float32)
        trained(own)
        inputs, _ = data_of(replace(choice, seed=9), model_type, torch.float32)
        assert pack.predict(place, inputs) == pytest.approx(own.predict(0, inputs), abs=1e-4)


def test_under_bfloat16_weights_stay_float32_and_replicas_are_near_the_trials_alone():
    train = {"precision": "bfloat16"}
    choices = [Choice(seed, {**LORA, "lr": 1e-3, "epochs": 2, "dropout": 0.1}, train=train) for seed in (0, 1)]
    pack = together(choices, dtype=torch.float32)
    rows, _ = trained(pack)
    assert {p.dtype for p in pack.module.parameters()} == {torch.float32}
    for place, choice in enumerate(choices):
        own = alone(choice, dtype=torch.float32)
        (own_rows,), _ = trained(own)
        losses = [[row["loss"] for row in found if "loss" in row] for found in (rows[place], own_rows)]
        assert losses[0] == pytest.approx(losses[1], abs=0.02)


def test_what_lies_beyond_a_replicas_rank_is_zero_and_stays_so():
    pack = together([replace(one, train={**one.train, "weight_decay": 0.5}) for one in UNEQUAL])
    for _ in range(2):
        layers = [module for module in pack.module.modules() if isinstance(module, LoRAStack)]
        assert len(layers) == 4
        for layer in layers:
            assert layer.A.shape == (5, 8, 32)
            assert layer.B.shape == (5, 32, 8)
            for place, rank in enumerate((4, 1, 7, 0, 8)):
                assert not layer.A[place, rank:].any()
                assert not layer.B[place, :, rank:].any()
        trained(pack)
    assert all(layer.A[place, 0].any() for layer in layers for place in (0, 1, 2, 4))


def test_the_first_step_moves_b_and_the_second_a_and_the_base_stays_bit_for_bit():
    pack = together(UNEQUAL[:3])
    frozen = {name: p.detach().clone() for name, p in pack.module.named_parameters() if not p.requires_grad}
    before = {name: p.detach().clone() for name, p in pack.adamw.parameters.items()}
    for turn, batch in enumerate(pack.batches(0)):
        for part in batch.micro_batches:
            pack.losses(part).sum().backward()
        for name, parameter in pack.adamw.parameters.items():
            for place in range(3):
                # B is zero at first, so that A has no gradient yet.
                assert bool(parameter.grad[place].any()) == (turn > 0 or not name.endswith(".A"))
        pack.step(batch)
        if turn == 1:
            break
    assert all((p.detach() != before[name]).flatten(1).any(1).all() for name, p in pack.adamw.parameters.items())
    after = dict(pack.module.named_parameters())
    assert len(frozen) > 20
    assert all(torch.equal(after[name], kept) for name, kept in frozen.items())


def test_a_replica_that_rests_is_not_computed_and_neither_it_nor_its_moments_move():
    pack = together([Choice(0, n=16), Choice(1, n=48)])
    first, second, _ = pack.batches(0)
    for batch in (first, second):
        pack.losses(batch.micro_batches[0]).sum().backward()
        kept = [stack[0].clone() for stack in (pack.adamw.values, pack.adamw.mean, pack.adamw.square)]
        norms = pack.step(batch)
    assert second.sizes == (0, 16)
    assert pack.active_rows.replicas == [1]
    assert norms[0] == 0 < norms[1]
    assert [replica.steps_taken for replica in pack.replicas] == [1, 2]
    after = [stack[0] for stack in (pack.adamw.values, pack.adamw.mean, pack.adamw.square)]
    assert all(torch.equal(one, other) for one, other in zip(kept, after, strict=True))


def test_a_replica_whose_loss_is_no_number_leaves_the_others_alone():
    broken = Choice(7, {"kind": "lora", "rank": 4, "lr": 1e30, "epochs": 4})
    choices = [replace(one, method={**one.method, "epochs": 3}) for one in DROPPED[:2]]
    choices.insert(1, broken)
    pack = together(choices, dtype=torch.float32)
    rows, fitted = trained(pack)
    assert [one.failed is None for one in fitted] == [True, False, True]
    assert "learning rate" in fitted[1].failed
    assert all(np.isfinite(row["loss"]) for row in rows[1] if "loss" in row)
    whole = together([choices[0], choices[2]], dtype=torch.float32)
    trained(whole)
    for place, other in ((0, 0), (2, 1)):
        assert furthest(learned(pack.model(place)), learned(whole.model(other))) < 1e-5
        assert all(torch.isfinite(p).all() for p in pack.model(place).parameters())


def test_looking_at_validation_examples_changes_nothing_and_sees_what_was_learned():
    rest = examples_for("bert", 12, seed=99)
    validation = Validation(encoded(rest, "bert"), rest.labels)
    choices = [Choice(seed, {"kind": "lora", "lr": 5e-3, "epochs": 2, "dropout": 0.1}) for seed in (0, 1)]
    blind, looking = (together(choices, dtype=torch.float32) for _ in range(2))
    trained(blind)
    rows, fitted = trained(looking, [validation, None])
    assert torch.equal(blind.adamw.values, looking.adamw.values)
    loss = nn.functional.cross_entropy(
        torch.from_numpy(looking.predict(0, validation.inputs)).double(), torch.from_numpy(rest.labels)
    )
    assert fitted[0].validation_loss == rows[0][-1]["validation_loss"] == pytest.approx(loss.item(), abs=1e-12)
    assert fitted[1].validation_loss is None


@pytest.mark.parametrize("model_type", ["bert", "vit", "llama"])
def test_each_replica_is_kept_as_peft_keeps_it_and_read_by_peft_with_equal_logits(model_type, tmp_path):
    from peft import PeftModel

    choices = [Choice(0, {**LORA, "rank": 2, "epochs": 1}), Choice(1, {**LORA, "rank": 5, "epochs": 2})]
    pack = together(choices, model_type, torch.float32)
    trained(pack)
    for place, choice in enumerate(choices):
        choice.spec.save(pack.model(place), tmp_path / str(place))
        read = PeftModel.from_pretrained(classifier(model_type, 5), tmp_path / str(place) / "adapter")
        assert read.peft_config["default"].r == choice.spec.rank
        inputs, _ = data_of(choice, model_type, torch.float32)
        assert np.array_equal(predict_logits(read, inputs, CPU), pack.predict(place, inputs))


def test_the_replicas_share_the_base_in_memory():
    pack = together(UNEQUAL, dtype=torch.float32)
    bases = {
        name: {p.data_ptr() for model in [pack.module, *pack.models] for n, p in model.named_parameters() if name in n}
        for name in ("word_embeddings", "layer.1.output.dense.weight", "layer.0.attention.self.key.weight")
    }
    assert all(len(pointers) == 1 for pointers in bases.values())
    whole = sum(p.numel() for p in load_classifier(base("bert"), CLASSES, 0).parameters())
    assert sum(p.numel() for p in pack.module.parameters()) < 1.05 * whole
