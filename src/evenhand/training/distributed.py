"""Trains one pack on several processes through accelerate: data parallel, or sharded by FSDP2.

The results are those of a single process. Every process takes its share of each batch, padded like the whole batch.
Gradients add up to those of the mean over the step's examples, however these are distributed. A dropout draws the mask
of the whole batch and uses the rows of its share. Losses and predictions are gathered in every process, so that all
take the same decisions.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

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
from evenhand.training.batches import Inputs, longest_first_batches
from evenhand.training.dropout import SeededDropout
from evenhand.training.language import LanguagePack
from evenhand.training.launch import this_process
from evenhand.training.pack import PREDICT_BATCH, MicroBatch, Pack, Replica, Single, train_mode

PATIENCE = timedelta(hours=12)
"""How long a process waits for the main process, which reads data and audits. If one dies, the launcher ends all."""


@cache
def accelerator() -> Accelerator:
    """Return the Accelerator of this launch: this process's device, and how a model is distributed over the processes.

    The study decides precision and accumulation, whatever accelerate's configuration says.

    Raises:
        InputError: the launch is configured for a backend whose results have not been compared with a single process's.
    """
    for backend in ("DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{backend}", "false").lower() == "true":
            raise _unsupported(backend)
    configured = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision="no",
        kwargs_handlers=[DistributedDataParallelKwargs(), InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    # Otherwise transformers would leave the weights of the other processes empty, also of a model that is not sharded.
    os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    supported = (DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
    if configured.distributed_type not in supported and not configured.is_fsdp2:
        raise _unsupported(configured.distributed_type.value)
    return configured


@cache
def shards_weights() -> bool:
    """Return whether the processes of this launch share the weights of a model (FSDP2), as it was when first asked.

    Preparing an optimiser may reset what accelerate's state says: `AcceleratorState()` copies that of `PartialState`.
    """
    return accelerator().is_fsdp2


def _unsupported(backend: str) -> InputError:
    """Return the error for an accelerate configuration that has not been checked."""
    return InputError(
        f"accelerate was configured for {backend}, which has not been tested with Evenhand; launch with --multi_gpu, "
        "or shard with --use_fsdp --fsdp_version 2"
    )


def broadcast(message: Any) -> None:
    """Send a message from the main process to the others, which call `receive_broadcast`."""
    distributed.broadcast_object_list([message], src=0, group=_channel())


def receive_broadcast() -> Any:
    """Wait for the next message of the main process and return it."""
    received = [None]
    distributed.broadcast_object_list(received, src=0, group=_channel())
    return received[0]


def gather(part: Any) -> list[Any]:
    """Return the part of every process, in the order of their ranks. Every process must call this."""
    parts = [None] * accelerator().num_processes
    distributed.all_gather_object(parts, part, group=_channel())
    return parts


@cache
def _channel() -> Any:
    """Return the CPU process group for messages, which may be larger than the memory of a GPU."""
    # On the CPU, because a message contains all examples, which may be too large for a GPU.
    accelerator()
    return distributed.new_group(backend="gloo", timeout=PATIENCE)


@dataclass(eq=False)
class DistributedPack(Single):
    """A pack of one replica whose batches and predictions are distributed over the processes of a launch.

    Attributes:
        make_model: makes the untrained model again.
    """

    make_model: Callable[[], nn.Module] = field(kw_only=True)

    def accumulation_context(self, last: bool) -> Any:
        """Synchronize gradients between processes only in the last micro-batch of a step."""
        return super().accumulation_context(last) if last else accelerator().no_sync(self.module)

    def losses(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Return this process's share of the step's mean loss, [1]."""
        (rows,), (size,), (replica,) = micro_batch.rows, micro_batch.sizes, self.replicas
        rows_here, counts = _own_rows(len(rows))
        for module in self.module.modules():
            if isinstance(module, SeededDropout):
                module.among = len(rows), rows_here
        lengths = replica.inputs.lengths
        longest = 0 if lengths is None else int(lengths[rows].max())
        return self.sum_of_losses(rows[rows_here], longest).reshape(1) * (counts / size)

    def backward(self, losses: torch.Tensor) -> None:
        """Add the gradients of a micro-batch, scaled up because accelerate averages them over the processes."""
        (losses.sum() * accelerator().num_processes).backward()

    def total_losses(self, losses: torch.Tensor) -> torch.Tensor:
        """Return the loss over the examples of all processes, [1]."""
        distributed.all_reduce(losses)
        return losses

    def clip(self, replica: Replica) -> torch.Tensor:
        """Clip the gradients and return their norm, over all shards if the model is sharded."""
        norm: Any = optimizer.clip_gradients(replica.parameters, replica.train.clip_norm)
        return norm.full_tensor() if _is_sharded(self.module) else norm

    def predict(self, replica: int, inputs: Inputs) -> np.ndarray:
        """Return logits, float32 [n, C], in the order of the inputs and equal in every process."""
        return self.values_of_all(inputs, lambda rows: self.module(**inputs.batch(rows, self.device)).logits)

    # Tensors computed in inference mode cannot be gathered into shards that are trained afterwards.
    @torch.no_grad()
    def values_of_all(self, inputs: Inputs, values_of: Callable[[np.ndarray], torch.Tensor]) -> np.ndarray:
        """Return values of all examples in evaluation mode, float32 [n, ...], in their order, equal in every process.

        Args:
            inputs: [n] examples, which are shared out.
            values_of: computes the values of some rows with the model, [len(rows), ...].
        """
        training = self.module.training
        self.module.eval()
        all_values = None
        for rows in longest_first_batches(len(inputs), inputs.lengths, PREDICT_BATCH * accelerator().num_processes):
            rows_here, counts = _own_rows(len(rows))
            values = values_of(rows[rows_here]).float()
            if all_values is None:
                all_values = values.new_zeros(len(inputs), *values.shape[1:])
            if counts:
                all_values[torch.from_numpy(rows[rows_here]).to(self.device)] = values
        assert all_values is not None
        distributed.all_reduce(all_values)
        if training:
            train_mode(self.module)
        return all_values.cpu().numpy()

    def full_model(self, replica: int) -> nn.Module:
        """Return the model as its method made it, with its trained weights. Every process must call this.

        The main process gets the gathered shards; the others return their shards.
        """
        if not _is_sharded(self.module):
            return accelerator().unwrap_model(self.module).eval()
        main = this_process().main
        model = self.make_model() if main else self.module
        parameters = model.state_dict()
        with torch.no_grad():
            for name, tensor in self.module.state_dict().items():
                gathered = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
                if main:
                    parameters[name].copy_(gathered)
        return model.eval()


