"""What is kept is small, is read by plain transformers and PEFT, and answers as the trained model did."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from evenhand.methods import parse_method
from evenhand.models.quiet import quiet
from evenhand.training.pack import train_mode
from small_models import CLASSES, IMAGE, TEXT, base, classifier, encoded, examples_for

BASES = [*TEXT, *IMAGE, "gpt2"]

# Equal weights, but elsewhere in memory: MKL rounds a product with a single output by where its operands lie.
READ_FROM_A_FILE = {"rtol": 0, "atol": 2e-6}


def learned(kind: str, model_type: str) -> nn.Module:
    """A model whose learning parameters all moved."""
    model = parse_method("m", {"kind": kind}).apply(classifier(model_type, 3), 3)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def logits(model: nn.Module, model_type: str) -> torch.Tensor:
    rows = torch.arange(12).numpy()
    with torch.inference_mode():
        return model(**encoded(examples_for(model_type, 12), model_type).batch(rows, torch.device("cpu"))).logits


def ordinary(model_type: str, folder: str):
    """A classifier as a user of transformers loads it, with a head of its own."""
    from transformers import AutoModelForImageClassification, AutoModelForSequenceClassification

    auto = (
        AutoModelForSequenceClassification if base(model_type).modality == "text" else AutoModelForImageClassification
    )
    with quiet():
        model = auto.from_pretrained(folder, num_labels=len(CLASSES))
    if model_type == "gpt2":
        model.config.pad_token_id = 0
    return model.eval()


@pytest.mark.parametrize("model_type", BASES)
def test_an_adapter_loads_with_plain_peft_over_an_ordinary_classifier(model_type, tmp_path):
    from peft import PeftModel

    model = learned("lora", model_type)
    parse_method("m", {"kind": "lora"}).save(model, tmp_path)
    with quiet():
        loaded = PeftModel.from_pretrained(ordinary(model_type, base(model_type).folder), tmp_path / "adapter").eval()
    assert torch.equal(logits(loaded, model_type), logits(model, model_type))
    assert not torch.allclose(logits(model, model_type), logits(classifier(model_type, 3), model_type), atol=1e-2)


@pytest.mark.parametrize("kind", ["last", "bitfit", "head"])
def test_running_statistics_that_training_changed_are_kept(kind, tmp_path):
    method, model = parse_method("m", {"kind": kind}), learned(kind, "resnet")
    train_mode(model)
    with torch.no_grad():
        model(**encoded(examples_for("resnet", 12), "resnet").batch(torch.arange(12).numpy(), torch.device("cpu")))
    model.eval()
    method.save(model, tmp_path)
    loaded = method.load(classifier("resnet", 3), tmp_path)
    assert torch.allclose(logits(loaded, "resnet"), logits(model, "resnet"), **READ_FROM_A_FILE)


@pytest.mark.parametrize("model_type", [*BASES, "resnet"])
def test_whole_weights_load_with_plain_from_pretrained(model_type, tmp_path):
    model = learned("full", model_type)
    parse_method("m", {"kind": "full"}).save(model, tmp_path)
    loaded = ordinary(model_type, tmp_path / "weights")
    assert torch.allclose(logits(loaded, model_type), logits(model, model_type), **READ_FROM_A_FILE)
    assert loaded.config.id2label == dict(enumerate(CLASSES))


@pytest.mark.parametrize(
    ("kind", "model_type"),
    [
        (kind, model_type)
        for kind in ("full", "lora", "head", "base")
        for model_type in (*BASES, "resnet")
        if (kind, model_type) != ("lora", "resnet")
    ],
)
def test_what_was_saved_answers_as_the_trained_model(kind, model_type, tmp_path):
    method, model = parse_method("m", {"kind": kind}), learned(kind, model_type)
    assert method.kept(tmp_path) == (kind == "base")
    method.save(model, tmp_path)
    assert method.kept(tmp_path)
    fresh = classifier(model_type, 3)
    state = torch.get_rng_state()
    loaded = method.load(fresh, tmp_path)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in loaded.modules())
    if kind == "full":
        assert torch.allclose(logits(loaded, model_type), logits(model, model_type), **READ_FROM_A_FILE)
    else:
        assert torch.equal(logits(loaded, model_type), logits(model, model_type))


def test_a_head_is_a_safetensors_file_of_the_heads_parameters(tmp_path):
    from safetensors.torch import load_file

    model = learned("head", "bert")
    parse_method("m", {"kind": "head"}).save(model, tmp_path)
    kept = load_file(tmp_path / "head.safetensors")
    assert kept.keys() == {"classifier.weight", "classifier.bias"}
    assert torch.equal(kept["classifier.weight"], model.classifier.weight)
    assert [path.name for path in tmp_path.iterdir()] == ["head.safetensors"]


def test_an_adapter_holds_a_b_and_the_head_and_nothing_of_the_base(tmp_path):
    from safetensors.torch import load_file

    parse_method("m", {"kind": "lora"}).save(learned("lora", "bert"), tmp_path)
    names = load_file(tmp_path / "adapter" / "adapter_model.safetensors").keys()
    assert len(names) == 4 * 2 + 2
    assert all(("lora_A" in name) or ("lora_B" in name) or ("classifier" in name) for name in names)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], sorted(config["target_modules"])) == (8, 16, ["query", "value"])
