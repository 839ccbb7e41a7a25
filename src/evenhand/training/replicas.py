"""Trains K replicas of LoRA, or of the head, over one frozen base that is computed once for all of them.

What a replica learns depends only on its own seed, rank, learning rate, examples and number of epochs. Its rows are
multiplied only with its own weights (`stacked_layers`), its gradients are clipped and its steps taken separately
(`stacked_adamw`), its dropout is drawn as if it were alone, and padding rows are masked or not counted. In exact
arithmetic a replica therefore equals the trial that PEFT and `Single` train; in float32, products of other shapes
round differently.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import nn

from evenhand.training.batches import Inputs
from evenhand.training.dropout import SeededDropout
from evenhand.training.optimizer import undecayed
from evenhand.training.pack import Batch, MicroBatch, Pack, Replica, predict_logits
from evenhand.training.stacked_adamw import StackedAdamW
from evenhand.training.stacked_layers import ActiveRows, LinearStack, LoRAStack, ModuleStack

NOT_COUNTED = -100
"""The label of a padding row, which cross-entropy ignores."""


@dataclass(eq=False, kw_only=True)
class ReplicaPack(Pack):
    """A pack of K replicas over one base, with their parameters stacked.

    Attributes:
        models: [K] the replicas as ordinary models, which share the base's parameters; see `model`.
        adamw: the optimizer of all replicas.
        active_rows: read by the layers of `module`.
    """

    models: Sequence[nn.Module]
    adamw: StackedAdamW
    active_rows: ActiveRows

    def losses(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Return each replica's share of its mean loss over the step, [K]; 0 for a replica that rests."""
        indices = [index for index, rows in enumerate(micro_batch.rows) if len(rows)]
        counts = [len(micro_batch.rows[index]) for index in indices]
        gathered = self._gathered(micro_batch, indices, max(counts))
        longest = [
            int(most)
            for inputs, rows in gathered
            if inputs.lengths is not None
            for most in inputs.lengths[rows].reshape(-1, max(counts)).max(1)
        ]
        self.active_rows.set(indices, counts, longest or None, self.device)
        batches = [inputs.batch(rows, self.device, max(longest, default=0)) for inputs, rows in gathered]
        labels = np.full((len(indices), max(counts)), NOT_COUNTED)
        for turn, index in enumerate(indices):
            labels[turn, : counts[turn]] = self.replicas[index].labels[micro_batch.rows[index]]
        logits = self.module(**{name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}).logits
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        targets = torch.from_numpy(labels).to(self.device, non_blocking=True).view(-1)
        each = nn.functional.cross_entropy(exact, targets, reduction="none", ignore_index=NOT_COUNTED)
        sizes = torch.tensor([micro_batch.sizes[index] for index in indices], dtype=exact.dtype, device=self.device)
        return self._scattered(indices, self._totals(indices, micro_batch, each.view(labels.shape)) / sizes)

    def _totals(self, indices: Sequence[int], micro_batch: MicroBatch, losses: torch.Tensor) -> torch.Tensor:
        """Return the sum of the losses of each of some replicas, or its objective in place of the sum."""
        objectives = [self.replicas[index].objective for index in indices]
        if not any(objectives):
            return losses.sum(1)
        rows = [micro_batch.rows[index] for index in indices]
        counted = [each[: len(rows_of_one)] for each, rows_of_one in zip(losses, rows, strict=True)]
        return torch.stack(
            [
                each.sum() if objective is None else objective.total(each, rows_of_one)
                for objective, each, rows_of_one in zip(objectives, counted, rows, strict=True)
            ]
        )

    def step(self, batch: Batch) -> torch.Tensor:
        """Clip the gradients of every replica that took part and take its AdamW step, all at once."""
        indices = [index for index, size in enumerate(batch.sizes) if size]
        stepping = [self.replicas[index] for index in indices]
        norms = self.adamw.step(
            indices,
            [replica.rate for replica in stepping],
            [replica.steps_taken for replica in stepping],
            [replica.train.clip_norm for replica in stepping],
        )
        for replica in stepping:
            replica.steps_taken += 1
        return self._scattered(indices, norms)

    @torch.no_grad()
    def model(self, index: int) -> nn.Module:
        """Return a replica as the ordinary model that its method made, with what it has learned so far.

        It is the replica's own object: each call brings it up to date.
        """
        for name, parameter in _named_parameters(self.models[index]):
            if parameter.requires_grad:
                parameter.copy_(_leading_block(self.adamw.parameters[name][index], parameter.shape))
        return self.models[index]

    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        """Return the logits of one replica, float32 [n, C], in the order of the inputs."""
        return predict_logits(self.model(replica).eval(), inputs, self.device)

    def _gathered(self, micro_batch: MicroBatch, indices: Sequence[int], count: int) -> list[tuple[Inputs, np.ndarray]]:
        """Return the rows of some replicas, each padded to `count`; neighbours that share inputs are concatenated."""
        gathered = []
        for _, same in groupby(indices, key=lambda index: id(self.replicas[index].inputs)):
            shared = list(same)
            filled = [_padded_rows(micro_batch.rows[index], count) for index in shared]
            gathered.append((self.replicas[shared[0]].inputs, np.concatenate(filled)))
        return gathered

    def _scattered(self, indices: Sequence[int], values: torch.Tensor) -> torch.Tensor:
        """Return the values of some replicas as [K], with 0 for the others."""
        if len(indices) == len(self.replicas):
            return values
        return values.new_zeros(len(self.replicas)).index_copy(0, torch.tensor(indices, device=self.device), values)


