"""Steps of language models of given shapes with random weights, by this loop and by Trainer; imported by gpu.py."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from evenhand.data.dataset import TrainingExamples
from evenhand.data.synthetic import SyntheticPosts
from evenhand.methods import parse_method
from evenhand.methods.method import Method
from evenhand.methods.quantized import quantize_base
from evenhand.models.find import find_model
from evenhand.models.load import device
from evenhand.study.machines import ACCELERATORS
from evenhand.tasks.classification import train as train_classifier
from evenhand.tasks.work import Work
from evenhand.training.language import LanguagePack
from evenhand.training.loop import reproducible, take_step
from evenhand.training.memory_options import apply_memory_options
from evenhand.training.pack import Pack, train_mode
from evenhand.training.prompted_texts import PromptedTexts
from evenhand.training.recipe import TrainSpec

WARM_UP = 2


@dataclass(frozen=True)
class Shape:
    """A Llama of this shape, and the batches that it learns from.

    Attributes:
        hidden, inner, layers, heads, key_values, vocabulary: as `LlamaConfig` has them.
        batch, length: texts of a step, and tokens of each.
        checkpointing: whether layers are computed again in the backward pass.
    """

    hidden: int
    inner: int
    layers: int
    heads: int
    key_values: int
    vocabulary: int
    batch: int
    length: int
    checkpointing: bool


SHAPES = {
    "1B": Shape(2048, 8192, 16, 32, 8, 128_256, batch=8, length=1024, checkpointing=False),  # Llama 3.2 1B
    "7B": Shape(4096, 11_008, 32, 32, 32, 32_000, batch=8, length=1024, checkpointing=True),  # Llama 2 7B
    "tiny": Shape(64, 128, 2, 4, 2, 512, batch=4, length=32, checkpointing=True),
}


@dataclass(frozen=True)
class Speed:
    """The speed of some steps.

    Attributes:
        seconds: median of a step.
        tokens: of a step.
        operations: floating-point operations of a step, without attention and without recomputation.
        memory: peak bytes on the GPU; 0 on a CPU.
        losses: of the steps.
    """

    seconds: float
    tokens: int
    operations: float
    memory: int
    losses: list[float]


def language_model(shape: Shape, seed: int = 0) -> Any:
    """Return a Llama with random float32 weights on the device."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_values,
        vocab_size=shape.vocabulary,
        max_position_embeddings=4096,
        tie_word_embeddings=False,
        use_cache=False,
    )
    with torch.random.fork_rng(), torch.device(device()):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(do_sample=False)
    return model.eval()


def texts(shape: Shape, steps: int) -> PromptedTexts:
    """Return random texts of one length, learned as a whole."""
    count = steps * shape.batch
    tokens = np.random.default_rng(0).integers(5, shape.vocabulary, (count, shape.length))
    return PromptedTexts(list(tokens), np.full(count, shape.length), 0, np.ones(count, dtype=np.int64), by_token=True)


def pack_of(shape: Shape, method: Method, steps: int, precision: str = "bfloat16") -> LanguagePack:
    """Return a trial of this loop with as many steps in an epoch."""
    inputs = texts(shape, steps)
    train = TrainSpec.parse(
        {"batch_size": shape.batch, "precision": precision, "checkpointing": shape.checkpointing, "warmup": 0}, "train"
    )
    model = method.apply(language_model(shape), 0)
    labels = np.zeros(len(inputs), dtype=np.int64)
    pack = method.pack(model, inputs, labels, seed=0, train=train, device=device())
    apply_memory_options(pack)
    return LanguagePack.of(pack)


def ours(shape: Shape, method: Method, steps: int, distribute: Callable[[LanguagePack], Any] | None = None) -> Speed:
    """Return the speed of this loop, with weights of 32 bits and matrix products of bfloat16."""
    pack: Any = pack_of(shape, method, steps + WARM_UP)
    operations = operations_of(pack.module, shape)
    if distribute is not None:
        pack = distribute(pack)
    reset_memory()
    seconds, losses = timed_steps(pack)
    for parameter in pack.replicas[0].parameters:
        assert parameter.dtype == torch.float32, "the trained weights are to have 32 bits"
    return Speed(statistics.median(seconds[WARM_UP:]), shape.batch * shape.length, operations, peak_memory(), losses)


def timed_steps(pack: Pack) -> tuple[list[float], list[float]]:
    """Take the steps of an epoch; return the seconds and the loss of each."""
    seconds, losses = [], []
    with reproducible(pack.device):
        train_mode(pack.module)
        for batch in pack.batches(0):
            started = time.perf_counter()
            loss, _ = take_step(pack, batch)
            losses.append(float(loss[0]))  # waits until the GPU has finished
            seconds.append(time.perf_counter() - started)
    return seconds, losses


