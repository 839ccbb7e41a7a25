"""One large run on several processes, through accelerate: data parallel, or sharded by FSDP2, as the launch says.

The run is what one process would make of it. Every process takes its share of each batch, padded as the whole batch
is; gradients add up to those of the mean over the step's examples, whoever had how many of them; a dropout draws the
mask of the whole batch and takes the rows of its share. Losses and predictions are put together in every process, so
that all decide alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, InitProcessGroupKwargs
from torch import distributed, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from torch.distributed.tensor import DTensor
from transformers import PreTrainedModel

from evenhand.errors import InputError
from evenhand.methods.layers import blocks
from evenhand.training import optimizer
from evenhand.training.batches import by_length
from evenhand.training.dropout import SeededDropout
from evenhand.training.launch import place
from evenhand.training.pack import PREDICT_BATCH, Pack, Part, Replica, Single, train_mode

PATIENCE = timedelta(hours=12)
"""How long a process waits for the others: the main one reads data and audits in the meantime. One that died does not
count on it: the launcher ends them all."""


@cache
def accelerator() -> Accelerator:
    """What the launch asked for: the device of this process, and how a model is spread over all of them.

    Precision and accumulation are the study's to say, whatever the configuration of accelerate has.

    Raises:
        InputError: it asks for a way of training that has not been shown to give a single process' results.
    """
    for way in ("DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{way}", "false").lower() == "true":
            raise _unchecked(way)
    found = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="no",
        kwargs_handlers=[DistributedDataParallelKwargs(), InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    if found.distributed_type not in (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU) and not found.is_fsdp2:
        raise _unchecked(found.distributed_type.value)
    return found


def _unchecked(way: str) -> InputError:
    return InputError(
        f"accelerate was configured for {way}, in which nothing here has been checked; launch with --multi_gpu, or "
        "shard with --use_fsdp --fsdp_version 2"
    )


def announce(message: Any) -> None:
    """What the main process tells those that `listen`; said by another, it is nothing new."""
    if not place().main:
        return
    distributed.broadcast_object_list([message], src=0, group=_channel())


def listen() -> Any:
    """What the main process announces next."""
    heard = [None]
    distributed.broadcast_object_list(heard, src=0, group=_channel())
    return heard[0]


@cache
def _channel() -> Any:
    # By way of the CPU: what is announced holds all examples, which may be more than a GPU does.
    accelerator()
    return distributed.new_group(backend="gloo", timeout=PATIENCE)


@dataclass(eq=False)
class Shared(Single):
    """A pack of one whose batches and predictions are shared out to the processes of a launch.

    Attributes:
        fresh: makes the untrained model again.
    """

    fresh: Callable[[], nn.Module] = field(kw_only=True)

    def part_of_step(self, last: bool) -> Any:
        """Gradients travel once a step."""
        return super().part_of_step(last) if last else accelerator().no_sync(self.module)

    def losses(self, part: Part) -> torch.Tensor:
        """[1] this process' share of the mean loss over the step."""
        (rows,), (size,), (replica,) = part.rows, part.sizes, self.replicas
        mine, counts = _share(len(rows))
        for module in self.module.modules():
            if isinstance(module, SeededDropout):
                module.among = len(rows), mine
        lengths = replica.inputs.lengths
        longest = 0 if lengths is None else int(lengths[rows].max())
        return self.sum_of_losses(rows[mine], longest).reshape(1) * (counts / size)

    def backward(self, losses: torch.Tensor) -> None:
        """Add the gradients of a part: processes take the mean of theirs, so each gives as many times its own."""
        (losses.sum() * accelerator().num_processes).backward()

    def total(self, losses: torch.Tensor) -> torch.Tensor:
        """[1] the loss over the examples of all processes."""
        distributed.all_reduce(losses)
        return losses

    def clip(self, replica: Replica) -> torch.Tensor:
        """As in one process; of gradients that are sharded, the norm of the whole."""
        norm: Any = optimizer.clip(replica.parameters, replica.train.clip_norm)
        return norm.full_tensor() if _sharded(self.module) else norm

    # What is computed in inference mode cannot be gathered into shards that learn afterwards.
    @torch.no_grad()
    def predict(self, replica: int, inputs: Any) -> np.ndarray:
        """Logits float32 [n, C] in the order of the inputs, the same in every process."""
        training = self.module.training
        self.module.eval()
        found = None
        for rows in by_length(len(inputs), inputs.lengths, PREDICT_BATCH * accelerator().num_processes):
            mine, counts = _share(len(rows))
            logits = self.module(**inputs.batch(rows[mine], self.device)).logits.float()
            if found is None:
                found = logits.new_zeros(len(inputs), logits.shape[1])
            if counts:
                found[torch.from_numpy(rows[mine]).to(self.device)] = logits
        assert found is not None
        distributed.all_reduce(found)
        if training:
            train_mode(self.module)
        return found.cpu().numpy()

    def whole(self, replica: int) -> nn.Module:
        """The model as its method made it, with what it has learned. All processes call it, since the main one is sent
        what is sharded; the others keep the shards."""
        if not _sharded(self.module):
            return accelerator().unwrap_model(self.module).eval()
        main = place().main
        model = self.fresh() if main else self.module
        own = model.state_dict()
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                gathered = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
                if main:
                    own[name].copy_(gathered)
        return model.eval()


