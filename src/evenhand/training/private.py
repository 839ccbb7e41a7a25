"""DP-SGD (Abadi et al. 2016, arXiv:1607.00133) through opacus: private batches, clipped examples, noise, and their ε.

Two data sets are neighbours when one has an example that the other lacks. A step draws every example on its own with
probability q (a Poisson batch, which may be empty and is never sorted by length), clips the gradient of each to norm C,
adds Gaussian noise of standard deviation σC to their sum and divides by the size that a batch has on average. The ε is
that of the weights for somebody who does not know the seed; losses in the log are not noised, and the choice of
hyperparameters is not counted.
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
from evenhand.training.batches import Wrapped
from evenhand.training.dropout import SeededDropout
from evenhand.training.pack import Batch, Part, Replica, Single, train_mode

ORDERS = (*RDPAccountant.DEFAULT_ALPHAS, 64, 80, 96, 128, 192, 256, 384, 512, 1024)
"""Rényi orders of the accountant; opacus' own end at 63, which is too low for an ε below about .2."""

_ARANGE = ("albert", "bert", "distilbert", "electra", "gpt2")
"""Architectures that number positions from 0 and look them up for a batch of one, whose gradient is nobody's own."""


TOLERANCE = 1e-2
"""Of a gradient's norm: more than rounding, TF32 included, and less than any wrong gradient."""


@dataclass(frozen=True)
class Mechanism:
    """The Poisson-subsampled Gaussian mechanism, applied once a step.

    Attributes:
        noise_multiplier: σ, the noise's standard deviation as a multiple of `max_grad_norm`.
        max_grad_norm: C, to which the gradient of an example is clipped.
        sample_rate: q, the probability that an example is in a batch.
        delta: δ.
    """

    noise_multiplier: float
    max_grad_norm: float
    sample_rate: float
    delta: float

    def epsilon(self, steps: int) -> float:
        """ε after that many steps at δ: an upper bound, by opacus' RDP accountant; ∞ without noise."""
        if not steps:
            return 0.0
        if not self.noise_multiplier:
            return float("inf")
        accountant = RDPAccountant()
        accountant.history = [(self.noise_multiplier, self.sample_rate, steps)]
        with _accounting():
            return float(accountant.get_epsilon(self.delta, alphas=list(ORDERS)))


def calibrate(epsilon: float, delta: float, max_grad_norm: float, sample_rate: float, steps: int) -> Mechanism:
    """The mechanism with the least noise whose ε after `steps` is at most `epsilon`, and within a thousandth of it.

    Raises:
        InputError: an ε too small for the accountant to show, however much noise there is.
    """
    # What the accountant's orders leave of δ when the noise drowns everything.
    least = Mechanism(MAX_SIGMA, max_grad_norm, 1.0, delta).epsilon(1)
    if epsilon <= least:
        raise InputError(
            f"epsilon {epsilon:g} with delta {delta:g} cannot be shown for any noise; choose one above {least:.2g}, or "
            "a larger delta"
        )
    with _accounting():
        noise = get_noise_multiplier(
            target_epsilon=epsilon,
            target_delta=delta,
            sample_rate=sample_rate,
            steps=steps,
            accountant="rdp",
            epsilon_tolerance=epsilon / 1000,
            alphas=list(ORDERS),
        )
    return Mechanism(noise, max_grad_norm, sample_rate, delta)


def sample_rate(replica: Replica) -> float:
    """q: the examples of an optimiser step as a share of all, at most 1."""
    return min(1.0, replica.per_step / len(replica.labels))


@dataclass(frozen=True, eq=False)
class Positioned(Wrapped):
    """Texts with the position of every token, [B, T], so that each example looks up its own."""

    def batch(self, rows: np.ndarray, device: torch.device, length: int = 0) -> dict[str, torch.Tensor]:
        """The arguments of the model's forward, `position_ids` among them: from 0, as without them."""
        found = self.inputs.batch(rows, device, length)
        count, longest = found["input_ids"].shape
        return found | {"position_ids": torch.arange(longest, device=device).expand(count, longest)}


