"""Pools of models with a known leak: how often intervals of areas and low-end rates hold the truth.

An example is hard or easy, varies much or little between models, and is remembered or not; a model is more confident
than another on everything, and remembers more. The truth is the expectation at these sizes: the mean over all
repetitions. `python tests/coverage/pools.py` prints the table of docs/membership-derivations.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evenhand.metrics import attack_pool, attack_without_each_pair
from evenhand.stats.discrimination import PooledRoc, pooled_auc
from evenhand.stats.roc_point import pooled_tpr

Attack = tuple[str, str, str]

ATTACKS: dict[str, Attack] = {
    "loss": ("loss", "online", "pooled"),
    "difficulty calibration": ("difficulty", "online", "pooled"),
    "RMIA, offline": ("rmia", "offline", "pooled"),
    "LiRA, online": ("lira", "online", "pooled"),
}
ALPHA = 0.01


@dataclass(frozen=True)
class World:
    """A pool in which two methods train on the same halves of the examples.

    Attributes:
        models: N, of each method.
        group: examples in each of two groups.
        leak: how much training raises the confidence of an example that is remembered, on average.
        model_leak, model_shift: standard deviations over models, of the logarithm of what they remember, and of their
            confidence in everything.
        less: the leak of the second method over that of the first.
        second_group: the leak of the second group over that of the first.
    """

    models: int = 8
    group: int = 1000
    leak: float = 1.0
    model_leak: float = 0.25
    model_shift: float = 0.3
    less: float = 0.8
    second_group: float = 0.7


REGIMES: dict[str, dict[str, float]] = {
    "models alike": {"model_leak": 0.0, "model_shift": 0.0},
    "models differ": {},
    "large leak": {"leak": 2.5, "model_leak": 0.4},
}


@dataclass(frozen=True, eq=False)
class Pool:
    """φ of two methods [2, N, n], their membership, pairs, and who is in the second group."""

    phi: np.ndarray
    member: np.ndarray
    pairs: np.ndarray
    second: np.ndarray


def draw(world: World, rng: np.random.Generator) -> Pool:
    """One pool; halves are drawn within groups."""
    n, half = 2 * world.group, world.models // 2
    second = np.arange(n) >= world.group
    inside = np.hstack([rng.random((half, world.group)).argsort(axis=1) < world.group // 2 for _ in range(2)])
    member = np.concatenate([inside, ~inside])
    easy, spread = 2 * rng.normal(size=n), np.exp(0.4 * rng.normal(size=n))
    remembered = world.leak * rng.exponential(size=n) * (rng.random(n) < 0.7)
    remembered[second] *= world.second_group
    phi = []
    for factor in (1.0, world.less):
        shift = world.model_shift * rng.normal(size=(world.models, 1))
        own = np.exp(world.model_leak * rng.normal(size=(world.models, 1)))
        noise = spread * rng.normal(size=(world.models, n))
        phi.append(easy + shift + noise + factor * own * remembered * member)
    pairs = np.concatenate([np.arange(half, world.models), np.arange(half)])
    return Pool(np.array(phi), member, pairs, second)


def statistics(pool: Pool, attack: Attack) -> Iterator[tuple[str, float, float, float]]:
    """Name, estimate and bounds of the first group's area and rate, of two methods' and of two groups' difference.

    Areas are jackknifed over pairs; "plain area" is not.
    """
    scores = [attack_pool(phi, pool.member, pool.pairs, *attack) for phi in pool.phi]
    areas = _of_each(scores, pool.member, pool.second, pooled_auc)
    without = [
        [one.estimate for one in _of_each(found, pool.member[kept], pool.second, pooled_auc)]
        for kept, found in _together(pool, attack)
    ]
    jackknifed = [one.jackknifed(left, pool.pairs) for one, left in zip(areas, np.array(without).T, strict=True)]
    rates = _of_each(scores, pool.member, pool.second, lambda s, m, where: pooled_tpr(s, m, ALPHA, where))
    for name, (first, other, group) in (("area", jackknifed), ("plain area", areas), ("rate", rates)):
        yield name, first.estimate, *first.interval()
        for what, difference in (("methods", first.minus(other)), ("groups", first.minus(group))):
            yield f"{name}, {what}", difference.estimate, *difference.interval()


def _of_each(scores, member, second, statistic) -> list[PooledRoc]:
    """First group of the first method, the same of the second method, and the second group of the first method."""
    return [
        statistic(scores[0], member, ~second),
        statistic(scores[1], member, ~second),
        statistic(scores[0], member, second),
    ]


def _together(pool: Pool, attack: Attack) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
    """Both methods' scores without each pair."""
    both = [attack_without_each_pair(phi, pool.member, pool.pairs, *attack) for phi in pool.phi]
    for (kept, first), (_, second) in zip(*both, strict=True):
        yield kept, [first, second]


def coverage(world: World, attack: Attack, repetitions: int, seed: int = 0) -> dict[str, float]:
    """The share of repetitions whose 95% interval holds the mean of all."""
    found: dict[str, list[tuple[float, float, float]]] = {}
    for repetition in range(repetitions):
        for name, value, low, high in statistics(draw(world, np.random.default_rng([seed, repetition])), attack):
            found.setdefault(name, []).append((value, low, high))
    held = {}
    for name, rows in found.items():
        value, low, high = np.array(rows).T
        held[name] = float(((low <= value.mean()) & (high >= value.mean())).mean())
    return held


def main() -> None:
    """Print the table."""
    for models, repetitions in ((8, 300), (16, 120)):
        for regime, options in REGIMES.items():
            for name, attack in ATTACKS.items():
                found = coverage(World(models=models, **options), attack, repetitions)
                cells = [
                    f"{found[what]:.3f} ({found[f'plain {what}']:.3f})" if "area" in what else f"{found[what]:.3f}"
                    for what in found
                    if not what.startswith("plain")
                ]
                print(f"| {models} | {regime} | {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