def replica_pack(
    models: Iterable[nn.Module], chosen: Sequence[Replica], device: torch.device | None = None
) -> ReplicaPack:
    """Make one pack of several replicas, whose models share the base.

    Args:
        models: [K] classifiers over the same base, each as the method `lora` or `head` made it under the replica's own
            seed. They are read one at a time and drop their copy of the base, so a generator of models needs the memory
            of only two.
        chosen: [K] the replicas, without parameters and optimiser.
        device: where to train.
    """
    device = device or torch.device("cpu")
    shared: dict[str, nn.Parameter] = {}
    apart: set[str] = set()
    kept: list[nn.Module] = []
    for model in models:
        apart |= _share_base(model.to(device), shared)
        kept.append(model)
    active_rows = ActiveRows(len(kept))
    learned, fixed, undecayed_names = _stack_parameters(kept, apart)
    adamw = StackedAdamW(learned, undecayed_names, [replica.train.weight_decay for replica in chosen])
    _keep_freed_memory()
    held = adamw.parameters | {name: nn.Parameter(stack, requires_grad=False) for name, stack in fixed.items()}
    return ReplicaPack(
        _stacked_model(kept, held, active_rows), chosen, device, models=kept, adamw=adamw, active_rows=active_rows
    )


def _keep_freed_memory() -> None:
    """Let the C library keep the memory that a step frees for the next step.

    glibc returns memory to the system beyond twice the largest block that was ever freed, 32 MiB at most. If that limit
    is small, a pack's activations are mapped and zeroed again in every step, which takes a tenth of the time on a small
    base. Allocating and freeing a large block raises the limit. This block is never touched, so it takes no memory.
    """
    torch.empty(30 * 2**20, dtype=torch.uint8)


def _padded_rows(rows: np.ndarray, count: int) -> np.ndarray:
    """Pad rows to `count` by repeating the first row, whose numbers are finite whenever the replica's are."""
    return rows if len(rows) == count else np.concatenate([rows, np.repeat(rows[:1], count - len(rows))])


def _base_name(name: str) -> str:
    """Return the base's name for a PeftModel's parameter or module; `LAYER.A` and `LAYER.B` for an adapter's."""
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".modules_to_save.default", "")
    return name.replace(".lora_A.default.weight", ".A").replace(".lora_B.default.weight", ".B")


