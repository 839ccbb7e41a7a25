"""Makes the built-in checkpoints: `python -m evenhand.models.tiny [NAME ...]` writes `evenhand/assets/NAME/`.

Language models read template texts without a topic (`evenhand.data.phrases`) and learn to fill in or continue them.
Vision models see drawings without a group (`evenhand.data.drawings`) and learn to predict the parameters of a drawing.
Neither ever sees a group or a label of the built-in tasks. Each checkpoint is the bare base model, so that a
classifier over it lacks only its head. With one seed and one thread, the same machine makes the same bytes again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertModel,
    LlamaConfig,
    LlamaModel,
    MistralConfig,
    MistralModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Swinv2Config,
    Swinv2Model,
    ViTConfig,
    ViTImageProcessorPil,
    ViTModel,
)

from evenhand.data import drawings, phrases
from evenhand.seeds import derive, generator

ASSETS = Path(__file__).parents[1] / "assets"
SEED = 0
BATCH = 32
VOCABULARY = 1500
"""Largest size of the vocabulary; merging ends earlier, when every word of the templates is one token."""
PAD, START, END, MASK = SPECIAL = ("<pad>", "<s>", "</s>", "<mask>")
PARAMETERS = 4 + len(phrases.HEADINGS)
"""Number of parameters of a text, see `phrases.topic_free`."""


def tokenizer(kind: str) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE tokenizer on the English and Turkish templates; it can encode any text.

    The vocabulary is the same for every kind; `bert` puts `<s>` and `</s>` around a text, as its classifier reads the
    first token, and the decoders (`llama`, `mistral`) put `<s>` before it.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(phrases.every_sentence(), trainer)
    core.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}" if kind == "bert" else f"{START} $A",
        pair=f"{START} $A {END} $B:1 {END}:1" if kind == "bert" else f"{START} $A $B",
        special_tokens=[(token, SPECIAL.index(token)) for token in (START, END)],
    )
    names = {"cls_token": START, "sep_token": END, "mask_token": MASK} if kind == "bert" else {}
    ends = {} if kind == "bert" else {"bos_token": START, "eos_token": END}
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        model_max_length=256,
        clean_up_tokenization_spaces=False,
        **names,
        **ends,
    )


def bert(steps: int = 2500) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Pre-train a two-layer BERT to fill in masked tokens and to predict a text's parameters from its pooled state."""
    words = tokenizer("bert")
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=256,
        pad_token_id=0,
        initializer_range=0.1,
    )
    torch.manual_seed(derive(SEED, "bert"))
    model, masked = BertModel(config), BertForMaskedLM(config)
    masked.bert = model
    masked.tie_weights()
    reader = nn.Linear(config.hidden_size, PARAMETERS)
    rng = generator(SEED, "bert", "texts")

    def loss() -> torch.Tensor:
        ids, mask, parameters = _texts(words, rng)
        shown = mask.numpy().astype(bool) & (ids.numpy() >= len(SPECIAL))
        hidden = torch.from_numpy(shown & (rng.random(ids.shape) < 0.15))
        states = model(input_ids=ids.masked_fill(hidden, SPECIAL.index(MASK)), attention_mask=mask)
        filled = functional.cross_entropy(masked.cls(states.last_hidden_state[hidden]), ids[hidden])
        return filled + 1.5 * _squared_error(reader(states.pooler_output), parameters)

    fit(nn.ModuleList([masked, reader]), loss, steps, lr=2e-3)
    return model, words


def llama(steps: int = 1500) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Pre-train a two-layer Llama with tied embeddings, so that it generates without a separate output layer."""
    words = tokenizer("llama")
    torch.manual_seed(derive(SEED, "llama"))
    model = LlamaModel(LlamaConfig(**_decoder(words), num_key_value_heads=4))
    _pretrain_decoder(model, words, steps)
    return model, words


def mistral(steps: int = 1500) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Pre-train a two-layer Mistral, two query heads per key head, with a sliding window; otherwise like `llama`."""
    words = tokenizer("mistral")
    torch.manual_seed(derive(SEED, "mistral"))
    model = MistralModel(MistralConfig(**_decoder(words), num_key_value_heads=2, sliding_window=128))
    _pretrain_decoder(model, words, steps)
    return model, words


