"""K replicas of LoRA, or of the head alone, over one frozen base: the base is computed once for the rows of all.

What a replica learns depends on nothing but its own seed, rank, rate, examples and end: the rows of a replica meet its
own weights only (`stacks`), each replica is clipped and steps by itself (`adamw`), its dropout is drawn as it would be
drawn alone, and what pads its rows to those of the others is masked or not counted. In exact arithmetic a replica is
therefore the trial that PEFT and `Single` train; in float32 products of other shapes round differently.
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
from evenhand.training.pack import Batch, Pack, Part, Replica, predict
from evenhand.training.stacked_adamw import StackedAdamW
from evenhand.training.stacked_layers import LinearStack, Lineup, LoRAStack, ModuleStack

NOT_COUNTED = -100
"""The label of a row that fills up, which cross-entropy leaves out."""


@dataclass(eq=False, kw_only=True)
class Replicas(Pack):
    """K replicas over one base.

    Attributes:
        models: [K] the replicas as ordinary models, which share the base's parameters; see `model`.
        adamw: of all replicas.
        lineup: read by the layers of `module`.
    """

    models: Sequence[nn.Module]
    adamw: StackedAdamW
    lineup: Lineup

    def losses(self, part: Part) -> torch.Tensor:
        places = [place for place, rows in enumerate(part.rows) if len(rows)]
        own = [len(part.rows[place]) for place in places]
        gathered = self._gathered(part, places, max(own))
        longest = [
            int(most)
            for inputs, rows in gathered
            if inputs.lengths is not None
            for most in inputs.lengths[rows].reshape(-1, max(own)).max(1)
        ]
        self.lineup.set(places, own, longest or None, self.device)
        batches = [inputs.batch(rows, self.device, max(longest, default=0)) for inputs, rows in gathered]
        labels = np.full((len(places), max(own)), NOT_COUNTED)
        for turn, place in enumerate(places):
            labels[turn, : own[turn]] = self.replicas[place].labels[part.rows[place]]
        logits = self.module(**{name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}).logits
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        targets = torch.from_numpy(labels).to(self.device, non_blocking=True).view(-1)
        each = nn.functional.cross_entropy(exact, targets, reduction="none", ignore_index=NOT_COUNTED)
        sizes = torch.tensor([part.sizes[place] for place in places], dtype=exact.dtype, device=self.device)
        return self._placed(places, each.view(labels.shape).sum(1) / sizes)

    def step(self, batch: Batch) -> torch.Tensor:
        places = [place for place, size in enumerate(batch.sizes) if size]
        stepping = [self.replicas[place] for place in places]
        found = self.adamw.step(
            places,
            [replica.rate for replica in stepping],
            [replica.taken for replica in stepping],
            [replica.train.clip_norm for replica in stepping],
        )
        for replica in stepping:
            replica.taken += 1
        return self._placed(places, found)

    @torch.no_grad()
    def model(self, place: int) -> nn.Module:
        """A replica as the ordinary model that its method made, with what it has learned so far.

        It is the replica's own object: asked for again, it is brought up to date.
        """
        for name, parameter in _own(self.models[place]):
            if parameter.requires_grad:
                parameter.copy_(_corner(self.adamw.parameters[name][place], parameter.shape))
        return self.models[place]

    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        return predict(self.model(replica).eval(), inputs, self.device)

    def _gathered(self, part: Part, places: Sequence[int], count: int) -> list[tuple[Inputs, np.ndarray]]:
        """The rows of some replicas, each filled up to `count`; neighbours that learn from the same inputs together."""
        gathered = []
        for _, same in groupby(places, key=lambda place: id(self.replicas[place].inputs)):
            shared = list(same)
            filled = [_filled(part.rows[place], count) for place in shared]
            gathered.append((self.replicas[shared[0]].inputs, np.concatenate(filled)))
        return gathered

    def _placed(self, places: Sequence[int], found: torch.Tensor) -> torch.Tensor:
        """What was found for some replicas, [K] with 0 for the others."""
        if len(places) == len(self.replicas):
            return found
        return found.new_zeros(len(self.replicas)).index_copy(0, torch.tensor(places, device=self.device), found)


def replicas(models: Iterable[nn.Module], chosen: Sequence[Replica], device: torch.device | None = None) -> Replicas:
    """A pack of replicas.

    Args:
        models: [K] each a classifier of the same base as the method `lora` or `head` left it, under the replica's own
            seed. They are taken one at a time and give up their copy of the base, so that a generator of models needs
            the memory of two.
        chosen: [K] the replicas, without parameters and optimiser.
        device: where to train.
    """
    device = device or torch.device("cpu")
    shared: dict[str, nn.Parameter] = {}
    apart: set[str] = set()
    kept: list[nn.Module] = []
    for model in models:
        apart |= _share(model.to(device), shared)
        kept.append(model)
    lineup = Lineup(len(kept))
    learned, fixed, spared = _stacked(kept, apart)
    adamw = StackedAdamW(learned, spared, [replica.train.weight_decay for replica in chosen])
    _keep_freed_memory()
    held = adamw.parameters | {name: nn.Parameter(stack, requires_grad=False) for name, stack in fixed.items()}
    return Replicas(_trunk(kept, held, lineup), chosen, device, models=kept, adamw=adamw, lineup=lineup)


def _keep_freed_memory() -> None:
    """Let the C library keep what a step frees for the next one.

    glibc gives memory back to the system beyond twice the largest block that was ever freed, 32 MiB at most. While that
    is small, a pack's activations are mapped and zeroed again in every step, a tenth of its time on a small base. This
    block is never touched, so that it takes no memory itself.
    """
    torch.empty(30 * 2**20, dtype=torch.uint8)


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """The rows and, until there are `count`, the first of them: its numbers are finite whenever the replica's are."""
    return rows if len(rows) == count else np.concatenate([rows, np.repeat(rows[:1], count - len(rows))])