@dataclass(eq=False)
class PrivatePack(Single):
    """A pack of one that is trained by DP-SGD.

    Attributes:
        mechanism: what a step adds.
        optimizer: opacus' optimiser around the replica's AdamW.
        hooks: what gives every parameter its gradient per example; taken off after the last step.
    """

    mechanism: Mechanism = field(kw_only=True)
    optimizer: DPOptimizer = field(kw_only=True)
    hooks: GradSampleHooks = field(kw_only=True)
    _proved: bool = field(default=False, init=False)

    def batches(self, epoch: int) -> Iterator[Batch]:
        """As many steps as any method takes, each with its own draw of the examples, `batch_size` at a time."""
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
            yield Batch(tuple(Part((cut,), (len(rows),)) for cut in cuts), (len(rows),))

    def losses(self, part: Part) -> torch.Tensor:
        """[1] the part's share of the mean loss; its gradient is that of the sum, since examples are clipped alone."""
        if self._learning[0].grad_sample is not None:
            self._set_aside()
        share, (size,) = super().losses(part), part.sizes
        return share * size + (share - share * size).detach()

    def step(self, batch: Batch) -> torch.Tensor:
        """Clip, add noise, step and forget; an empty batch is a step of noise alone.

        The replica fails when, in the first step with examples, a LoRA's B gets no gradient or does not move.

        Returns:
            [1] norm of the noised mean gradient, which is what AdamW was given.
        """
        (replica,) = self.replicas
        if not batch.sizes[0]:
            for parameter in self._learning:
                parameter.grad_sample = parameter.new_zeros((0, *parameter.shape))
        for group in self.optimizer.param_groups:
            group["lr"] = replica.rate
        proves = not self._proved and batch.sizes[0] > 0 and replica.rate > 0
        watched = self._b_matrices() if proves else {}
        before = {name: parameter.detach().clone() for name, parameter in watched.items()}
        self.optimizer.step()
        for name, parameter in watched.items():
            if not parameter.summed_grad.any() or torch.equal(parameter, before[name]):
                replica.failed = f"the adapter does not learn: the first step had no part in {name}"
        self._proved |= proves
        norm = nn.utils.get_total_norm([parameter.grad for parameter in self._learning])
        self.optimizer.zero_grad(set_to_none=True)
        replica.taken += 1
        if replica.taken == replica.steps:
            self.hooks.cleanup()
        return norm.reshape(1)

    def epsilon(self, replica: int) -> float:
        return self.mechanism.epsilon(self.replicas[replica].taken)

    @property
    def _learning(self) -> list[Any]:
        """The parameters, with the attributes that opacus gives them."""
        return self.optimizer.params

    def _set_aside(self) -> None:
        """Clip and sum the examples of the part before, so that one part's gradients are in memory at a time."""
        self.optimizer.signal_skip_step()
        # The loop computes losses under autocast, which would sum in bfloat16.
        with torch.autocast(self.device.type, enabled=False):
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _b_matrices(self) -> dict[str, Any]:
        named = self.module.named_parameters()
        return {name: parameter for name, parameter in named if ".lora_B." in name and parameter.requires_grad}


def private(plain: Single, mechanism: Mechanism) -> PrivatePack:
    """The same trial, to be trained by DP-SGD: batches and noise are drawn under its seed, and its `clip_norm` has no
    part in it.

    Args:
        plain: a pack whose training has not begun.
        mechanism: noise, clipping and the rate of sampling.

    Raises:
        InputError: opacus cannot tell the gradients of this architecture's examples apart, with the reason.
    """
    (replica,) = plain.replicas
    classifier = next(child for child in plain.module.modules() if isinstance(child, PreTrainedModel))
    architecture = type(classifier).__name__
    adamw = replica.adamw
    assert adamw is not None
    if str(classifier.config.model_type) in _ARANGE:
        replica = replace(replica, inputs=Positioned(replica.inputs))
    # Token ids need no gradient, so PyTorch warns that the hooks of an embedding see those of its outputs only.
    warnings.filterwarnings("ignore", message="Full backward hook is firing", category=UserWarning)
    try:
        hooks = GradSampleHooks(plain.module, loss_reduction="sum")
        _check_examples(Single(plain.module, (replica,), plain.device), architecture)
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
    return PrivatePack(plain.module, (replica,), plain.device, mechanism=mechanism, optimizer=optimizer, hooks=hooks)


def _check_examples(pack: Single, architecture: str) -> None:
    """That the hooks give each of two examples a gradient of every parameter, and that the two add up to the batch's.

    Layers that stack heads, windows or positions of one for all in the batch's place are found out here.
    """
    (replica,) = pack.replicas
    rows = np.array([0, len(replica.labels) - 1])
    train_mode(pack.module)
    for child in pack.module.modules():
        if isinstance(child, nn.Dropout | SeededDropout):
            child.eval()
    with torch.random.fork_rng(devices=[pack.device] if pack.device.type == "cuda" else []):
        (pack.losses(Part((rows,), (len(rows),))) * len(rows)).sum().backward()
    learning: dict[str, Any] = {name: p for name, p in pack.module.named_parameters() if p.requires_grad}
    for name, parameter in learning.items():
        apart = parameter.grad_sample
        if apart is None or parameter.grad is None:
            raise InputError(f"{architecture} cannot be trained privately: {name} takes no part in its answers")
        if len(apart) != len(rows):
            raise InputError(
                f"{architecture} cannot be trained privately: the gradients of {name} are those of {len(apart)} rows, "
                f"not of {len(rows)} examples, so that opacus would clip something else than examples"
            )
        off = torch.linalg.vector_norm(apart.sum(0) - parameter.grad)
        if off > TOLERANCE * torch.linalg.vector_norm(parameter.grad) + 1e-6:
            raise InputError(
                f"{architecture} cannot be trained privately: opacus' gradients of {name} do not add up to the batch's"
            )
        parameter.grad = parameter.grad_sample = None


@contextmanager
def _accounting() -> Iterator[None]:
    """Without the accountant's advice to try more orders: with the best of ours at an end the bound still holds."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the", category=UserWarning)
        yield
