"""The loop is the plain one, bit for bit; what is logged is what happened; looking changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import plain_loop
from evenhand.errors import TrainingError
from evenhand.methods import parse_method
from evenhand.models.load import load_classifier, load_tokenizer
from evenhand.models.quiet import quiet
from evenhand.seeds import derive
from evenhand.training.loop import fit, raise_if_diverged, reproducible
from evenhand.training.pack import Single, Validation, single_pack
from small_models import CLASSES, base, encoded, examples_for, recipe

FULL = {"kind": "full", "lr": 1e-3}
LORA = {"kind": "lora", "rank": 4, "lr": 5e-3}
HEAD = {"kind": "head", "lr": 5e-3}
KINDS = {"full": FULL, "lora": LORA, "head": HEAD}
PROJECTIONS = {"bert": ["query", "value"], "llama": ["q_proj", "v_proj"], "vit": ["q_proj", "v_proj"]}
SEED = 3


def examples(model_type: str, n: int, skip: int = 0):
    """Up to 100 examples, the same whatever is left out."""
    return examples_for(model_type, 100).take(np.arange(skip, skip + n))


def pack_of(method: dict, model_type: str = "bert", n: int = 70, epochs: int = 2, seed: int = SEED, **train) -> Single:
    spec = parse_method("m", {**method, "epochs": epochs})
    chosen = recipe(**train)
    module = spec.apply(load_classifier(base(model_type), CLASSES, seed, chosen.base_dropout), seed)
    learnt = examples(model_type, n)
    return single_pack(
        module, encoded(learnt, model_type), learnt.labels, seed=seed, lr=spec.lr, epochs=epochs, train=chosen
    )


def run(method: dict, model_type: str = "bert", n: int = 70, epochs: int = 2, validate: int = 0, **train):
    """Train on `n` examples; gives the module, the log's rows and what `fit` returned."""
    pack = pack_of(method, model_type, n, epochs, **train)
    rest = examples(model_type, validate, skip=80)
    validation = Validation(encoded(rest, model_type), rest.labels) if validate else None
    rows: list[dict] = []
    (fitted,) = fit(pack, [validation], lambda _, row: rows.append(row))
    return pack.module, rows, fitted


def of_steps(rows: list[dict], key: str) -> list[float]:
    return [row[key] for row in rows if "loss" in row]


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)


def plain_model(kind: str, model_type: str, dropout: float = 0.0, base_dropout: float = 0.0) -> nn.Module:
    """The model that a method trains, made with transformers and PEFT alone."""
    from peft import LoraConfig, get_peft_model

    model = load_classifier(base(model_type), CLASSES, SEED, base_dropout)
    head = "score" if model_type == "llama" else "classifier"
    if kind == "full":
        return model
    if kind == "head":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = name.startswith(head)
        return model
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=PROJECTIONS[model_type], modules_to_save=[head], lora_dropout=dropout
    )
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(derive(SEED, "adapter"))
        adapted = get_peft_model(model, config)
    for name, module in adapted.named_modules():
        if dropout and name.endswith("lora_dropout"):
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_dropout")
            module["default"] = plain_loop.Drop(dropout, derive(SEED, "dropout", layer))
    return adapted


def run_plainly(
    kind: str, model_type: str, dropout: float = 0.0, base_dropout: float = 0.0, lr: float | None = None, **choices
):
    """The same training on 70 examples, in a plain loop: the module, what it saw, and the sizes of an epoch's batches.

    Texts are padded by the tokenizer itself; what the image processor gives has a test of its own.
    """
    dataset = examples(model_type, 70)
    if dataset.modality == "image":
        images, lengths = encoded(dataset, model_type), None

        def encode(rows):
            return {"pixel_values": torch.tensor(images.pixels[rows])}
    else:
        tokenizer = load_tokenizer(base(model_type))
        lengths = np.array([len(ids) for ids in tokenizer(list(dataset.inputs))["input_ids"]])

        def encode(rows):
            found = tokenizer([dataset.inputs[i] for i in rows], padding=True, return_tensors="pt")
            return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"]}

    module, labels = plain_model(kind, model_type, dropout, base_dropout), dataset.labels
    peak = lr or KINDS[kind]["lr"]
    with torch.random.fork_rng():
        torch.manual_seed(derive(SEED, "dropout"))
        seen = plain_loop.train(module, encode, labels, lengths, seed=SEED, lr=peak, epochs=2, size=16, **choices)
    return module, seen, [len(rows) for rows in plain_loop.epoch_batches(70, lengths, 16, SEED, 1)]


