"""Intervals and verdicts of areas under curves hold where classes are rare, areas are high and runs vary.

Scores are binormal (`binormal`), so that every truth is a closed form, of average precision an integral.
`python tests/coverage/test_areas.py 400` prints the table of docs/statistics-derivations.md.
"""

from __future__ import annotations

import sys

import pytest

import bounds
from binormal import Binormal
from known_areas import Misses, misses

ALPHA = 0.05
ALL = ("level", "change", "gap change")


def alike(area: float, positives: tuple[int, int], negatives: tuple[int, int], **how) -> Binormal:
    """Two methods and two groups of one area."""
    return Binormal(dict.fromkeys(("reference", "method"), (area, area)), positives, negatives, **how)


def harmed(positives: tuple[int, int], negatives: tuple[int, int], **how) -> Binormal:
    """The method has lower areas than the reference, .80 and .90 against .90 and .97."""
    return Binormal({"reference": (0.9, 0.97), "method": (0.8, 0.9)}, positives, negatives, **how)


IMBALANCED = {
    "base rate .15": ((30, 60), (170, 340)),
    "base rate .5": ((100, 100), (100, 100)),
    "base rate .03 and .06": ((60, 120), (1940, 1880)),
    "base rate .15 and .1": ((150, 30), (850, 270)),
}
"""Positives and negatives of both groups."""
HIGH = {
    f"{area}, {name}": alike(area, *sizes) for area in (0.55, 0.75, 0.9, 0.96) for name, sizes in IMBALANCED.items()
}
SMALL = ((40, 80), (200, 400))
RUNS = {
    f"5 runs, {'new splits' if vary else 'one split'}, runs {run}": alike(0.85, *SMALL, runs=5, vary=vary, run=run)
    for vary in (True, False)
    for run in (0.0, 0.05, 0.3)
}
SAMPLES = {
    "units of three": alike(0.85, (90, 180), (300, 600), size=3),
    "units of both classes": alike(0.85, (90, 180), (300, 600), size=3, mixed=True),
    "weights": alike(0.85, (60, 120), (300, 600), weights=True),
}
ALONE = {
    **{
        f"gaps, {area}, {name}": alike(area, *sizes, alone=True)
        for area in (0.75, 0.9, 0.96)
        for name, sizes in (*IMBALANCED.items(), ("a large group", ((300, 30), (2700, 270))))
    },
    "gaps, wide positives": alike(0.9, (60, 120), (540, 1080), alone=True, sd=2.0),
    "gaps to everybody": alike(0.85, (60, 120), (300, 600), alone=True, against="overall"),
    "gaps, .80 and .90": Binormal(dict.fromkeys(("reference", "method"), (0.8, 0.9)), *SMALL, alone=True),
}
CHANGED = {
    f"{name}, sd {sd:g}, together {together}": world
    for sd in (1.0, 2.0)
    for together in (0.5, 0.95, 0.999)
    for name, world in (
        ("harmed", harmed((40, 100), (200, 600), sd=sd, together=together, example=0.9)),
        ("alike", alike(0.92, (40, 100), (200, 600), sd=sd, together=together, example=0.9)),
    )
}
SHIFTED = Binormal(dict.fromkeys(("reference", "method"), (0.8, 0.9)), (40, 100), (200, 600), shift=(0.7, 0.0))
LOST = Binormal({"reference": (0.9, 0.9), "method": (0.8, 0.85)}, (40, 100), (200, 600), shift=(-0.5, 0.0))
PRECISION = {
    **{f"{area}, {name}": alike(area, *IMBALANCED[name]) for area in (0.65, 0.8, 0.9, 0.96) for name in IMBALANCED},
    "harmed": harmed((40, 100), (200, 600)),
    "harmed, base rate .5": harmed((60, 150), (60, 150)),
    "harmed, wide positives": harmed((40, 100), (200, 600), sd=2.0),
    "5 runs": alike(0.85, *SMALL, runs=5),
}