def _named_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Yield the parameters by their names in the base, without the untrained copy that PEFT keeps of a head."""
    for name, parameter in model.named_parameters():
        if ".original_module." not in name:
            yield _base_name(name), parameter


def _share_base(model: nn.Module, shared: dict[str, nn.Parameter]) -> set[str]:
    """Replace a model's frozen parameters by equal ones of the base; return the names of those that differ.

    A pooler that the checkpoint lacks differs, for instance, since each seed draws it.
    """
    apart = set()
    for name, parameter in list(model.named_parameters()):
        if parameter.requires_grad or ".original_module." in name:
            continue
        known = shared.setdefault(_base_name(name), parameter)
        if known is parameter:
            continue
        if not torch.equal(known, parameter):
            apart.add(_base_name(name))
            continue
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, known)
    return apart


@torch.no_grad()
def _stack_parameters(
    models: Sequence[nn.Module], apart: set[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], set[str]]:
    """Stack each replica's own parameters to [K, ...], zero-padded where a replica has fewer or none.

    Returns the trained ones, the frozen ones, and the names of those without weight decay.
    """
    learned: dict[str, torch.Tensor] = {}
    fixed: dict[str, torch.Tensor] = {}
    undecayed_names: set[str] = set()
    parameters_of = [dict(_named_parameters(model)) for model in models]
    for model, parameters in zip(models, parameters_of, strict=True):
        undecayed_names |= {_base_name(name) for name in undecayed(model)}
        for name, parameter in parameters.items():
            if name in learned or name in fixed or not (parameter.requires_grad or name in apart):
                continue
            every = [other.get(name) for other in parameters_of]
            shapes = [each.shape for each in every if each is not None]
            stack = parameter.new_zeros(len(models), *map(max, zip(*shapes, strict=True)))
            for index, each in enumerate(every):
                if each is not None:
                    _leading_block(stack[index], each.shape).copy_(each)
            (learned if parameter.requires_grad else fixed)[name] = stack
    return learned, fixed, undecayed_names


def _leading_block(stack: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return the leading block of a stack that a replica of smaller rank uses."""
    return stack[tuple(slice(size) for size in shape)]


def _stacked_model(models: Sequence[nn.Module], held: dict[str, nn.Parameter], active_rows: ActiveRows) -> nn.Module:
    """Return the base, with shared parameters, whose layers hold the stacks."""
    from peft import PeftModel
    from peft.tuners.lora import LoraLayer
    from peft.utils import ModulesToSaveWrapper

    first = models[0].get_base_model() if isinstance(models[0], PeftModel) else models[0]
    trunk = copy.deepcopy(first, {id(parameter): parameter for parameter in first.parameters()})
    for name, module in list(trunk.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):
            trunk.set_submodule(name, module.modules_to_save["default"])
        elif isinstance(module, LoraLayer):
            trunk.set_submodule(name, module.get_base_layer())
    inside: dict[str, dict[str, nn.Parameter]] = {}
    for name, stack in held.items():
        owner, _, last = name.rpartition(".")
        inside.setdefault(owner, {})[last] = stack
    adapted = [
        {_base_name(name): m for name, m in model.named_modules() if isinstance(m, LoraLayer)} for model in models
    ]
    for owner, stacks in inside.items():
        module = trunk.get_submodule(owner)
        A, B = stacks.pop("A", None), stacks.pop("B", None)
        if stacks and isinstance(module, nn.Linear):
            whole = {name: _repeat(parameter, len(models)) for name, parameter in module.named_parameters()} | stacks
            module = LinearStack(whole["weight"], whole.get("bias"), active_rows)
        elif stacks:
            module = ModuleStack(module, stacks, active_rows)
        if A is not None and B is not None:
            layers = [layers.get(owner) for layers in adapted]
            scales = [0.0 if layer is None else layer.scaling["default"] for layer in layers]
            drops = [None if layer is None else layer.lora_dropout["default"] for layer in layers]
            module = LoRAStack(
                module,
                A,
                B,
                torch.tensor(scales, dtype=A.dtype, device=A.device)[:, None, None],
                [drop if isinstance(drop, SeededDropout) else None for drop in drops],
                active_rows,
            )
        trunk.set_submodule(owner, module)
    return trunk


def _repeat(parameter: nn.Parameter, count: int) -> nn.Parameter:
    """Repeat a frozen parameter for each replica, without copying it."""
    return nn.Parameter(parameter.detach().expand(count, *parameter.shape), requires_grad=False)
