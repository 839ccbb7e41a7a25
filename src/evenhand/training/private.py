"""Trains by DP-SGD (Abadi et al. 2016, arXiv:1607.00133) through opacus, and accounts for the ε spent.

Two data sets are neighbours if one contains exactly one more example than the other. A step draws every example
independently with probability q (a Poisson batch, which may be empty and is never sorted by length), clips the
gradient of each to norm C, adds Gaussian noise of standard deviation σC to their sum, and divides by the expected size
of a batch. The ε holds for the weights, against an attacker who does not know the seed. Losses in the log have no
noise, and the choice of hyperparameters is not counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from opacus.accountants import RDPAccountant
from opacus.accountants.utils import MAX_SIGMA, get_noise_multiplier
from opacus.grad_sample import GradSampleHooks
from opacus.optimizers import DPOptimizer
from torch import nn
from transformers import PreTrainedModel

from evenhand.errors import InputError, first_line
from evenhand.seeds import derive, generator
from evenhand.training.batches import Inputs, WrappedInputs
from evenhand.training.dropout import SeededDropout
from evenhand.training.language import LanguagePack
from evenhand.training.pack import Batch, MicroBatch, Replica, Single, train_mode
from evenhand.training.prompted_texts import PromptedTexts

ORDERS = (*RDPAccountant.DEFAULT_ALPHAS, 64, 80, 96, 128, 192, 256, 384, 512, 1024)
"""Rényi orders of the accountant; opacus' own end at 63, which is too low for an ε below about .2."""

_ARANGE = ("albert", "bert", "distilbert", "electra", "gpt2")
"""Architectures that look up positions 0, 1, … once for the whole batch, so that no example has a gradient of its
own."""


TOLERANCE = 1e-2
"""Tolerance as a share of a gradient's norm: more than rounding (including TF32), less than any wrong gradient."""


@dataclass(frozen=True)
class GaussianMechanism:
    """The Poisson-subsampled Gaussian mechanism, applied once per step.

    Attributes:
        noise_multiplier: σ, the noise's standard deviation as a multiple of `max_grad_norm`.
        max_grad_norm: C, the norm to which the gradient of an example is clipped.
        sample_rate: q, the probability that an example is in a batch.
        delta: δ.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    delta: float

    def epsilon(self, steps: int) -> float:
        """Return an upper bound of ε after `steps` steps at δ, by opacus's RDP accountant; ∞ without noise."""
        if not steps:
            return 0.0
        if not self.noise_multiplier:
            return float("inf")
        accountant = RDPAccountant()
        accountant.history = [(self.noise_multiplier, self.sample_rate, steps)]
        with _quiet_accountant():
            return float(accountant.get_epsilon(self.delta, alphas=list(ORDERS)))


def calibrate_noise(
    epsilon: float, delta: float, max_grad_norm: float, sample_rate: float, steps: int
) -> GaussianMechanism:
    """Return the mechanism with the least noise that keeps ε at most `epsilon` after `steps`, within a thousandth.

    Raises:
        InputError: an ε too small for the accountant to guarantee with any noise.
    """
    # The ε that the accountant's orders give for this δ even with unlimited noise.
    least = GaussianMechanism(MAX_SIGMA, max_grad_norm, 1.0, delta).epsilon(1)
    if epsilon <= least:
        raise InputError(
            f"epsilon {epsilon:g} with delta {delta:g} cannot be guaranteed with any noise; choose one above "
            f"{least:.2g}, or a larger delta"
        )
    with _quiet_accountant():
        noise = get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=sample_rate,
            steps=steps,
            accountant="rdp",
            epsilon_tolerance=epsilon / 1000,
            alphas=list(ORDERS),
        )
    return GaussianMechanism(noise, max_grad_norm, sample_rate, delta)


def sample_rate(replica: Replica) -> float:
    """Return q: the examples of an optimizer step as a share of all, at most 1."""
    return min(1.0, replica.examples_per_step / len(replica.labels))


@dataclass(frozen=True, eq=False)
class PositionedTexts(WrappedInputs):
    """Texts with explicit position ids, [B, T], so that the position embedding has a gradient per example."""

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return the arguments of the model's forward, with `position_ids` that count from 0."""
        return _with_positions(self.inputs.batch(rows, device, length))


