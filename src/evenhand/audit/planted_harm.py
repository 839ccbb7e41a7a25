"""Would this study have noticed? Harm is planted into its own predictions, and its contrasts are judged again.

Right predictions of the method, drawn at random and the same examples in every run, are made wrong until a group has
lost a given share of its accuracy. The contrast of the altered predictions is made by the audit's own code; its
interval is longer than the observed one, since harm brings discordant examples with it. What is asked of it is how
often studies with such intervals, whose truth is the planted harm, say `worse` at the family's level: the observed
contrast itself, which is one draw, plays no part.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from evenhand.audit.comparisons import conclude
from evenhand.audit.design import Design
from evenhand.audit.evaluation import Run
from evenhand.audit.measures.influence import Influence
from evenhand.audit.runs.evidence import evidence_of_pairs, is_defined, pairs_of
from evenhand.audit.runs.influences import RunInfluences
from evenhand.audit.verdicts import Family, SettingContrast
from evenhand.seeds import generator
from evenhand.stats.power import Repeated

MEASURE = "detected_harm"
STEPS = 8
"""Sizes of harm, evenly spaced above 0."""
ALMOST = 0.95
"""They reach to where this share of the studies finds it."""
FARTHER = 1.4
PLANTINGS = 8
"""Where a group is small, the mean is over so many ways of planting."""
ENOUGH = 40_000
"""So many predictions, in one planting or several, tell what harm does to an interval."""


def detected_harm(reader: RunInfluences, families: Sequence[Family], design: Design) -> Iterator[dict[str, Any]]:
    """Rows of the table `curves`: for everyone and each group, x is the accuracy lost against the first reference and y
    the share of studies like this one that would say `worse`.

    At 0 it is the share of false alarms. The sizes reach to a harm that nearly every study finds, and that is above the
    margin: smaller harm was declared harmless and ends `equivalent`. Contrasts that are not judged, unpaired
    ones, and those of one run have no curve. Plantings that leave nothing that varies are left out, since an audit does
    not judge them; where all do, the curve ends before.
    """
    if design.paired == "none":
        return
    for family in families:
        for one in family.members:
            interval, comparison = one.contrast.interval, one.comparison
            estimand = comparison.estimand
            if not estimand.measure.planted or comparison.reference != reader.evaluation.design.references[0]:
                continue
            if interval is None or one.contrast.runs < 2 or not interval.variance > 0:
                continue
            for harm, share in curve(reader, one, family.level):
                if math.isnan(share):
                    continue
                yield {
                    "setting": one.setting,
                    "split": one.split,
                    "measure": MEASURE,
                    "attribute": estimand.subset.attribute,
                    "group": estimand.subset.group,
                    "method": comparison.method,
                    "x": harm,
                    "y": share,
                    "low": None,
                    "high": None,
                }


def curve(reader: RunInfluences, one: SettingContrast, level: float) -> Iterator[tuple[float, float]]:
    """Planted losses of accuracy, and the share of studies like this one that would say `worse`: NaN where nothing
    varies.

    Args:
        reader: of the evaluation.
        one: a judged contrast of accuracy, of two runs or more.
        level: one-sided, of its bounds.
    """
    assert one.contrast.interval is not None
    observed = Repeated.of(one.contrast.interval, level)
    comparison = one.comparison
    pairs = pairs_of(reader, comparison.estimand, comparison.method, str(comparison.reference))
    both = [pair for pair in pairs if is_defined(pair)]
    rows = sum(len(ours.rows) for _, ours, _, _ in both)
    rng = generator(0, "planted harm")
    size = len(reader.evaluation.population.label)
    chances = [rng.random(size) for _ in range(min(max(ENOUGH // rows, 1), PLANTINGS))]

    def found(harm: float) -> float:
        shares = []
        for chance in chances:
            altered = [
                (run, _harmed(reader, run, ours, harm, chance), other, theirs) for run, ours, other, theirs in both
            ]
            interval = conclude(evidence_of_pairs(reader, comparison, altered, ()), reader.support).interval
            assert interval is not None
            shares.append(Repeated.of(interval, level).worse(harm, one.margin))
        varying = [share for share in shares if not math.isnan(share)]
        return float(np.mean(varying)) if varying else math.nan

    most = min(ours.value for _, ours, _, _ in both)  # nobody loses more accuracy than there is
    reach = min(observed.smallest() + max(observed.smallest(), one.margin or 0.0), most)
    while (share := found(reach)) < ALMOST and reach < most:
        reach = min(FARTHER * reach, most)
    yield 0.0, observed.worse(0.0, one.margin)
    for harm in np.linspace(0.0, reach, STEPS + 1)[1:-1]:
        yield float(harm), found(float(harm))
    yield reach, share


def _harmed(reader: RunInfluences, run: Run, effect: Influence, harm: float, chance: np.ndarray) -> Influence:
    """The accuracy of a run when right predictions are made wrong where the example's chance is low.

    Args:
        effect: of the run's accuracy, above 0.
        harm: what is lost, on average over the chances.
        chance: float [n], uniform on [0, 1), by example of the population.
    """
    examples = run.rows[effect.rows]
    right = run.predicted[effect.rows] == reader.evaluation.population.label[examples]
    lost = right & (chance[examples] < harm / effect.value)
    loss = float(effect.weights[lost].sum())
    moves = effect.influence - effect.weights * (lost - loss)
    return replace(effect, value=effect.value - loss, influence=moves)