@pytest.mark.parametrize("model_type", ["bert", "llama", "vit"])
@pytest.mark.parametrize("kind", ["full", "lora", "head"])
@pytest.mark.parametrize(
    "choices",
    [
        {"schedule": "cosine", "warmup": 0.2, "clip_norm": 0.1, "weight_decay": 0.1},
        {"schedule": "linear", "warmup": 0.0, "clip_norm": None, "weight_decay": 0.0},
    ],
    ids=["clipped", "unclipped"],
)
def test_the_loop_is_a_plain_pytorch_loop_bit_for_bit(kind, model_type, choices):
    module, rows, fitted = run(KINDS[kind], model_type, **choices)
    plain, seen, sizes = run_plainly(kind, model_type, **choices)
    assert len(seen.losses) == 10
    assert of_steps(rows, "loss") == seen.losses
    assert of_steps(rows, "gradient_norm") == seen.norms
    assert choices["clip_norm"] is None or max(seen.norms) > choices["clip_norm"]
    assert of_steps(rows, "lr") == seen.rates
    assert same_weights(module, plain)
    # 70 = 4 · 16 + 6: the small batch counts as 6 examples in the epoch's mean, and its own loss is a mean over 6.
    assert sorted(sizes) == [6, 16, 16, 16, 16]
    assert fitted.train_loss == pytest.approx(np.average(seen.losses[5:], weights=sizes), rel=1e-6)


def test_a_seeded_dropout_is_pefts_dropout_under_that_generator():
    choices = {"schedule": "constant", "warmup": 0.0, "clip_norm": 1.0, "weight_decay": 0.001}
    _, rows, _ = run({**LORA, "dropout": 0.3}, **choices)
    _, seen, _ = run_plainly("lora", "bert", dropout=0.3, **choices)
    assert of_steps(rows, "loss") == pytest.approx(seen.losses, abs=1e-6)
    assert of_steps(rows, "loss") != pytest.approx(of_steps(run(LORA, **choices)[1], "loss"), abs=1e-6)


@pytest.mark.parametrize("kind", ["full", "lora", "head"])
def test_the_bases_own_dropout_is_drawn_under_the_seeds_dropout_stream(kind):
    choices = {"schedule": "constant", "warmup": 0.0, "clip_norm": 1.0, "weight_decay": 0.001, "base_dropout": 0.1}
    module, rows, _ = run(KINDS[kind], **choices)
    plain, seen, _ = run_plainly(kind, "bert", **choices)
    assert of_steps(rows, "loss") == seen.losses
    assert same_weights(module, plain)
    assert seen.losses != run_plainly(kind, "bert", **{**choices, "base_dropout": 0.0})[1].losses