def _plain(name: str) -> str:
    """The name that a parameter or module of a PeftModel has in the base; `LAYER.A` and `LAYER.B` for an adapter's."""
    name = name.removeprefix("base_model.model.").replace(".base_layer.", ".").replace(".modules_to_save.default", "")
    return name.replace(".lora_A.default.weight", ".A").replace(".lora_B.default.weight", ".B")


def _own(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """The parameters by their plain names, without the untrained copy that PEFT keeps of a head."""
    for name, parameter in model.named_parameters():
        if ".original_module." not in name:
            yield _plain(name), parameter


def _share(model: nn.Module, shared: dict[str, nn.Parameter]) -> set[str]:
    """Make a model use the base's parameters where its frozen ones equal them; gives the names of those that do not,
    such as a pooler that the checkpoint lacks and each seed draws."""
    apart = set()
    for name, parameter in list(model.named_parameters()):
        if parameter.requires_grad or ".original_module." in name:
            continue
        known = shared.setdefault(_plain(name), parameter)
        if known is parameter:
            continue
        if not torch.equal(known, parameter):
            apart.add(_plain(name))
            continue
        owner, _, last = name.rpartition(".")
        setattr(model.get_submodule(owner), last, known)
    return apart


@torch.no_grad()
def _stacked(
    models: Sequence[nn.Module], apart: set[str]
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], set[str]]:
    """What is each replica's own, stacked to [K, ...] and zero where a replica has less or none of it: what is learned,
    what is not, and the names of what does not decay."""
    learned: dict[str, torch.Tensor] = {}
    fixed: dict[str, torch.Tensor] = {}
    spared: set[str] = set()
    own = [dict(_own(model)) for model in models]
    for model, parameters in zip(models, own, strict=True):
        spared |= {_plain(name) for name in undecayed(model)}
        for name, parameter in parameters.items():
            if name in learned or name in fixed or not (parameter.requires_grad or name in apart):
                continue
            every = [other.get(name) for other in own]
            shapes = [one.shape for one in every if one is not None]
            stack = parameter.new_zeros(len(models), *map(max, zip(*shapes, strict=True)))
            for place, one in enumerate(every):
                if one is not None:
                    _corner(stack[place], one.shape).copy_(one)
            (learned if parameter.requires_grad else fixed)[name] = stack
    return learned, fixed, spared


def _corner(stack: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """The leading part of a replica's share of a stack: all of it but for what a smaller rank lacks."""
    return stack[tuple(slice(size) for size in shape)]


def _trunk(models: Sequence[nn.Module], held: dict[str, nn.Parameter], lineup: Lineup) -> nn.Module:
    """The base, without a copy of its parameters, whose layers hold the stacks."""
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
    adapted = [{_plain(name): m for name, m in model.named_modules() if isinstance(m, LoraLayer)} for model in models]
    for owner, stacks in inside.items():
        module = trunk.get_submodule(owner)
        A, B = stacks.pop("A", None), stacks.pop("B", None)
        if stacks and isinstance(module, nn.Linear):
            whole = {name: _repeated(one, len(models)) for name, one in module.named_parameters()} | stacks
            module = LinearStack(whole["weight"], whole.get("bias"), lineup)
        elif stacks:
            module = ModuleStack(module, stacks, lineup)
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
                lineup,
            )
        trunk.set_submodule(owner, module)
    return trunk


def _repeated(parameter: nn.Parameter, count: int) -> nn.Parameter:
    return nn.Parameter(parameter.detach().expand(count, *parameter.shape), requires_grad=False)
