"""Pointwise bands of rates over thresholds hold the truth at each threshold.

A run's probability is Φ(z), z = ±1 by label + effects of example and run + noise, all normal, so that every rate at a
threshold t is a normal tail at Φ⁻¹(t); that of the predictive value is averaged over the effect of the run. `python
tests/coverage/test_threshold_bands.py 1000` prints the table in docs/statistics-derivations.md.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import norm

import bounds
from evenhand.stats import sweep

THRESHOLDS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
SIDE, OF_RUNS = 0.045, 0.085
"""How often a side may be missed; nominal is .025. Of runs that differ much it is more, where a rate nears 0 or 1."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class Scores:
    """Scores with known rates.

    Attributes:
        n: examples of a group that some run tests.
        runs: J.
        share: of them that each run tests.
        example, run, noise: variances.
        size: examples per unit, which share the example's effect.
    """

    n: int = 200
    runs: int = 5
    share: float = 1.0
    example: float = 0.6
    run: float = 0.05
    noise: float = 0.35
    size: int = 1

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Probabilities [J, n], labels, and units."""
        label, unit = rng.integers(0, 2, self.n), np.arange(self.n) // self.size
        effect = np.sqrt(self.example) * rng.normal(size=unit[-1] + 1)[unit]
        z = (2 * label - 1) + effect + np.sqrt(self.run) * rng.normal(size=(self.runs, 1))
        z = z + np.sqrt(self.noise) * rng.normal(size=(self.runs, self.n))
        z[rng.random(z.shape) >= self.share] = np.nan
        return norm.cdf(z), label, unit if self.size > 1 else None

    def truth(self) -> dict[str, np.ndarray]:
        """Each rate at each threshold: the mean over the effects of runs."""
        at, within = norm.ppf(THRESHOLDS), np.sqrt(self.example + self.noise)
        shift = np.sqrt(self.run) * _NODES[:, None]
        found, missed = (norm.sf((at - mean - shift) / within) for mean in (1, -1))
        of_run = {
            "selection_rate": (found + missed) / 2,
            "true_positive_rate": found,
            "false_positive_rate": missed,
            "positive_predictive_value": found / (found + missed),
            "accuracy": (found + 1 - missed) / 2,
        }
        return {rate: _WEIGHTS @ values for rate, values in of_run.items()}


def missed(world: Scores, repetitions: int) -> dict[str, np.ndarray]:
    """By rate, how often the band lies above and below the truth at each threshold, float [2, T], where it is known."""
    truth = world.truth()
    counts = {rate: np.zeros((3, len(THRESHOLDS))) for rate in truth}
    for repetition in range(repetitions):
        probability, label, unit = world.draw(np.random.default_rng([11, repetition]))
        found = sweep(probability, label, THRESHOLDS, unit=unit)
        for rate, own in found.items():
            known = ~np.isnan(own.low)
            counts[rate] += [own.low > truth[rate], own.high < truth[rate], known]
    return {rate: above_below[:2] / np.maximum(above_below[2], 1) for rate, above_below in counts.items()}


WORLDS = {
    "one run": Scores(runs=1, run=0.0, noise=0.4),
    "one run, 40 examples": Scores(n=40, runs=1, run=0.0, noise=0.4),
    "3 runs": Scores(runs=3),
    "5 runs": Scores(),
    "10 runs": Scores(runs=10),
    "5 runs, 40 examples": Scores(n=40),
    "5 runs that differ much": Scores(run=0.3, noise=0.1),
    "5 runs, a new split each": Scores(n=600, share=1 / 3),
    "5 runs, units of four": Scores(n=400, size=4),
}


def held(found: dict[str, np.ndarray], most: float) -> list[str]:
    """The rates and thresholds at which a side is missed more often than `most`."""
    return [
        f"{rate} at {threshold}: {share:.3f}"
        for rate, shares in found.items()
        for side in shares
        for threshold, share in zip(THRESHOLDS, side, strict=True)
        if share > most
    ]


def test_a_band_holds_each_point():
    assert held(missed(WORLDS["5 runs"], 100), bounds.most(SIDE, 100, 0.001)) == []


@pytest.mark.simulate
@pytest.mark.parametrize("name", WORLDS)
def test_bands_hold_each_point(name, repetitions):
    n = repetitions(1000)
    most = OF_RUNS if name == "5 runs that differ much" else SIDE
    assert held(missed(WORLDS[name], n), bounds.most(most, n, 0.001)) == []


if __name__ == "__main__":
    asked = int(sys.argv[1])
    for name, world in WORLDS.items():
        for rate, shares in missed(world, asked).items():
            print(f"{name:30} {rate:28} above {shares[0].round(3)} below {shares[1].round(3)}", flush=True)
