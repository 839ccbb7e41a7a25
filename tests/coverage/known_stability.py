"""Predictions whose agreement is known exactly: two classes by a probit model with effects of examples and of runs.

A run predicts 1 where a + √s·(effect of the run) + √r·noise > 0; a is the example's, normal with the mean and standard
deviation of its group. Given a, two runs of a method are independent: they agree with probability p² + (1 − p)² with
p = Φ(a/√(s + r)). A method and its reference share the effects of examples and of runs, and to some part the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.evaluation import Evaluation, Groups, Population, Run
from random_effects import METHODS, names_of

_EFFECTS = np.linspace(-8, 8, 8001)
_DENSITY = norm.pdf(_EFFECTS) / norm.pdf(_EFFECTS).sum()
"""Effects of examples in standard deviations: a grid, since runs that hardly differ disagree about a narrow strip."""
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(40)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True)
class KnownStability:
    """Two methods whose runs agree, within each and with each other, as often as is known.

    Attributes:
        sizes: tested examples of each group, which do not overlap.
        means, spread: of the examples' effects, by group, and their standard deviation; a large mean is a group whose
            examples are clear, so that runs agree.
        noise: by method, the variance of the noise.
        run: by method, the variance of the effect of a run; the effects of one seed go together.
        common: the part of the noise that a method shares with its reference at the same seed.
        runs, vary: as in `random_effects.World`; of a new split a share `share` of the examples is tested.
        size: examples per unit, which share the example's effect.
    """

    sizes: tuple[int, ...] = (60, 140)
    means: tuple[float, ...] = (0.0, 0.5)
    spread: float = 1.0
    noise: tuple[float, float] = (0.3, 0.3)
    run: tuple[float, float] = (0.02, 0.02)
    common: float = 0.5
    runs: int = 5
    vary: bool = False
    share: float = 1 / 3
    size: int = 1

    @property
    def design(self) -> Design:
        setting = SettingDesign(references=("reference",), methods=METHODS, vary=self.vary)
        return Design(settings={"s": setting}, measures=("self_consistency", "prediction_flip_rate"))

    def draw(self, rng: np.random.Generator) -> Evaluation:
        """One repetition."""
        tested = sum(self.sizes)
        times = round(1 / self.share) if self.vary else 1
        n = tested * times
        group = np.tile(np.repeat(np.arange(len(self.sizes)), self.sizes), times)
        unit = np.arange(n) // self.size
        effect = np.array(self.means)[group] + self.spread * rng.normal(size=unit[-1] + 1)[unit]
        runs: dict[tuple[str, int], Run] = {}
        for seed in range(self.runs):
            rows = np.sort(rng.choice(n, tested, replace=False)) if self.vary else np.arange(n)
            of_run, common = rng.normal(), rng.normal(size=len(rows))
            for method, noise, run in zip(METHODS, self.noise, self.run, strict=True):
                own = np.sqrt(self.common) * common + np.sqrt(1 - self.common) * rng.normal(size=len(rows))
                score = effect[rows] + np.sqrt(run) * of_run + np.sqrt(noise) * own
                runs[method, seed] = Run(rows, (score > 0).astype(int), None)
        names = tuple("abcdefg"[: len(self.sizes)])
        masks = group[:, None] == np.arange(len(names))
        groups = (Groups("who", names, masks, np.ones(n, dtype=bool)),)
        population = Population(rng.integers(0, 2, n), np.ones(n), unit, groups, names_of(unit[-1] + 1))
        setting = self.design.settings["s"]
        return Evaluation("s", "test", setting, population, METHODS, ("no", "yes"), runs, {}, np.ones(n, dtype=bool))

    def consistency(self, method: str, group: int | None = None) -> float:
        """The probability that two runs of a method agree on an example of a group, or of everyone."""
        place = METHODS.index(method)
        scale = np.sqrt(self.run[place] + self.noise[place])

        def agree(effect: np.ndarray) -> np.ndarray:
            p = norm.cdf(effect / scale)
            return p**2 + (1 - p) ** 2

        return self._mean(agree, group)

    def flips(self, group: int | None = None) -> float:
        """The probability that a run of the method and that of the reference at its seed differ on an example."""
        together = np.sqrt(self.run[0] * self.run[1]) + self.common * np.sqrt(self.noise[0] * self.noise[1])

        def differ(effect: np.ndarray) -> np.ndarray:
            shared = effect[:, None] + np.sqrt(together) * _NODES
            left = [np.sqrt(run + noise - together + 1e-12) for run, noise in zip(self.run, self.noise, strict=True)]
            first, second = (norm.cdf(shared / scale) for scale in left)
            return (first * (1 - second) + second * (1 - first)) @ _WEIGHTS

        return self._mean(differ, group)

    def _mean(self, of_effect, group: int | None) -> float:
        """The mean over the effects of examples of a group, or of everyone."""
        by_group = [float(of_effect(mean + self.spread * _EFFECTS) @ _DENSITY) for mean in self.means]
        return by_group[group] if group is not None else float(np.average(by_group, weights=self.sizes))