@pytest.mark.parametrize("parts", [2, 16])
def test_gradients_that_add_up_over_parts_are_those_of_one_batch(parts):
    """77 examples: the last step holds 13, which two parts of 8 and 5 must weigh by their sizes."""
    whole, rows, fitted = run(LORA, n=77, batch_size=16)
    cut, rows_cut, fitted_cut = run(LORA, n=77, batch_size=16 // parts, accumulate=parts)
    assert of_steps(rows_cut, "lr") == of_steps(rows, "lr")
    assert of_steps(rows_cut, "loss") == pytest.approx(of_steps(rows, "loss"), abs=1e-6)
    assert of_steps(rows_cut, "gradient_norm") == pytest.approx(of_steps(rows, "gradient_norm"), rel=1e-4)
    assert fitted_cut.train_loss == pytest.approx(fitted.train_loss, abs=1e-6)
    batch = encoded(examples("bert", 20, skip=80), "bert").batch(np.arange(20), torch.device("cpu"))
    with torch.inference_mode():
        assert torch.allclose(whole(**batch).logits, cut(**batch).logits, atol=1e-5)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_the_log_holds_the_schedule_step_by_step(schedule):
    choices = {"batch_size": 4, "accumulate": 2, "schedule": schedule, "warmup": 0.1}
    _, rows, _ = run({**HEAD, "lr": 4e-3}, n=60, epochs=6, **choices)
    assert of_steps(rows, "step") == list(range(48))
    assert of_steps(rows, "epoch") == [step // 8 for step in range(48)]
    expected = [4e-3 * plain_loop.rate_at(step, 48, schedule, 0.1) for step in range(48)]
    assert of_steps(rows, "lr") == pytest.approx(expected, rel=1e-12)
    assert max(expected) == expected[4] == 4e-3


def test_every_step_is_logged_once_also_between_two_looks_at_the_losses():
    _, rows, _ = run(HEAD, n=47, epochs=1, batch_size=1)
    assert [row["step"] for row in rows] == [*range(47), 47]
    assert rows[-1]["train_loss"] == pytest.approx(np.mean(of_steps(rows, "loss")), rel=1e-6)


def test_progress_rises_to_one():
    shares: list[float] = []
    fit(pack_of(HEAD, n=40), [None], lambda *_: None, shares.append)
    assert shares == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


@pytest.mark.parametrize("model_type", ["bert", "mistral", "vit", "swinv2", "resnet"])
@pytest.mark.parametrize("kind", ["full", "head"])
def test_looking_at_validation_examples_changes_nothing(kind, model_type):
    unseen, rows, fitted = run(KINDS[kind], model_type, n=40, base_dropout=0.1)
    seen, rows_seen, fitted_seen = run(KINDS[kind], model_type, n=40, base_dropout=0.1, validate=9)
    assert same_weights(unseen, seen)
    assert of_steps(rows, "loss") == of_steps(rows_seen, "loss")
    assert fitted.validation_loss is None
    assert fitted_seen.validation_loss == rows_seen[-1]["validation_loss"]


def seen_by(module: nn.Module) -> tuple[float, float]:
    """Loss and accuracy of a BERT on the 20 validation examples, in one batch."""
    rest = examples("bert", 20, skip=80)
    with torch.inference_mode():
        logits = module(**encoded(rest, "bert").batch(np.arange(20), torch.device("cpu"))).logits
    loss = nn.functional.cross_entropy(logits, torch.tensor(rest.labels)).item()
    return loss, float(np.mean(logits.argmax(1).numpy() == rest.labels))


def test_an_epochs_row_holds_the_loss_and_accuracy_of_the_model_as_it_was_then():
    for epochs in (1, 2):
        module, rows, fitted = run(FULL, epochs=epochs, validate=20, schedule="constant")
        by_epoch = [row for row in rows if "validation_loss" in row]
        assert [row["epoch"] for row in by_epoch] == list(range(epochs))
        loss, accuracy = seen_by(module)
        assert by_epoch[-1]["validation_loss"] == fitted.validation_loss == pytest.approx(loss, abs=1e-6)
        assert by_epoch[-1]["validation_accuracy"] == accuracy


def test_a_method_that_trains_nothing_has_no_training_loss_and_a_validation_loss():
    module, rows, fitted = run({"kind": "base"}, epochs=0, validate=20)
    fresh = load_classifier(base("bert"), CLASSES, SEED)
    assert same_weights(module, fresh)
    assert (rows, fitted.train_loss, fitted.failed) == ([], None, None)
    assert fitted.validation_loss == pytest.approx(seen_by(fresh)[0], abs=1e-6)


def test_a_loss_that_is_no_number_stops_the_training_with_its_step_and_learning_rate():
    choices = {"schedule": "constant", "warmup": 0.0, "clip_norm": None, "weight_decay": 0.0}
    shares: list[float] = []
    rows: list[dict] = []
    pack = pack_of({**FULL, "lr": 1e30}, epochs=50, **choices)
    (fitted,) = fit(pack, [None], lambda _, row: rows.append(row), shares.append)
    _, seen, _ = run_plainly("full", "bert", lr=1e30, **choices)
    finite = int(np.isfinite(seen.losses).argmin())
    assert 0 < finite < 10
    value = seen.losses[finite]
    assert fitted.failed == f"the loss was {value} at step {finite + 1} of 250 (learning rate 1e+30)"
    assert of_steps(rows, "step") == list(range(finite))
    assert len(shares) == 5
    with pytest.raises(TrainingError, match=r"learning rate 1e\+30"):
        raise_if_diverged(fitted)


def test_a_training_without_hope_does_not_go_on_to_the_end_of_its_epoch():
    shares: list[float] = []
    pack = pack_of({**HEAD, "lr": 1e38}, batch_size=1, clip_norm=None, schedule="constant", warmup=0.0)
    (fitted,) = fit(pack, [None], lambda *_: None, shares.append)
    assert fitted.failed is not None
    assert len(shares) < 20


@pytest.mark.parametrize(("precision", "cast"), [("auto", False), ("float32", False), ("bfloat16", True)])
def test_autocast_is_for_bfloat16_alone_and_weights_gradients_and_predictions_stay_float32(precision, cast):
    pack = pack_of(FULL, n=16, epochs=1, precision=precision)
    seen = {True: [], False: []}

    def look(module, inputs, outputs):
        seen[module.training].append((torch.is_autocast_enabled("cpu"), outputs.dtype))

    pack.module.classifier.register_forward_hook(look)
    rest = examples("bert", 20, skip=80)
    fit(pack, [Validation(encoded(rest, "bert"), rest.labels)], lambda *_: None)
    assert seen[True] == [(cast, torch.bfloat16 if cast else torch.float32)]
    assert seen[False] == [(False, torch.float32)]
    assert {parameter.dtype for parameter in pack.module.parameters()} == {torch.float32}
    moments = [value for state in pack.replicas[0].adamw.state.values() for value in state.values()]
    assert {moment.dtype for moment in moments} == {torch.float32}


def test_what_reproducible_sets_is_put_back_also_after_an_error():
    def state():
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.utils.deterministic.fill_uninitialized_memory,
            torch.backends.cudnn.allow_tf32,
            torch.get_rng_state().tolist(),
        )

    torch.use_deterministic_algorithms(False)
    before = state()
    with pytest.raises(ZeroDivisionError), reproducible(torch.device("cpu"), 1):
        assert torch.are_deterministic_algorithms_enabled()
        first = torch.rand(3)
        raise ZeroDivisionError
    assert state() == before
    with reproducible(torch.device("cpu"), 1):
        assert torch.equal(torch.rand(3), first)