Distributed = TypeVar("Distributed", bound=DistributedPack)


def distribute(
    pack: Pack, make_model: Callable[[], nn.Module], kind: type[Distributed] = DistributedPack
) -> Distributed:
    """Distribute a pack of one replica over the processes of this launch.

    Args:
        pack: not trained yet, the same in every process.
        make_model: makes the untrained model again.
        kind: the pack to return.

    Raises:
        InputError: several processes would not give the results of one, with the reason.
    """
    pack = _check_can_distribute(pack)
    accelerator().free_memory()  # it would keep the model of every trial
    (replica,) = pack.replicas
    module = pack.module
    if replica.adamw is None:
        module.to(accelerator().device)
    else:
        _configure_accelerate(pack)
        module, _ = accelerator().prepare(module, replica.adamw)
        # Shards take the place of the parameters, in the optimiser too.
        replica.parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return kind(module, [replica], accelerator().device, make_model=make_model)


def _check_can_distribute(pack: Pack) -> Single:
    """Return the pack if several processes train it like a single process; raise InputError otherwise."""
    if len(pack.replicas) > 1:
        raise InputError(f"{len(pack.replicas)} trials cannot share several processes; these train one after the other")
    if type(pack) not in (Single, LanguagePack):
        raise InputError(
            "this method draws its own batches or takes its own steps, which a single process must do; start it "
            "without a launcher"
        )
    (replica,) = pack.replicas
    if replica.train.base_dropout:
        raise InputError(
            "train.base_dropout would draw different masks in several processes than in one; set it to 0, or start the "
            "run without a launcher"
        )
    if replica.train.compile:
        raise InputError(
            "train.compile is not supported with several processes; leave it out, or start the run without a launcher"
        )
    assert isinstance(pack, Single)
    for name, module in pack.module.named_modules():
        parameters = [parameter for parameter in module.parameters(recurse=False) if parameter.requires_grad]
        if parameters and isinstance(module, nn.modules.batchnorm._BatchNorm):
            raise InputError(
                f"{name} normalises over a batch, and each of several processes sees only a share of it; start the run "
                "without a launcher"
            )
        if shards_weights() and any(parameter._backward_hooks for parameter in parameters):
            raise InputError(
                "a pruned weight keeps its zeros by a hook that is lost when it is sharded; launch with --multi_gpu"
            )
    return pack


def _configure_accelerate(pack: Single) -> None:
    """Configure how accelerate shards the model, or whether it must expect parameters without gradients."""
    state: Any = accelerator().state
    if shards_weights():
        state.distributed_type = DistributedType.FSDP
        # A shard for each repeated layer. Transformers' list of parts that must not be split includes embeddings, which
        # accelerate shards by themselves.
        model = next(child for child in pack.module.modules() if isinstance(child, PreTrainedModel))
        state.fsdp_plugin.auto_wrap_policy = transformer_auto_wrap_policy
        state.fsdp_plugin.transformer_cls_names_to_wrap = sorted(
            {type(block).__name__ for block in blocks(model).values()}
        )
    else:
        ddp_handler: Any = accelerator().ddp_handler
        ddp_handler.find_unused_parameters = _has_unused_parameters(pack)


def _has_unused_parameters(pack: Single) -> bool:
    """Return whether the loss ignores some trained parameter, as when a base's head does not read its pooler."""
    (replica,) = pack.replicas
    pack.module.eval()
    pack.sum_of_losses(np.array([0])).backward()
    unused = any(parameter.grad is None for parameter in replica.parameters)
    pack.module.zero_grad(set_to_none=True)
    return unused


def _is_sharded(module: nn.Module) -> bool:
    """Return whether FSDP2 has sharded the module."""
    return isinstance(module, FSDPModule)


def _own_rows(count: int) -> tuple[slice, bool]:
    """Return this process's rows of a batch of `count`, and whether they count.

    Each of n processes takes every n-th row, so that shares of rows sorted by length are alike. With fewer rows than
    processes, a process without rows computes the first row without counting it, because the others wait for its
    gradients.
    """
    rank, processes = accelerator().process_index, accelerator().num_processes
    return (slice(rank, None, processes), True) if rank < count else (slice(1), False)