def _decoder(words: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Return the configuration values that the decoders share."""
    return {
        "vocab_size": len(words),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 256,
        "pad_token_id": SPECIAL.index(PAD),
        "bos_token_id": SPECIAL.index(START),
        "eos_token_id": SPECIAL.index(END),
        "tie_word_embeddings": True,
        "initializer_range": 0.1,
    }


def _pretrain_decoder(model: PreTrainedModel, words: PreTrainedTokenizerFast, steps: int) -> None:
    """Pre-train a decoder to continue texts, and to predict a text's parameters from its last state."""
    reader = nn.Linear(model.config.hidden_size, PARAMETERS)
    rng = generator(SEED, model.config.model_type, "texts")
    embeddings = model.get_input_embeddings()
    assert isinstance(embeddings, nn.Embedding)

    def loss() -> torch.Tensor:
        ids, mask, parameters = _texts(words, rng)
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        rows, last = torch.arange(len(ids)), mask.sum(1) - 1
        following = torch.cat([ids[:, 1:], ids[:, :1]], dim=1)
        following[rows, last] = SPECIAL.index(END)
        there = mask.bool()
        said = functional.cross_entropy(states[there] @ embeddings.weight.T, following[there])
        return said + 1.5 * _squared_error(reader(states[rows, last]), parameters)

    fit(nn.ModuleList([model, reader]), loss, steps, lr=2e-3)


def _squared_error(predicted: torch.Tensor, parameters: torch.Tensor) -> torch.Tensor:
    return (predicted - parameters).square().sum(1).mean()


def _texts(words: PreTrainedTokenizerFast, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Draw a batch of texts: ids and attention mask, int64 [BATCH, T], and parameters, float32 [BATCH, P]."""
    written = [phrases.topic_free_text(rng, "english" if rng.random() < 2 / 3 else "turkish") for _ in range(BATCH)]
    encoded: Any = words([text for text, _ in written], padding=True, return_tensors="pt")
    parameters = torch.tensor([parameters for _, parameters in written], dtype=torch.float32)
    return encoded["input_ids"], encoded["attention_mask"], parameters


def fit(module: nn.Module, loss: Callable[[], torch.Tensor], steps: int, lr: float) -> None:
    """Minimize a loss with AdamW, warm-up and a cosine schedule."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps, pct_start=0.1)
    module.train()
    for step in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"  step {step:5d}  loss {float(value.detach()):.3f}", file=sys.stderr)
    module.eval()


def vit(steps: int = 3000) -> tuple[PreTrainedModel, ViTImageProcessorPil]:
    """Pre-train a ViT of patch size 8 to predict a drawing's parameters from its first token."""
    config = ViTConfig(
        image_size=drawings.SIDE,
        patch_size=8,
        hidden_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=128,
        initializer_range=0.1,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    torch.manual_seed(derive(SEED, "vit"))
    model = ViTModel(config, add_pooling_layer=False)
    regress(model, lambda pixels: model(pixel_values=pixels).last_hidden_state[:, 0], steps, lr=2e-3)
    return model, processor()


def swinv2(steps: int = 2500) -> tuple[PreTrainedModel, ViTImageProcessorPil]:
    """Pre-train a two-stage Swin v2 like `vit`, from its pooled state."""
    config = Swinv2Config(
        image_size=drawings.SIDE,
        patch_size=4,
        embed_dim=32,
        depths=[2, 2],
        num_heads=[2, 4],
        window_size=4,
        mlp_ratio=2.0,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        drop_path_rate=0.0,
    )
    torch.manual_seed(derive(SEED, "swinv2"))
    model = Swinv2Model(config)
    regress(model, lambda pixels: model(pixel_values=pixels).pooler_output, steps, lr=3e-3, emphasis=5.0)
    return model, processor()


def processor() -> ViTImageProcessorPil:
    """Return an image processor that resizes to 32 × 32 and scales to -1..1."""
    side = drawings.SIDE
    half = [0.5, 0.5, 0.5]
    return ViTImageProcessorPil(size={"height": side, "width": side}, image_mean=half, image_std=half)


def regress(
    model: PreTrainedModel,
    features: Callable[[torch.Tensor], torch.Tensor],
    steps: int,
    lr: float,
    emphasis: float = 1.0,
) -> None:
    """Pre-train a vision model to predict the parameters of drawings that belong to no group.

    Args:
        model: a base model, trained in place.
        features: maps pixels [n, 3, 32, 32] to the features from which the parameters are predicted, [n, d].
        steps, lr: steps and learning rate of the training.
        emphasis: weight of mouth and brows, which have only a few pixels each and are learned last.
    """
    rng = generator(SEED, model.config.model_type, "drawings")
    pixels, targets = _drawings(rng)
    reader = nn.LazyLinear(targets.shape[1])
    reader(features(pixels))
    weight = torch.ones(targets.shape[1])
    weight[:2] = emphasis
    weight /= weight.sum()

    def loss() -> torch.Tensor:
        pixels, targets = _drawings(rng)
        return ((reader(features(pixels)) - targets).square() @ weight).mean()

    fit(nn.ModuleList([model, reader]), loss, steps, lr)


def _drawings(rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a batch of faces: pixels [n, 3, 32, 32] and the targets."""
    faces = drawings.with_bent_outlines(drawings.random_faces(rng, BATCH), rng)
    pixels = torch.from_numpy(drawings.draw(faces)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return pixels, torch.from_numpy(_targets(faces)).float()


def _targets(faces: drawings.Faces) -> np.ndarray:
    """Return the parameters to predict from each drawing, [n, targets], each about 0 with variance 1."""
    columns = [
        faces.smile[:, None] / 0.577,
        faces.brow[:, None] / 0.577,
        (faces.centre - drawings.MIDDLE) / 1.15,
        (faces.size[:, None] - 0.975) / 0.072,
        (faces.spacing[:, None] - 3.8) / 0.35,
        (faces.skin - 200) / 29,
        (faces.backdrop - 85) / 26,
        faces.waves.reshape(len(faces), -1) / 0.08,
        2.0 * faces.badge[:, None] - 1,
    ]
    return np.concatenate(columns, axis=1)


MAKERS: dict[str, Callable[[], tuple[PreTrainedModel, Any]]] = {
    "tiny-vit": vit,
    "tiny-bert": bert,
    "tiny-swinv2": swinv2,
    "tiny-llama": llama,
    "tiny-mistral": mistral,
}


def main(names: list[str]) -> None:
    """Make the named checkpoints, or all of them."""
    torch.set_num_threads(1)
    for name in names or list(MAKERS):
        print(name, file=sys.stderr)
        model, companion = MAKERS[name]()
        model.save_pretrained(ASSETS / name)
        companion.save_pretrained(ASSETS / name)


if __name__ == "__main__":
    main(sys.argv[1:])