def hold(found: dict[str, Misses], repetitions: int, least: float = 0.93) -> None:
    """Bounds are too high or too low in .05 of the studies at most, and 95% intervals hold the truth in .93."""
    assert found
    for name, each in found.items():
        judged = max(round(each.judged * repetitions), 1)
        assert each.false_worse <= bounds.most(ALPHA, repetitions), (name, each)
        assert each.below * each.judged <= bounds.most(ALPHA, repetitions), (name, each)
        assert each.held >= bounds.least(least, judged), (name, each)


@pytest.mark.parametrize("name", ["0.75, base rate .15", "0.9, base rate .15"])
def test_a_class_that_is_rare_has_areas_that_hold(name):
    hold(misses(HIGH[name], "roc_auc", 40, ALL), 40)


def test_an_area_that_a_group_loses_is_found():
    world = Binormal({"reference": (0.9, 0.9), "method": (0.6, 0.9)}, (100, 300), (300, 900))
    found = misses(world, "roc_auc", 40, ("change", "gap change"), null=True)
    for kind in ("change a", "gap change a"):
        assert found[kind].above >= bounds.least(0.8, 40)


@pytest.mark.simulate
@pytest.mark.parametrize("name", [*HIGH, *RUNS, *SAMPLES])
def test_areas_of_every_design_hold(name, repetitions):
    n = repetitions(400)
    hold(misses((HIGH | RUNS | SAMPLES)[name], "roc_auc", n, ALL), n)


@pytest.mark.simulate
@pytest.mark.parametrize("name", ALONE)
def test_gaps_of_one_model_hold(name, repetitions):
    n = repetitions(400)
    hold(misses(ALONE[name], "roc_auc", n, ("gap",)), n)


@pytest.mark.simulate
@pytest.mark.parametrize("name", CHANGED)
def test_changes_between_models_that_agree_more_or_less_hold(name, repetitions):
    n = repetitions(400)
    hold(misses(CHANGED[name], "roc_auc", n, ("change", "gap change")), n)


@pytest.mark.simulate
@pytest.mark.parametrize("measure", ["bpsn_auc", "bnsp_auc"])
@pytest.mark.parametrize("world", [SHIFTED, LOST])
def test_areas_across_groups_hold(measure, world, repetitions):
    n = repetitions(400)
    hold(misses(world, measure, n, ("level", "change")), n)


@pytest.mark.simulate
@pytest.mark.parametrize("name", PRECISION)
def test_average_precision_holds(name, repetitions):
    n = repetitions(400)
    hold(misses(PRECISION[name], "average_precision", n, ("level", "change")), n)


def table(repetitions: int) -> None:
    """A line for each design: lowest coverage of 95%, highest shares of bounds too high and too low, judged."""
    designs = [
        *((name, world, "roc_auc", ALL) for name, world in (HIGH | RUNS | SAMPLES | CHANGED).items()),
        *((name, world, "roc_auc", ("gap",)) for name, world in ALONE.items()),
        *(
            (f"{m}, {n}", w, m, ALL[:2])
            for m in ("bpsn_auc", "bnsp_auc")
            for n, w in (("alike", SHIFTED), ("lost", LOST))
        ),
        *((f"AP, {name}", world, "average_precision", ALL[:2]) for name, world in PRECISION.items()),
    ]
    print(
        "| design | coverage of 95%: levels | of contrasts | too high | too low | judged |\n|---|---|---|---|---|---|"
    )
    for name, world, measure, kinds in designs:
        found = misses(world, measure, repetitions, kinds)
        levels = [each.held for kind, each in found.items() if kind.startswith("level")]
        others = [each for kind, each in found.items() if not kind.startswith("level")]
        held = [f"{min(part):.3f}" if part else "" for part in (levels, [each.held for each in others])]
        worst = [f"{max(getattr(each, side) for each in others):.3f}" for side in ("above", "below")]
        print("|", " | ".join([name, *held, *worst, f"{min(each.judged for each in others):.2f}"]), "|", flush=True)


if __name__ == "__main__":
    table(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
