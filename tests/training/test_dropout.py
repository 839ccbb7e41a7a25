"""A mask depends on its own seed alone."""

from __future__ import annotations

import torch

from evenhand.training.dropout import SeededDropout


def test_masks_are_a_function_of_the_seed_whatever_else_is_drawn():
    one, other, x = SeededDropout(0.5, 7), SeededDropout(0.5, 7), torch.ones(10, 10)
    first = [one(x), one(x)]
    torch.rand(100)
    second = [other(x)]
    torch.rand(3)
    second.append(other(x))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], SeededDropout(0.5, 8)(x))


def test_the_share_is_zeroed_and_the_mean_kept():
    dropped = SeededDropout(0.2, 0)(torch.ones(1000, 1000))
    assert abs((dropped == 0).float().mean().item() - 0.2) < 0.003
    assert abs(dropped.mean().item() - 1) < 0.003


def test_nothing_is_dropped_in_evaluation():
    x = torch.randn(4, 4)
    assert torch.equal(SeededDropout(0.9, 0).eval()(x), x)


def test_the_gradient_passes_where_the_value_passed():
    x = torch.ones(50, 50, requires_grad=True)
    out = SeededDropout(0.5, 0)(x)
    out.sum().backward()
    assert torch.equal(x.grad, out.detach())