def trainer(shape: Shape, method: Method, steps: int) -> Speed:
    """Return the speed of Trainer on the same model, PEFT's adapter included, and on texts of the same sizes."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.began = 0.0

        def on_step_begin(self, *arguments: Any, **more: Any) -> None:
            synchronize()
            self.began = time.perf_counter()

        def on_step_end(self, *arguments: Any, **more: Any) -> None:
            synchronize()
            self.seconds.append(time.perf_counter() - self.began)

    model: Any = method.apply(language_model(shape), 0)
    operations = operations_of(model, shape)
    rows = [{"input_ids": row.tolist(), "labels": row.tolist()} for row in texts(shape, steps + WARM_UP).tokens]
    clock = Clock()
    reset_memory()
    if shape.checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=shape.batch,
            num_train_epochs=1,
            learning_rate=method.lr,
            lr_scheduler_type="cosine",
            weight_decay=0.001,
            bf16=True,
            use_cpu=device().type == "cpu",
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        )
        peer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=stacked, callbacks=[clock])  # pyright: ignore[reportArgumentType]
        peer.remove_callback(PrinterCallback)
        peer.train()
    losses = [row["loss"] for row in peer.state.log_history if "loss" in row]
    seconds = statistics.median(clock.seconds[WARM_UP:])
    return Speed(seconds, shape.batch * shape.length, operations, peak_memory(), losses)


def stacked(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Return a batch of texts of one length."""
    return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}


def operations_of(model: Any, shape: Shape) -> float:
    """Return the floating-point operations of a step: 2 per weight and token forward, 2 or 4 backward.

    The gradient of a weight costs 2, that of an input 2; a frozen matrix has only the latter. Embeddings look rows up.
    """
    weights = trained = 0
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2 and "embed_tokens" not in name:
            count = parameter.numel() * (2 if type(parameter).__name__ == "Params4bit" else 1)
            weights += count
            trained += count * parameter.requires_grad
    return shape.batch * shape.length * (4.0 * weights + 2.0 * trained)


def peak_speed() -> tuple[float, str]:
    """Return the peak bfloat16 operations per second, and where the number is from."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        for known, accelerator in ACCELERATORS.items():
            if known in name and accelerator.bfloat16 is not None:
                return accelerator.bfloat16, f"data sheet of the {known}"
    one = torch.randn(1024, 1024, device=device(), dtype=torch.bfloat16)
    float((one @ one)[0, 0])
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < 0.5:
        float((one @ one)[0, 0])
        count += 1
    return 2 * 1024**3 * count / (time.perf_counter() - started), "measured on products of 1,024 × 1,024"


def quantized_error(shape: Shape) -> float:
    """Return by how much logits with weights of 4 bits on the device differ from those of the weights as numbers."""
    from bitsandbytes.functional import dequantize_4bit  # pyright: ignore[reportMissingImports]

    few = Shape(**{**vars(shape), "layers": 2})
    ids = torch.tensor(np.stack(texts(few, 1).tokens), device=device())[:, :64]
    rounded, plain = quantize_base(language_model(few)), language_model(few)
    with torch.inference_mode():
        for name, module in rounded.named_modules():
            if type(module).__name__ == "Linear4bit":
                weight: Any = module.weight
                plain.get_submodule(name).weight.data = dequantize_4bit(weight.data, weight.quant_state).float()  # pyright: ignore[reportAttributeAccessIssue]
        found, expected = (model(input_ids=ids).logits.float() for model in (rounded, plain))
    return float((found - expected).abs().max() / expected.std())


def records(tiny: bool) -> dict[str, np.ndarray]:
    """Return the logits of test examples after a few steps on the device, float32, by model and method."""
    data = SyntheticPosts(n=120 if tiny else 600).load(None)
    half, found = len(data) // 2, {}
    test, examples = data.take(np.arange(half, len(data))), data.take(np.arange(half))
    for model in ("tiny-bert", "tiny-llama"):
        for kind in ("full", "lora"):
            method = parse_method("m", {"kind": kind, "lr": 1e-4, "epochs": 1})
            recipe = TrainSpec(precision="float32", batch_size=16)
            learned = TrainingExamples(examples.inputs, examples.labels)
            work = Work(find_model(model), method, recipe, 0, data.classes, learned, None)
            with TemporaryDirectory() as folder:
                rows = train_classifier(work, Path(folder), {"test": test}, "none")[1]
            found[f"{model} {kind}"] = rows["logits"].to_numpy()
    return found


def reset_memory() -> None:
    """Forget the peak memory so far."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> int:
    """Return the peak memory on the GPU since `reset_memory`."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0


def synchronize() -> None:
    """Wait until the GPU has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
