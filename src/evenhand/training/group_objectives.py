"""Computes the training objectives that count groups of examples otherwise than by their size (`loss:` of a method).

An objective takes the place of the sum of a step's losses ℓ, which the pack divides by the number m of the step's
examples. The batches are those of every other method: groups are weighted, not drawn more often.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from evenhand.data.dataset import Attribute, TrainingExamples
from evenhand.errors import InputError
from evenhand.methods.group_loss import GroupLoss


class GroupObjective(Protocol):
    """An objective of one trial, which may change from step to step."""

    def total(self, losses: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Return what takes the place of the sum of some examples' losses, a scalar.

        Args:
            losses: [m] of the examples.
            rows: [m] their positions among the training examples.
        """
        ...


@dataclass(frozen=True, eq=False)
class ReweightedLoss:
    """The weighted sum Σ wᵢ ℓᵢ, with weights whose mean over the training examples is 1.

    Attributes:
        weights: float64 [n], of the training examples.
    """

    weights: np.ndarray

    def total(self, losses: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Return the weighted sum of the losses; see `GroupObjective`."""
        return (losses * torch.from_numpy(self.weights[rows]).to(losses)).sum()


@dataclass(eq=False)
class GroupDROLoss:
    """Group DRO (Sagawa et al. 2020, arXiv:1911.08731, algorithm 1): m · Σ_g q_g · L_g over the groups of a step.

    L_g is the mean loss of the step's examples in group g, 0 without any. Before each step q_g grows by the factor
    exp(η · L_g), and q is divided by its sum; it begins uniform. All examples of a step must come at once.

    Attributes:
        masks: bool [n, G], the groups of the training examples.
        step_size: η.
        log_weights: log q, [G]; None before the first step.
    """

    masks: np.ndarray
    step_size: float
    log_weights: torch.Tensor | None = None

    def total(self, losses: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
        """Update the group weights and return m times the weighted sum of the groups' mean losses."""
        members = torch.from_numpy(self.masks[rows]).to(losses)
        # Not a matrix product, which bfloat16 training would round.
        group_losses = (losses[:, None] * members).sum(0) / members.sum(0).clamp(min=1)
        before = torch.zeros_like(group_losses) if self.log_weights is None else self.log_weights
        self.log_weights = torch.log_softmax(before + self.step_size * group_losses.detach(), dim=0)
        return len(rows) * (self.log_weights.exp() * group_losses).sum()


def group_objective(loss: GroupLoss | None, examples: TrainingExamples) -> GroupObjective | None:
    """Return the objective of a trial; None: the sum of the losses.

    Raises:
        InputError: see `loss_groups` and `example_weights`.
    """
    if loss is None:
        return None
    if loss.kind == "group_dro":
        assert loss.step_size is not None
        return GroupDROLoss(loss_groups(loss, examples), loss.step_size)
    return ReweightedLoss(example_weights(loss, examples))


def loss_groups(loss: GroupLoss, examples: TrainingExamples) -> np.ndarray:
    """Return the groups that a loss counts, bool [n, G], each with an example; examples in no group are the last one.

    Raises:
        InputError: the training examples lack the attribute.
    """
    masks = _with_no_group(_attribute(loss, examples))
    if loss.by_label:
        labels = np.unique(examples.labels)
        masks = np.concatenate([masks & (examples.labels == label)[:, None] for label in labels], axis=1)
    return masks[:, masks.any(axis=0)]


def example_weights(loss: GroupLoss, examples: TrainingExamples) -> np.ndarray:
    """Return the weights of a reweighted loss, float64 [n], whose mean is 1.

    With `inverse_frequency` an example has n / G times the sum of 1 / n_g over its groups g of G. With `reweighing` it
    has n_g · n_y / (n · n_gy).

    Raises:
        InputError: the training examples lack the attribute, or reweighing of groups that overlap.
    """
    masks = loss_groups(loss, examples)
    count, groups = masks.shape
    if loss.weights == "inverse_frequency":
        return masks @ (count / (groups * masks.sum(axis=0)))
    if (masks.sum(axis=1) > 1).any():
        raise InputError(
            f"the groups of {loss.attribute} overlap, so that reweighing by group and label is not defined; use "
            "weights: inverse_frequency"
        )
    group, label = masks.argmax(axis=1), np.unique(examples.labels, return_inverse=True)[1]
    both = np.zeros((groups, int(label.max()) + 1))
    np.add.at(both, (group, label), 1)
    return both.sum(1)[group] * both.sum(0)[label] / (count * both[group, label])


def _attribute(loss: GroupLoss, examples: TrainingExamples) -> Attribute:
    """Return the attribute of the training examples. Raises InputError: they lack it."""
    if loss.attribute not in examples.attributes:
        known = ", ".join(examples.attributes) or "none, or its data: options change the number of examples"
        raise InputError(f'the training examples have no attribute "{loss.attribute}"; they have: {known}')
    return examples.attributes[loss.attribute]


def _with_no_group(attribute: Attribute) -> np.ndarray:
    """Return the masks of an attribute with a last group for the examples that are in none."""
    return np.hstack([attribute.masks, ~attribute.masks.any(axis=1, keepdims=True)])
