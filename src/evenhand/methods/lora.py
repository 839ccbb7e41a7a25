"""LoRA (Hu et al. 2021, arXiv:2106.09685), through PEFT."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, NonNegativeFloat, PositiveFloat, field_validator

from evenhand.errors import InputError
from evenhand.methods.method import Method
from evenhand.models.quiet import quiet
from evenhand.seeds import derive

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

FOLDER = "adapter"

QUERY_AND_VALUE = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("query_proj", "value_proj"),
    ("query_key_value",),
    ("c_attn",),
    ("qkv",),
)
"""How architectures name the query and value projections (the last three: as part of one layer)."""


class LoRA(Method):
    """Trains a product B·A of rank r beside each target layer, scaled by alpha / r, and the classification head.

    Attributes:
        rank: r, at least 1 and at most max(in, out) of every target layer; rank 0 is the method `head`.
        alpha: the scale's numerator; 2·rank unless given, so that a change of rank alone keeps the scale.
        dropout: probability of the dropout before A, drawn from one generator per layer.
        targets: names of linear layers, matched at the end of their full name; the query and value projections unless
            given.
    """

    kind: ClassVar[str] = "lora"
    summary: ClassVar[str] = "low-rank updates of the query and value projections, and the classification head"

    lr: NonNegativeFloat = 3e-4
    rank: int = 8
    alpha: PositiveFloat = Field(default_factory=lambda data: 2.0 * data["rank"])
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[str, ...] | None = None

    @field_validator("rank")
    @classmethod
    def _rank(cls, value: int) -> int:
        if value < 1:
            raise ValueError(f"a LoRA of rank {value} has no update to learn; use kind: head")
        return value

    @field_validator("targets", mode="before")
    @classmethod
    def _targets(cls, value: Any) -> Any:
        names = (value,) if isinstance(value, str) else value
        if names is not None and not names:
            raise ValueError("name at least one layer, or leave targets out")
        return names

    def apply(self, model: PreTrainedModel, seed: int) -> torch.nn.Module:
        """A PeftModel over the model: A drawn under the seed's "adapter" stream, B zero, the head as it came.

        Raises:
            InputError: a target that no linear layer of the base bears, or a rank above what a target layer can have.
        """
        import torch
        from peft import LoraConfig, TaskType, get_peft_model

        from evenhand.models.load import head_modules

        heads = head_modules(model)
        config = LoraConfig(
            task_type=TaskType.SEQ_CLS if model.main_input_name == "input_ids" else None,
            r=self.rank,
            lora_alpha=self.alpha,  # pyright: ignore[reportArgumentType] - PEFT only divides it by the rank
            lora_dropout=self.dropout,
            target_modules=list(self._resolved(model)),
            modules_to_save=[name for name, child in model.named_children() if child in heads],
        )
        with quiet(), torch.random.fork_rng():
            torch.manual_seed(derive(seed, "adapter"))
            adapted = get_peft_model(model, config)
        if self.dropout:
            _seed_dropout(adapted, self.dropout, seed)
        return adapted

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """`folder/adapter/`, which `PeftModel.from_pretrained` reads."""
        # Embeddings are never trained here; "auto" would ask the hub whether the vocabulary grew.
        model.save_pretrained(folder / FOLDER, save_embedding_layers=False)  # pyright: ignore[reportCallIssue]

    def load(self, model: PreTrainedModel, folder: Path) -> torch.nn.Module:
        """The base with the trained adapter and head, in evaluation mode."""
        import torch
        from peft import PeftModel

        # PEFT draws an adapter before it reads one.
        with quiet(), torch.random.fork_rng():
            return PeftModel.from_pretrained(model, folder / FOLDER).eval()

    def kept(self, folder: Path) -> bool:
        """Whether `adapter/` is there."""
        return (folder / FOLDER / "adapter_config.json").is_file()

    def _resolved(self, model: PreTrainedModel) -> tuple[str, ...]:
        """The names of the target layers, each of which matches, and matches only layers that can take the rank."""
        layers = _linear_layers(model)
        there = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
        architecture = type(model).__name__
        if not layers:
            raise InputError(f"lora: {architecture} has no linear layers to adapt; use kind: full or kind: head")
        if self.targets is None:
            found = [names for names in QUERY_AND_VALUE if all(_matching(name, layers) for name in names)]
            if not found:
                raise InputError(
                    f"lora: {architecture} has no query and value projections under a known name; set targets to some "
                    f"of its linear layers: {there}"
                )
            targets = found[0]
        else:
            targets = self.targets
        for target in targets:
            matched = _matching(target, layers)
            if not matched:
                raise InputError(
                    f'lora: targets names "{target}", but no linear layer of the base {architecture} bears that name; '
                    f"there are: {there}"
                )
            others = [name for name in _matching(target, dict(model.named_modules())) if name not in layers]
            if others:
                raise InputError(
                    f'lora: targets names "{target}", but {others[0]} of {architecture}, which is no linear layer of '
                    f'the base, bears that name too; write more of the name, such as "{_longer(matched[0], target)}"'
                )
            narrowest = min(matched, key=lambda name: max(layers[name].weight.shape))  # pyright: ignore
            widest_rank = max(layers[narrowest].weight.shape)  # pyright: ignore
            if self.rank > widest_rank:
                raise InputError(
                    f"lora: rank {self.rank} is above {widest_rank}, the larger side of the layer {narrowest} of "
                    f"{architecture}; choose a rank of at most {widest_rank}"
                )
        return targets


def _linear_layers(model: PreTrainedModel) -> dict[str, torch.nn.Module]:
    """The linear layers of the base by their full names; the head's are left out, since it learns as a whole."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    from evenhand.models.load import head_modules

    of_head = {id(module) for head in head_modules(model) for module in head.modules()}
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and id(module) not in of_head
    }


def _matching(target: str, names: dict[str, torch.nn.Module]) -> list[str]:
    """The names that are the target or end in it, as PEFT matches."""
    return [name for name in names if name == target or name.endswith(f".{target}")]


def _longer(name: str, target: str) -> str:
    """The end of a full name, one part longer than the target."""
    return ".".join(name.split(".")[-2 - target.count(".") :])


def _seed_dropout(adapted: torch.nn.Module, share: float, seed: int) -> None:
    """Give every LoRA layer a dropout with a generator of its own, so that a mask depends on the trial alone."""
    from peft.tuners.lora import LoraLayer

    from evenhand.training.dropout import SeededDropout

    for name, module in adapted.named_modules():
        if isinstance(module, LoraLayer):
            layer = name.removeprefix("base_model.model.")
            module.lora_dropout["default"] = SeededDropout(share, derive(seed, "dropout", layer))