def share(pack: Pack, fresh: Callable[[], nn.Module]) -> Shared:
    """A pack of one, shared out to the processes of this launch.

    Args:
        pack: not trained yet, the same in every process.
        fresh: makes the untrained model again.

    Raises:
        InputError: several processes would not give the results of one, with the reason.
    """
    pack = _checked(pack)
    (replica,) = pack.replicas
    module = pack.module
    if replica.adamw is None:
        module.to(accelerator().device)
    else:
        _configure(pack)
        module, _ = accelerator().prepare(module, replica.adamw)
        # Shards take the place of the parameters, in the optimiser too.
        replica.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return Shared(module, [replica], accelerator().device, fresh=fresh)


def _checked(pack: Pack) -> Single:
    if len(pack.replicas) > 1:
        raise InputError(f"{len(pack.replicas)} trials cannot share several processes; these train one after the other")
    if type(pack) is not Single:
        raise InputError(
            "this method draws its batches or makes its steps in a way of its own, which one process must do alone; "
            "start it without a launcher"
        )
    (replica,) = pack.replicas
    if replica.train.base_dropout:
        raise InputError(
            "train.base_dropout draws noise that several processes would draw otherwise than one; set it to 0, or "
            "start the run without a launcher"
        )
    if replica.train.compile:
        raise InputError("train.compile has not been shown to work in several processes; leave it out")
    for name, module in pack.module.named_modules():
        own = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        if own and isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"{name} normalises over a batch, and several processes see a share of it each; start the run without "
                "a launcher"
            )
        if accelerator().is_fsdp2 and any(parameter._backward_hooks for parameter in own):
            raise InputError(
                "a pruned weight keeps its zeros by a hook that is lost when it is sharded; launch with --multi_gpu"
            )
    return pack


def _configure(pack: Single) -> None:
    """What accelerate must know of a model before it spreads it."""
    state: Any = accelerator().state
    if accelerator().is_fsdp2:
        # A shard for each repeated layer. What transformers says must not be split holds embeddings too, which
        # accelerate shards on their own.
        model = next(child for child in pack.module.modules() if isinstance(child, PreTrainedModel))
        state.fsdp_plugin.auto_wrap_policy = transformer_auto_wrap_policy
        state.fsdp_plugin.transformer_cls_names_to_wrap = sorted({type(one).__name__ for one in blocks(model).values()})
    else:
        waits: Any = accelerator().ddp_handler
        waits.find_unused_parameters = _some_are_unused(pack)


def _some_are_unused(pack: Single) -> bool:
    """Whether no loss depends on some of what shall learn, for whose gradients processes must not wait: the head of
    some bases does not read their pooler."""
    (replica,) = pack.replicas
    pack.module.eval()
    pack.sum_of_losses(np.array([0])).backward()
    unused = any(parameter.grad is None for parameter in replica.parameters)
    pack.module.zero_grad(set_to_none=True)
    return unused


def _sharded(module: nn.Module) -> bool:
    return isinstance(module, FSDPModule)


def _share(count: int) -> tuple[slice, bool]:
    """This process' share of some rows, and whether it counts.

    A share is every so many of the rows, so that those of what is sorted by length are alike. Where there are fewer
    rows than processes, one without any computes the first and counts nothing: the others wait for its gradients.
    """
    rank, processes = accelerator().process_index, accelerator().num_processes
    return (slice(rank, None, processes), True) if rank < count else (slice(1), False)