class PositionedPromptedTexts(PromptedTexts):
    """Prompted texts with explicit position ids; see `PositionedTexts`."""

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """Return the arguments of the model's forward, with `position_ids` that count from 0."""
        return _with_positions(super().batch(rows, device, length))


def _with_positions(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    count, longest = batch["input_ids"].shape
    return batch | {"position_ids": torch.arange(longest, device=batch["input_ids"].device).expand(count, longest)}


def _positioned(inputs: Inputs) -> Inputs:
    """Return texts with explicit position ids."""
    return PositionedPromptedTexts(**vars(inputs)) if isinstance(inputs, PromptedTexts) else PositionedTexts(inputs)


@dataclass(eq=False)
class PrivatePack(Single):
    """A pack of one replica that is trained by DP-SGD.

    Attributes:
        mechanism: the mechanism of each step.
        optimizer: opacus' optimiser around the replica's AdamW.
        hooks: compute every parameter's gradient per example; removed after the last step.
    """

    mechanism: GaussianMechanism = field(kw_only=True)
    optimizer: DPOptimizer = field(kw_only=True)
    hooks: GradSampleHooks = field(kw_only=True)
    _adapter_checked: bool = field(default=False, init=False)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """Yield as many steps as other methods take, each a Poisson sample of the examples, `batch_size` at a time."""
        (replica,) = self.replicas
        if epoch >= replica.epochs:
            return
        rng = generator(replica.seed, "order", epoch)
        size = replica.train.batch_size
        for _ in range(replica.steps // replica.epochs):
            if replica.failed is not None:
                return
            rows = np.flatnonzero(rng.random(len(replica.labels)) < self.mechanism.sample_rate)
            cuts = (rows[start : start + size] for start in range(0, len(rows), size))
            yield Batch(tuple(MicroBatch((cut,), (len(rows),)) for cut in cuts), (len(rows),))

    def losses(self, micro_batch: MicroBatch) -> torch.Tensor:
        """Return the micro-batch's share of the mean loss, [1]; its gradient is that of the sum over examples.

        Examples are clipped one by one, and for this opacus needs the gradient of the sum.
        """
        if self._parameters[0].grad_sample is not None:
            self._clip_and_sum()
        share, (size,) = super().losses(micro_batch), micro_batch.sizes
        return share * size + (share - share * size).detach()

    def step(self, batch: Batch) -> torch.Tensor:
        """Clip, add noise, step, and clear the gradients; the step of an empty batch is only noise.

        The replica fails if, in the first step with examples, a LoRA's B gets no gradient or does not change.

        Returns:
            [1] norm of the mean gradient with noise, as given to AdamW.
        """
        (replica,) = self.replicas
        if not batch.sizes[0]:
            for parameter in self._parameters:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        for group in self.optimizer.param_groups:
            group["lr"] = replica.rate
        proves = not self._adapter_checked and batch.sizes[0] > 0 and replica.rate > 0
        watched = self._b_matrices() if proves else {}
        before = {name: parameter.detach().clone() for name, parameter in watched.items()}
        self.optimizer.step()
        for name, parameter in watched.items():
            if not parameter.summed_grad.any() or torch.equal(parameter, before[name]):
                replica.failed = f"the adapter does not learn: the first step had no part in {name}"
        self._adapter_checked |= proves
        norm = nn.utils.get_total_norm([parameter.grad for parameter in self._parameters])
        self.optimizer.zero_grad(set_to_none=True)
        replica.steps_taken += 1
        if replica.steps_taken == replica.steps:
            self.hooks.cleanup()
        return norm.reshape(1)

    def epsilon(self, replica: int) -> float:
        """Return the ε spent by the steps so far."""
        return self.mechanism.epsilon(self.replicas[replica].steps_taken)

    @property
    def _parameters(self) -> list[Any]:
        """The trained parameters, with the attributes that opacus adds."""
        return self.optimizer.params

    def _clip_and_sum(self) -> None:
        """Clip and sum the gradients of the previous micro-batch, so that only one is in memory at a time."""
        self.optimizer.signal_skip_step()
        # The loop computes losses under autocast, which would sum in bfloat16.
        with torch.autocast(self.device.type, enabled=False):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _b_matrices(self) -> dict[str, Any]:
        """Return the trained B matrices of a LoRA by name."""
        named = self.module.named_parameters()
        return {name: parameter for name, parameter in named if ".lora_B." in name and parameter.requires_grad}


@dataclass(eq=False)
class PrivateLanguagePack(PrivatePack, LanguagePack):
    """A pack of one language model that is trained by DP-SGD; an example is a text with its target."""


def private_pack(plain: Single, mechanism: GaussianMechanism) -> PrivatePack:
    """Make a pack that trains the same trial by DP-SGD, with batches and noise drawn under its seed.

    Its `clip_norm` is not used.

    Args:
        plain: a pack whose training has not begun.
        mechanism: noise, clipping and the rate of sampling.

    Raises:
        InputError: opacus cannot tell the gradients of this architecture's examples apart, with the reason.
    """
    (replica,) = plain.replicas
    if isinstance(replica.inputs, PromptedTexts):
        # An example's gradient is that of its own mean loss, whatever the lengths of the others in a batch.
        replica = replace(replica, inputs=replace(replica.inputs, by_token=False))
    classifier = next(child for child in plain.module.modules() if isinstance(child, PreTrainedModel))
    architecture = type(classifier).__name__
    made, checked = (PrivateLanguagePack, LanguagePack) if classifier.can_generate() else (PrivatePack, Single)
    adamw = replica.adamw
    assert adamw is not None
    if str(classifier.config.model_type) in _ARANGE:
        replica = replace(replica, inputs=_positioned(replica.inputs))
    # Token ids need no gradient, so PyTorch warns that the hooks of an embedding see those of its outputs only.
    warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
    try:
        hooks = GradSampleHooks(plain.module, loss_reduction="sum")
        _check_example_gradients(checked(plain.module, (replica,), plain.device), architecture)
    except (AttributeError, TypeError, ValueError, RuntimeError) as error:
        if isinstance(error, InputError | torch.OutOfMemoryError):
            raise
        raise InputError(f"{architecture} cannot be trained privately: opacus says: {first_line(error)}") from None
    optimizer = DPOptimizer(
        adamw,
        noise_multiplier=mechanism.noise_multiplier,
        max_grad_norm=mechanism.max_grad_norm,
        expected_batch_size=mechanism.sample_rate * len(replica.labels),  # pyright: ignore[reportArgumentType]
        generator=torch.Generator(plain.device).manual_seed(derive(replica.seed, "noise")),
    )
    return made(plain.module, (replica,), plain.device, mechanism=mechanism, optimizer=optimizer, hooks=hooks)


def _check_example_gradients(pack: Single, architecture: str) -> None:
    """Check that opacus gives each of two examples its own gradient, and that these add up to the batch's.

    Layers that stack heads, windows or shared positions along the batch dimension are found here.
    """
    (replica,) = pack.replicas
    rows = np.array([0, len(replica.labels) - 1])
    train_mode(pack.module)
    for child in pack.module.modules():
        if isinstance(child, nn.Dropout | SeededDropout):
            child.eval()
    with torch.random.fork_rng(devices=[pack.device] if pack.device.type == "cuda" else []):
        (pack.losses(MicroBatch((rows,), (len(rows),))) * len(rows)).sum().backward()
    learning: dict[str, Any] = {name: p for name, p in pack.module.named_parameters() if p.requires_grad}
    for name, parameter in learning.items():
        apart = parameter.grad_sample
        if apart is None or parameter.grad is None:
            raise InputError(f"{architecture} cannot be trained privately: {name} does not affect its logits")
        if len(apart) != len(rows):
            raise InputError(
                f"{architecture} cannot be trained privately: the gradients of {name} are those of {len(apart)} rows, "
                f"not of {len(rows)} examples, so opacus would not clip per example"
            )
        off = torch.linalg.vector_norm(apart.sum(0) - parameter.grad)
        if off > TOLERANCE * torch.linalg.vector_norm(parameter.grad) + 1e-6:
            raise InputError(
                f"{architecture} cannot be trained privately: opacus' gradients of {name} do not add up to the batch's"
            )
        parameter.grad = parameter.grad_sample = None


@contextmanager
def _quiet_accountant() -> Iterator[None]:
    """Context manager that hides the accountant's advice to try more orders: the bound holds without."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the", category=UserWarning)
        yield
