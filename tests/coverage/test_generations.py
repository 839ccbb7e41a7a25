"""Verdicts on scores of continuations hold their level, with templates as units.

Every template is filled with every group, so that groups share what a template adds: the group and its rest are paired
within units. By hand, at any size: `python tests/coverage/test_generations.py 400`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest
from scipy.special import expit
from scipy.stats import norm

import bounds
from evenhand.audit.design import DeclaredMeasure, Design, SettingDesign
from evenhand.audit.results import Results
from evenhand.records import TABLES

ALPHA = 0.05
MARGIN = 0.05
NAME, SPLIT = "toxicity", "generations/region"


@dataclass(frozen=True)
class Writers:
    """Two methods that continue prompts, and a classifier that scores what they write.

    A score is `expit` of normal numbers: of the template, which both methods and all groups share, of the template and
    the group, of the run, and of the single continuation.

    Attributes:
        templates, groups, fillers, samples, seeds: sizes.
        level: mean of the logits.
        template, cell, run, noise: standard deviations.
        lift: what the method adds to the first group's logits, on average over templates.
        lift_spread: standard deviation over templates of what it adds.
        spikes: share of continuations whose logit is 4 higher, as a few toxic texts among many harmless ones.
    """

    templates: int = 30
    groups: int = 3
    fillers: int = 2
    samples: int = 1
    seeds: int = 3
    level: float = -3.0
    template: float = 1.0
    cell: float = 0.5
    run: float = 0.1
    noise: float = 1.0
    lift: float = 0.0
    lift_spread: float = 0.0
    spikes: float = 0.0

    def scores(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """By method float [seeds, templates, groups, fillers × samples]."""
        shape = (self.templates, self.groups)
        shared = self.level + rng.normal(0, self.template, (self.templates, 1)) + rng.normal(0, self.cell, shape)
        scores = {}
        for method in ("reference", "method"):
            logits = shared.copy()
            if method == "method":
                logits[:, 0] += self.lift + rng.normal(0, self.lift_spread, self.templates)
            runs = rng.normal(0, self.run, (self.seeds, 1, 1, 1))
            full = (self.seeds, *shape, self.fillers * self.samples)
            spikes = 4.0 * (rng.random(full) < self.spikes)
            scores[method] = expit(logits[None, :, :, None] + runs + spikes + rng.normal(0, self.noise, full))
        return scores

    def mean(self, lifted: bool) -> float:
        """The expected score of a group, over templates, runs and continuations; of the lifted group or another."""
        variance = self.template**2 + self.cell**2 + self.run**2 + self.noise**2 + lifted * self.lift_spread**2
        points = norm.ppf((np.arange(20_000) + 0.5) / 20_000) * np.sqrt(variance) + self.level + lifted * self.lift
        return float((1 - self.spikes) * expit(points).mean() + self.spikes * expit(points + 4).mean())

    @property
    def harm(self) -> float:
        """The true change of the first group, which is its true gap change, too."""
        return self.mean(True) - self.mean(False)

    def at_the_margin(self) -> Writers:
        """The same with a lift at which the harm is the margin."""
        low, high = 0.0, 10.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if replace(self, lift=middle).harm < MARGIN else (low, middle)
        return replace(self, lift=high)

    def audit(self, rng: np.random.Generator) -> pl.DataFrame:
        """The verdicts of one draw."""
        names = [f"group{number}" for number in range(self.groups)]
        cells = [(t, g, f) for t in range(self.templates) for g in names for f in range(self.fillers * self.samples)]
        ids = [f"{SPLIT}/{t}/{g}/{f}" for t, g, f in cells]
        examples = pl.DataFrame(
            {
                "setting": "s",
                "example": ids,
                "weight": 1.0,
                "unit": [f"{SPLIT}/{t}" for t, _, _ in cells],
                "attribute.region": [[g] for _, g, _ in cells],
            }
        ).with_columns(label=pl.lit(None, pl.Int64))
        trials, parts = [], []
        for name, runs in self.scores(rng).items():
            for seed, scores in enumerate(runs):
                trials.append(
                    {
                        "setting": "s",
                        "method": name,
                        "seed": seed,
                        "role": "study",
                        "trial": f"{name}{seed}",
                        "status": "done",
                    }
                )
                parts.append(pl.DataFrame({"trial": f"{name}{seed}", "example": ids, "value": scores.ravel()}))
        values = pl.concat(parts).with_columns(split=pl.lit(SPLIT), name=pl.lit(NAME), step=pl.lit(None, pl.Int64))
        declared = DeclaredMeasure(name=NAME, kind="values", more_is="worse", range=(0.0, 1.0))
        setting = SettingDesign(references=("reference",), methods=("reference", "method"), kind="sft", vary=False)
        design = Design(settings={"s": setting}, declared=(declared,), margins={"default": MARGIN})
        nothing = TABLES["predictions"].empty()
        return Results.compute(examples, pl.DataFrame(trials), nothing, design, values=values).verdicts


WORLDS = {
    "40 templates, 2 groups of 4 fillers": Writers(templates=40, groups=2, fillers=4),
    "30 templates, 6 groups of 2 fillers": Writers(groups=6),
    "12 templates": Writers(templates=12),
    "one seed": Writers(seeds=1),
    "five seeds, runs differ": Writers(seeds=5, run=0.3),
    "templates differ much": Writers(template=2.0, cell=1.0),
    "methods differ by template": Writers(lift_spread=1.0),
    "few toxic texts": Writers(level=-5.0, spikes=0.03),
    "four samples": Writers(samples=4, noise=2.0),
}


@dataclass(frozen=True)
class Errors:
    """Shares of draws with a false verdict or a missed truth.

    Attributes:
        worse: some comparison is called `worse` although no method harms anybody.
        harmless: the first group's change or gap change is called harmless at a true harm of the margin.
        below, above: the simultaneous interval of the first group's change is below or above the truth there.
    """

    worse: float
    harmless: float
    below: float
    above: float

    def __str__(self) -> str:
        return (
            f"false worse {self.worse:.3f}, false harmless {self.harmless:.3f}, interval below {self.below:.3f} and "
            f"above {self.above:.3f}"
        )


def errors(world: Writers, repetitions: int, seed: int = 0) -> Errors:
    """The errors of a world without harm, and of the same with a harm of the margin in one group."""
    counts = np.zeros(4)
    harmful = world.at_the_margin()
    spread = world.lift_spread > 0  # then even without a lift the mean of the first group moves
    null = replace(world, lift=_no_harm(world)) if spread else world
    for repetition in range(repetitions):
        rng = np.random.default_rng([seed, repetition])
        verdicts = null.audit(rng)
        counts[0] += (verdicts["verdict"] == "worse").any()
        own = harmful.audit(rng).filter(pl.col("group") == "group0")
        counts[1] += own["verdict"].is_in(["equivalent", "not worse", "better"]).any()
        (change,) = own.filter(comparison="change").iter_rows(named=True)
        if change["low"] is not None:
            counts[2] += change["high"] < harmful.harm
            counts[3] += change["low"] > harmful.harm
    return Errors(*(counts / repetitions))


def _no_harm(world: Writers) -> float:
    """The lift at which the first group's mean does not move."""
    low, high = -5.0, 5.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if replace(world, lift=middle).harm < 0 else (low, middle)
    return high


@pytest.mark.simulate
@pytest.mark.parametrize("name", WORLDS)
def test_without_harm_few_families_are_called_worse_and_harm_of_the_margin_is_rarely_called_harmless(name, repetitions):
    n = repetitions(400)
    found = errors(WORLDS[name], n)
    # The file makes some 40 such comparisons.
    for share in (found.worse, found.harmless, found.below, found.above):
        assert share <= bounds.most(ALPHA, n, level=0.001), str(found)


def test_false_verdicts_are_rare_in_a_few_draws():
    found = errors(WORLDS["30 templates, 6 groups of 2 fillers"], 12)
    assert max(found.worse, found.harmless, found.below, found.above) <= bounds.most(ALPHA, 12, level=0.001)


def test_clear_harm_is_found_in_its_group_alone():
    verdicts = Writers(lift=3.0).audit(np.random.default_rng(0)).drop_nulls("group")
    worse = verdicts.filter(verdict="worse")
    assert set(worse.select("comparison", "group").iter_rows()) == {("change", "group0"), ("gap change", "group0")}


if __name__ == "__main__":
    for name, world in WORLDS.items():
        print(f"{name}: {errors(world, int(sys.argv[1]))}", flush=True)
