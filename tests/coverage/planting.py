"""True harm in one group: how often it is found, and what the audit says of it beforehand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from counting import compared, reading_of
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.planted_harm import MEASURE
from evenhand.audit.verdict_rows import SettingContrast
from evenhand.audit.verdicts import Family, families
from evenhand.stats.power import Repeated
from random_effects import World

GROUPS = "abcd"


@dataclass(frozen=True)
class Planted:
    """Studies of a world in which the method does harm to one group.

    Attributes:
        harm: the accuracy that is lost in truth.
        found: share of the studies that say `worse` of the group, at the level of its family and without a margin.
        detectable: the mean of what these studies say is detectable.
    """

    harm: float
    found: float
    detectable: float


def planted(world: World, group: str, harm: float, repetitions: int, seed: int = 0) -> Planted:
    """Draw studies with this harm to the signal of a group."""
    harmed = replace(world, harm=tuple(harm if name == group else 0.0 for name in GROUPS))
    worse, estimates, detectable = [], [], []
    for repetition in range(repetitions):
        _, family, one = _family(harmed, group, np.random.default_rng([seed, repetition]))
        interval = one.contrast.interval
        if interval is None:
            continue
        worse.append(interval.bounds(family.level)[0] > 0)
        estimates.append(interval.estimate)
        detectable.append(Repeated.of(interval, family.level).smallest())
    return Planted(float(np.mean(estimates)), float(np.mean(worse)), float(np.mean(detectable)))


def foretold(world: World, group: str, harms: list[float], repetitions: int, seed: int = 1) -> np.ndarray:
    """What studies without any harm say that they would have found of these losses of accuracy, on average."""
    shares = []
    for repetition in range(repetitions):
        reading, family, one = _family(world, group, np.random.default_rng([seed, repetition]))
        if one.contrast.interval is not None:
            rows = reading.curves([replace(family, members=[one])])
            x, y = np.array([(row["x"], row["y"]) for row in rows if row["measure"] == MEASURE]).T
            shares.append(np.interp(harms, x, y))
    return np.mean(shares, axis=0)


def _family(world: World, group: str, rng: np.random.Generator) -> tuple[PredictionReading, Family, SettingContrast]:
    reading = reading_of(world, rng)
    judged = families(list(compared(reading, ("accuracy",))), world.design)
    (family,) = [family for family in judged if family.members[0].comparison.estimand.subset.level == "group"]
    (one,) = [one for one in family.members if one.comparison.estimand.subset.group == group]
    return reading, family, one
