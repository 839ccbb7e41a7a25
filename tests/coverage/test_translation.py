"""Coverage of the intervals of corpus BLEU and its contrasts: the jackknife over units, crossed with seeds.

Sentences of a population of units are drawn anew in each repetition. Each run writes each of them with some words
wrong: more in hard units, more in bad runs, more by the worse method. The truth is the measure's expectation at these
sizes, from many repetitions of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from bounds import least, most
from evenhand.audit.arrays.texts import Texts
from evenhand.audit.design import Design, SettingDesign
from evenhand.audit.estimands import Estimand
from evenhand.audit.evaluation import Evaluation, Population, Run
from evenhand.audit.kinds.predictions import PredictionReading
from evenhand.audit.measures import measure_named
from evenhand.audit.reading import setting_contrasts
from evenhand.metrics.text_quality import bleu_of, bleu_statistics
from random_effects import names_of

UNITS, POPULATION, LEVELS, TRUE = 60, 400, 6, 4000
BLEU = Estimand(measure_named("bleu"))
DESIGN = SettingDesign(references=("full",), methods=("full", "lora"), kind="translation", vary=False)


@dataclass(frozen=True)
class World:
    """A population of units of two sentences.

    Attributes:
        statistics: int [units, 2, LEVELS, 10], of each sentence with so many words wrong.
        hard: float [units].
        spread: SD of what runs differ by.
        worse: what the method `lora` adds to the words that are wrong.
    """

    statistics: np.ndarray
    hard: np.ndarray
    spread: float
    worse: float

    def drawn(self, rng: np.random.Generator, seeds: int) -> np.ndarray:
        """int [2 methods, seeds, UNITS, 2, 10]: what a study sees."""
        units = rng.choice(POPULATION, UNITS, replace=False)
        run = rng.normal(0, self.spread, (1, seeds, 1, 1)) + rng.normal(0, self.spread, (2, seeds, 1, 1))
        wrong = 1.5 + self.hard[units][None, None, :, None] + run + rng.normal(0, 0.7, (2, seeds, UNITS, 2))
        wrong = wrong + np.array([0.0, self.worse])[:, None, None, None]
        level = np.clip(np.rint(wrong), 0, LEVELS - 1).astype(int)
        return self.statistics[units][np.arange(UNITS)[:, None], np.arange(2), level]


def world(spread: float, worse: float) -> World:
    rng = np.random.default_rng(11)
    words = [f"word{number}" for number in range(300)]
    statistics = np.zeros((POPULATION, 2, LEVELS, 10), dtype=np.int64)
    for unit in range(POPULATION):
        for place in range(2):
            sentence = list(rng.choice(words, int(rng.integers(8, 16)), replace=False))
            wrong = rng.permutation(len(sentence))
            texts = [
                " ".join("wrong" if at in wrong[:level] else word for at, word in enumerate(sentence))
                for level in range(LEVELS)
            ]
            statistics[unit, place] = bleu_statistics(texts, [[" ".join(sentence)]] * LEVELS)
    return World(statistics, rng.normal(0, 0.8, POPULATION), spread, worse)


def evaluation(seen: np.ndarray) -> Evaluation:
    """A study of methods and seeds on one fixed split."""
    count = 2 * UNITS
    unit, rows = np.repeat(np.arange(UNITS), 2), np.arange(count)
    runs = {
        (method, seed): Run(
            rows,
            np.zeros(count, dtype=np.int64),
            None,
            Texts(seen[place, seed].reshape(count, 10), np.zeros(count), unit),
        )
        for place, method in enumerate(("full", "lora"))
        for seed in range(seen.shape[1])
    }
    population = Population(np.full(count, -1), np.ones(count), unit, (), names_of(UNITS))
    everything = np.ones(count, dtype=bool)
    classes = ("male", "female", "neutral", "mixed", "none")
    return Evaluation("main", "test", DESIGN, population, ("full", "lora"), classes, runs, {}, everything)


def truth(of: World, rng: np.random.Generator, seeds: int) -> tuple[float, float]:
    """The expectation of BLEU of `full`, and of how much lower that of `lora` is."""
    values = []
    for _ in range(TRUE // seeds):
        sums = of.drawn(rng, seeds).sum(axis=(2, 3))
        values.append([np.mean([bleu_of(run) for run in method]) for method in sums])
    full, lora = np.mean(values, axis=0)
    return float(full), float(full - lora)


@pytest.mark.simulate
@pytest.mark.parametrize(("spread", "worse"), [(0.0, 0.0), (0.15, 0.0), (0.15, 0.4), (0.5, 0.0)])
@pytest.mark.parametrize("seeds", [3, 5])
def test_bleu_and_its_contrast_are_covered(spread, worse, seeds, repetitions):
    n = repetitions(400)
    of, rng = world(spread, worse), np.random.default_rng(7)
    level, difference = truth(of, rng, seeds)
    inside, covered = [], []
    design = Design(settings={"main": DESIGN}, margins={"bleu": 2.0})
    for _ in range(n):
        reading = PredictionReading(evaluation(of.drawn(rng, seeds)), design, "translations")
        mean = dict(reading.estimates(BLEU, "full"))[None]
        assert mean.low is not None and mean.high is not None
        inside.append(mean.low <= level <= mean.high)
        (member,) = setting_contrasts(reading, BLEU, design)
        assert member.contrast.interval is not None
        low, high = member.contrast.interval.bounds(0.025)
        covered.append(low <= difference <= high)
    print(f"spread {spread} worse {worse} seeds {seeds}: BLEU {np.mean(inside):.3f}, contrast {np.mean(covered):.3f}")
    assert least(0.93, n) <= np.mean(inside) <= most(0.985, n)
    assert least(0.93, n) <= np.mean(covered) <= most(0.985, n)
